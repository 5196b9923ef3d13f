/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/byte_set.h"

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/status.h"
#include "src/data/data_index.h"
#include "src/data/shard.h"

int64_t byte_set_write(const char *folder)
{
    struct data_index x = { .kind = "bytes", .vocab = BYTE_VOCAB, .bos = BYTE_BOS,
                            .eos = BYTE_EOS, .unk = -1, .tokenizer = hash_bytes("bytes", 5) };
    const struct shard_spec spec = { BYTE_VOCAB, 512, 7, x.tokenizer };
    const uint64_t key = rng_key(5, "text");
    struct shard_writer *w;
    struct shard_sums sums;
    int64_t total = 0;
    int32_t ids[1024];

    check(dir_make(folder) == OK);
    char *path = mem_format("%s/shard-000000.tts", folder);
    check(shard_create(&w, path, &spec, 3) == OK);
    for (int d = 0; d < BYTE_DOCUMENTS; d++) {
        const int n = 100 * (d + 1);
        ids[0] = BYTE_BOS;
        for (int i = 0; i < n; i++)
            ids[i + 1] = 'a' + (int)(rng_u64(key, (uint64_t)(1000 * d + i)) % 26);
        ids[n + 1] = BYTE_EOS;
        check(shard_add(w, ids, n + 2) == OK);
        shard_end_document(w, n);
        total += n + 2;
    }
    check(shard_finish(w, &sums) == OK);
    data_index_add(&x, "shard-000000.tts", &sums);
    mem_free(path);
    path = mem_format("%s/INDEX", folder);
    check(data_index_write(&x, path) == OK);
    mem_free(path);
    data_index_done(&x);
    return total;
}
