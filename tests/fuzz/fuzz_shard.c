/* SPDX-License-Identifier: Apache-2.0 */
/* A token shard, as sections of what its records hold before they are compressed:
 *
 *     super      64 bytes                    head       32 bytes: replaces the next record's header
 *     block      tokens, one section each    documents  lengths
 *     index      entries; empty: right ones  foot       112 bytes; missing: a right one
 *
 * All hashes are made right, so that only the bounds can refuse it. */
#include <string.h>
#include <zstd.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/data/shard.h"
#include "src/data/shard_format.h"
#include "tests/fuzz/fuzz.h"

enum { ROOM = 1 << 20, MOST_RECORDS = 256 };

struct making {
    uint8_t file[2 * ROOM], raw[ROOM];
    int64_t n, tokens, documents;
    struct entry { uint64_t at; uint32_t stored, raw; struct hash payload; } entry[MOST_RECORDS];
    int     records;
    uint8_t head[32];
    int     has_head;
    struct footer foot;
};

static int width_of(const struct making *m) { return get_u32(m->file + 12) == 4 ? 4 : 2; }

/* One record after the others. */
static void put(struct making *m, uint32_t kind, const uint8_t *raw, size_t n)
{
    uint8_t *p = m->file + m->n;
    const size_t stored = ZSTD_compress(p + HEAD_BYTES, ZSTD_compressBound(n), raw, n, 1);
    struct shard_record r = { .kind = kind, .raw = (uint32_t)n, .stored = (uint32_t)stored,
                        .stamp = get_u64(m->file + 24) };

    if (kind == RECORD_BLOCK) {
        r.number = (uint32_t)m->records;
        r.first_token = (uint64_t)m->tokens;
        m->tokens += (int64_t)n / width_of(m);
    } else r.first_token = (uint64_t)m->tokens;
    r.payload = hash_bytes(p + HEAD_BYTES, stored);
    struct hash own = put_record(p, &r);
    if (m->has_head) {
        memcpy(p, m->head, sizeof m->head);
        own = seal(p, HEAD_BYTES);
    }
    m->has_head = 0;
    if (kind == RECORD_INDEX) {
        m->foot.index_at = (uint64_t)m->n;
        m->foot.index = own;
    } else m->entry[m->records++] = (struct entry){ (uint64_t)m->n, r.stored, r.raw, r.payload };
    m->n += HEAD_BYTES + (int64_t)stored;
}

/* Entries as they are given, with the right hashes; none given: all of them. */
static void put_index(struct making *m, const uint8_t *given, size_t n)
{
    const size_t right = (size_t)m->records * ENTRY_BYTES;

    memcpy(m->raw, given, n);
    for (int i = 0; i < m->records; i++) {
        uint8_t *p = m->raw + i * ENTRY_BYTES;
        if (n == 0) {
            put_u64(p, m->entry[i].at);
            put_u32(p + 8, m->entry[i].stored);
            put_u32(p + 12, m->entry[i].raw);
        }
        if (n == 0 || n >= (size_t)(i + 1) * ENTRY_BYTES) hash_store(p + 16, m->entry[i].payload);
    }
    put(m, RECORD_INDEX, m->raw, n ? n : right);
}

static void put_foot(struct making *m, const struct section *given)
{
    uint8_t *p = m->file + m->n;

    m->foot.file_size = (uint64_t)m->n + FOOT_BYTES;
    m->foot.tokens = (uint64_t)m->tokens;
    m->foot.documents = (uint64_t)m->documents;
    m->foot.blocks = m->records ? (uint32_t)m->records - 1 : 0;
    m->foot.super = hash_load(m->file + SUPER_BYTES - 16);
    put_footer(p, &m->foot);
    if (given) {
        memcpy(p, given->data, given->n < 64 ? given->n : 64);   /* all but its hashes */
        seal(p, FOOT_BYTES);
    }
    m->n += FOOT_BYTES;
}

static void make(struct making *m, const uint8_t *data, size_t n)
{
    struct sections rest = sections_of(data, n);
    struct section s;
    int done = 0;

    memset(m, 0, offsetof(struct making, raw));
    memset(&m->n, 0, sizeof *m - offsetof(struct making, n));
    m->n = SUPER_BYTES;
    while (!done && section_next(&s, &rest)) {
        const int fits = s.n <= ROOM / 4 && m->n + 2 * (int64_t)s.n < ROOM &&
                         m->records < MOST_RECORDS - 1;
        if (!strcmp(s.name, "super")) {
            memcpy(m->file, s.data, s.n < SUPER_BYTES ? s.n : SUPER_BYTES);
            seal(m->file, SUPER_BYTES);
        } else if (!strcmp(s.name, "head")) {
            m->has_head = 1;
            memcpy(m->head, s.data, s.n < sizeof m->head ? s.n : sizeof m->head);
        } else if (!fits) break;
        else if (!strcmp(s.name, "block")) put(m, RECORD_BLOCK, s.data, s.n);
        else if (!strcmp(s.name, "documents")) {
            for (size_t i = 0; i < s.n; i++) m->documents += s.data[i] < 128;
            m->foot.documents_at = (uint64_t)m->n;
            put(m, RECORD_DOCUMENTS, s.data, s.n);
        } else if (!strcmp(s.name, "index")) put_index(m, s.data, s.n);
        else if (!strcmp(s.name, "foot")) {
            put_foot(m, &s);
            done = 1;
        }
    }
    if (!done) put_foot(m, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct making m;   /* large */
    struct shard *s;
    int64_t *lengths = NULL, got, sum = 0;

    make(&m, data, n);
    if (shard_open(&s, fuzz_file(m.file, (size_t)m.n)) != OK) return 0;
    const struct shard_spec *spec = shard_spec(s);
    const struct shard_sums *sums = shard_sums(s);
    if (spec->block_tokens <= ROOM) {
        int32_t *ids = mem_new(spec->block_tokens, sizeof *ids, "block");
        for (int64_t b = 0; b < shard_blocks(s); b++) {
            if (shard_read(s, ids, &got, b) != OK) continue;
            promise(got >= 1 && got <= spec->block_tokens);
            for (int64_t i = 0; i < got; i++) promise(ids[i] >= 0 && ids[i] < spec->vocab);
        }
        mem_free(ids);
    }
    if (shard_documents(s, &lengths) == OK) {
        for (int64_t i = 0; i < sums->documents; i++) promise((sum += lengths[i]) <= sums->tokens);
        promise(sum == sums->tokens);
        mem_free(lengths);
    }
    shard_close(s);
    return 0;
}
