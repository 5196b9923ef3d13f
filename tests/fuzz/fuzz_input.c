/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of texts, JSON lines and compressed ones, as sections: two readings are equal. */
#include <string.h>

#include "data_prep/document.h"
#include "data_prep/find.h"
#include "data_prep/json_field.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/utf8.h"
#include "tests/fuzz/fuzz.h"

/* Documents, and a hash over them. */
static int64_t read_all(struct hash *all, const struct inputs *in)
{
    struct json_path field;
    struct reader *r = reader_new(in, (struct data_place){ 0, 0, 0 });
    struct hasher *h = hasher_new();
    struct record x;
    int64_t count = 0;
    int more = 1;

    promise(json_path_init(&field, "text") == OK);
    while (reader_next(r, &x, &more) == OK && more) {
        if (!x.bad) document_text(&x, &field);
        if (!x.bad) {
            promise(x.n >= 0 && utf8_valid(x.raw, x.n) == x.n);
            hasher_add(h, x.raw, (size_t)x.n);
            count++;
        }
        promise(x.bytes >= 0);
        mem_free(x.raw);
        mem_free(x.bad);
    }
    json_path_done(&field);
    *all = hasher_get(h);
    hasher_free(h);
    reader_free(r);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct inputs in = { .skip_bad = 1 };
    struct hash first, second;

    if (inputs_add(&in, fuzz_sections(data, n), NULL) == OK) {
        const int64_t count = read_all(&first, &in);
        promise(read_all(&second, &in) == count && hash_equal(first, second));
    }
    inputs_done(&in);
    return 0;
}
