/* SPDX-License-Identifier: Apache-2.0 */
/* Shards whose hashes are all right and whose content is not: what a person could
 * make on purpose.  Hashes can't refuse them, so the bounds must. */
#include "tests/unit/store_test.h"

#include <zstd.h>

#include "src/base/rng.h"
#include "src/data/shard.h"
#include "src/data/shard_format.h"

#define ROOM (1 << 16)

/* A good shard in parts that can be changed and put together again. */
static unsigned char before[ROOM], documents[ROOM], entries[ROOM];
static int64_t before_n, documents_n, entries_n;
static struct footer foot;
static uint64_t stamp;

static int64_t unpack(unsigned char *out, const char *file, uint64_t at)
{
    const struct shard_record r = get_record((const unsigned char *)file + at);
    assert_int_equal(ZSTD_decompress(out, ROOM, file + at + HEAD_BYTES, r.stored), r.raw);
    return r.raw;
}

static int setup(void **state)
{
    const struct shard_spec spec = { .vocab = 300, .block_tokens = 64, .stamp = 5 };
    struct shard_writer *w = NULL;
    struct shard_sums sums;
    char *file = NULL;
    size_t n = 0;

    if (work_make(state) != 0) return -1;
    const char *path = at("good.tts");
    if (shard_create(&w, path, &spec, 3) != OK) return -1;
    for (int d = 0; d < 40; d++) {
        int32_t ids[300];
        const int length = 1 + (d * 37) % 290;  /* lengths of one and of two bytes */
        for (int i = 0; i < length; i++)
            ids[i] = (int32_t)(rng_u64(1, (uint64_t)(d * 300 + i)) % 300);
        if (shard_add(w, ids, length) != OK) return -1;
        shard_end_document(w, length);
    }
    if (shard_finish(w, &sums) != OK || file_slurp(&file, &n, path, ROOM) != OK) return -1;
    foot = get_footer((unsigned char *)file + n - FOOT_BYTES);
    stamp = spec.stamp;
    before_n = (int64_t)foot.documents_at;
    memcpy(before, file, (size_t)before_n);
    documents_n = unpack(documents, file, foot.documents_at);
    entries_n = unpack(entries, file, foot.index_at);
    mem_free(file);
    return 0;
}

/* One record behind `file`; the hash of its header. */
static struct hash pack(unsigned char *file, int64_t *n, struct shard_record r,
                        const unsigned char *raw)
{
    unsigned char *p = file + *n;
    r.stored = (uint32_t)ZSTD_compress(p + HEAD_BYTES, ROOM, raw, r.raw, 3);
    r.payload = hash_bytes(p + HEAD_BYTES, r.stored);
    r.stamp = stamp;
    *n += HEAD_BYTES + r.stored;
    return put_record(p, &r);
}

/* Put the parts together with right hashes and read everything.
 * follow: the entry of the list of documents is made to fit it. */
static int assemble_and_read(int follow)
{
    static unsigned char file[4 * ROOM];
    int64_t n = before_n, *lengths = NULL, count = 0;
    int32_t ids[64];
    struct shard *s = NULL;
    struct footer f = foot;
    int rc = OK;

    memcpy(file, before, (size_t)before_n);
    pack(file, &n, (struct shard_record){ .kind = RECORD_DOCUMENTS, .raw = (uint32_t)documents_n,
                                    .first_token = foot.tokens }, documents);
    if (follow) {
        unsigned char *entry = entries + entries_n - ENTRY_BYTES;
        const struct shard_record r = get_record(file + before_n);
        put_u32(entry + 8, r.stored);
        put_u32(entry + 12, r.raw);
        hash_store(entry + 16, r.payload);
    }
    f.index_at = (uint64_t)n;
    f.index = pack(file, &n, (struct shard_record){ .kind = RECORD_INDEX,
                                                    .raw = (uint32_t)entries_n,
                                              .first_token = foot.tokens }, entries);
    f.file_size = (uint64_t)n + FOOT_BYTES;
    put_footer(file + n, &f);
    const char *path = at("bad.tts");
    put_file(path, file, (size_t)n + FOOT_BYTES);

    TRY(shard_open(&s, path));
    TRY(shard_documents(s, &lengths));
    for (int64_t b = 0; b < shard_blocks(s); b++) TRY(shard_read(s, ids, &count, b));
out:
    mem_free(lengths);
    shard_close(s);
    return rc;
}

/* Flip every bit of a part: each must be refused, and without it the whole is good. */
static void every_bit(unsigned char *part, int64_t n, int follow)
{
    int64_t accepted = 0;
    unsigned char saved[ROOM];

    assert_int_equal(assemble_and_read(1), OK);
    memcpy(saved, entries, sizeof saved);
    assert_int_equal(assemble_and_read(follow), OK);
    quiet(1);
    for (int64_t bit = 0; bit < 8 * n; bit++) {
        part[bit / 8] ^= (unsigned char)(1 << bit % 8);
        accepted += assemble_and_read(follow) != ERR_DATA;
        part[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    quiet(0);
    memcpy(entries, saved, sizeof saved);
    assert_int_equal(accepted, 0);
}

static void wrong_entries_are_refused(void **state)
{
    (void)state;
    every_bit(entries, entries_n, 0);
}

static void wrong_lengths_are_refused(void **state)
{
    (void)state;
    every_bit(documents, documents_n, 1);
}

/* A block with a token beyond the vocabulary, a block that is too short, and, to
 * show that the rest is right, a good one. */
static void wrong_blocks_are_refused(void **state)
{
    (void)state;
    unsigned char raw[128], block[ROOM] = { 0 }, saved[ROOM];
    int64_t n = 0;
    quiet(1);
    for (int kind = 0; kind < 3; kind++) {
        /* block 0 made anew, and what is behind it moved */
        memcpy(saved, before, sizeof saved);
        memset(raw, 0, sizeof raw);
        if (kind == 0) put_u16(raw + 40, 300);
        n = 0;
        pack(block, &n, (struct shard_record){ .kind = RECORD_BLOCK,
                                               .raw = kind == 1 ? 126 : 128 }, raw);
        const struct shard_record old = get_record(before + SUPER_BYTES), new = get_record(block);
        memmove(before + SUPER_BYTES + HEAD_BYTES + new.stored,
                before + SUPER_BYTES + HEAD_BYTES + old.stored,
                (size_t)(before_n - SUPER_BYTES - HEAD_BYTES - old.stored));
        memcpy(before + SUPER_BYTES, block, HEAD_BYTES + new.stored);
        const int64_t shift = (int64_t)new.stored - (int64_t)old.stored;
        unsigned char entries_saved[ROOM];
        memcpy(entries_saved, entries, sizeof entries_saved);
        put_u32(entries + 8, new.stored);
        hash_store(entries + 16, new.payload);
        for (int64_t e = ENTRY_BYTES; e < entries_n; e += ENTRY_BYTES)
            put_u64(entries + e, get_u64(entries + e) + (uint64_t)shift);
        before_n += shift;
        foot.documents_at = (uint64_t)before_n;
        assert_int_equal(assemble_and_read(1), kind == 2 ? OK : ERR_DATA);
        before_n -= shift;
        foot.documents_at = (uint64_t)before_n;
        memcpy(before, saved, sizeof saved);
        memcpy(entries, entries_saved, sizeof entries_saved);
    }
    quiet(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_entries_are_refused),
        cmocka_unit_test(wrong_lengths_are_refused),
        cmocka_unit_test(wrong_blocks_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, work_remove);
}
