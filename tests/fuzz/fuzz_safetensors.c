/* SPDX-License-Identifier: Apache-2.0 */
/* A file of safetensors: every tensor is read in every way. */
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/store/safetensors.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct safetensors *s;

    if (safetensors_open(&s, fuzz_file(data, n)) != OK) return 0;
    for (int i = 0; i < safetensors_count(s); i++) {
        const struct tensor *t = safetensors_tensor(s, i);
        const int64_t count = tensor_n(t);
        promise(count >= 0 && (uint64_t)count <= n && safetensors_find(s, t->name) == i);
        void *room = mem_new(count ? count : 1, sizeof(double), "tensor");
        (void)safetensors_read(s, i, room);
        (void)safetensors_read_real(s, i, room);
        (void)safetensors_read_f64(s, i, room);
        (void)safetensors_read_i32(s, i, room);
        mem_free(room);
    }
    safetensors_close(s);
    return 0;
}
