/* SPDX-License-Identifier: Apache-2.0 */
/* A SentencePiece model, as our own reader takes it before the library sees it. */
#include "src/base/status.h"
#include "src/data/spm_model.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const uint32_t characters[] = { 'a', 'e', ' ', SPM_SPACE, 0xe9, 0x10ffff };
    enum { N = sizeof characters / sizeof *characters };
    struct spm_model m;
    int cuts = 0;

    fuzz_folder();
    if (spm_model_read(&m, (const char *)data, n, "input") == OK) {
        for (int i = 0; i < m.count; i++)
            promise(m.pieces[i].length >= 0 && m.pieces[i].text >= (const char *)data &&
                    m.pieces[i].text + m.pieces[i].length <= (const char *)data + n);
        for (int b = 0; b < 256; b++) promise(m.byte_id[b] >= -1 && m.byte_id[b] < m.count);
        for (int i = 0; i < N * N; i++)
            cuts += spm_model_cut(&m, characters[i / N], characters[i % N]);
    }
    spm_model_done(&m);
    return cuts < 0;
}
