/* SPDX-License-Identifier: Apache-2.0 */
/* Token shards and the INDEX: what was written comes back whatever the cuts,
 * and every flipped bit, every cut and every byte too many is found. */
#include "tests/unit/store_test.h"

#include "src/base/bytes.h"
#include "src/base/log.h"
#include "src/base/rng.h"
#include "src/data/data_index.h"
#include "src/data/dataset.h"
#include "src/data/shard.h"

#ifdef __SANITIZE_ADDRESS__
#define STRIDE 31  /* ten times slower, so a sample of the bits */
#else
#define STRIDE 1
#endif

/* A document of a deterministic set: lengths from 1 to 900, ids below vocab. */
static int64_t document(int32_t *ids, int number, int vocab)
{
    const uint64_t key = rng_key((uint64_t)number, "document");
    const int64_t n = 1 + (int64_t)(rng_u64(key, 0) % 900);
    for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)(rng_u64(key, 1 + (uint64_t)i) % (uint64_t)vocab);
    return n;
}

/* Write `documents` of them as a data set whose shards close at shard_tokens. */
static void write_set(int documents, int vocab, int64_t block_tokens, int64_t shard_tokens)
{
    struct data_index x = { .kind = "bytes", .vocab = vocab, .bos = 0, .eos = 1, .unk = -1,
                            .tokenizer = hash_bytes("bytes", 5) };
    const struct shard_spec spec = { vocab, block_tokens, 99, x.tokenizer };
    struct shard_writer *w = NULL;
    struct shard_sums sums;
    char name[32];
    const char *path;
    int32_t ids[900];

    for (int d = 0; d < documents; d++) {
        snprintf(name, sizeof name, "shard-%06d.tts", x.shard_count);
        path = at(name);
        if (!w) {
            unlink(path);
            assert_int_equal(shard_create(&w, path, &spec, 3), OK);
        }
        const int64_t n = document(ids, d, vocab);
        struct hasher *h = hasher_new();
        content_tokens(h, ids, n);
        x.content = content_add(x.content, hasher_get(h));
        hasher_free(h);
        assert_int_equal(shard_add(w, ids, n), OK);
        shard_end_document(w, 10 * n);
        if (shard_written(w) >= shard_tokens || d == documents - 1) {
            assert_int_equal(shard_finish(w, &sums), OK);
            data_index_add(&x, name, &sums);
            w = NULL;
        }
    }
    path = at("INDEX");
    assert_int_equal(data_index_write(&x, path), OK);
    data_index_done(&x);
}

/* Everything in a shard, read and checked. */
static int read_all(const char *path)
{
    static int32_t *ids;
    struct shard *s = NULL;
    int64_t *lengths = NULL, n = 0;
    int rc = OK;

    if (!ids) ids = malloc(sizeof *ids << 16);
    TRY(shard_open(&s, path));
    if (shard_spec(s)->block_tokens > 65536) TRY(ERR_DATA);
    TRY(shard_documents(s, &lengths));
    for (int64_t b = 0; b < shard_blocks(s); b++) TRY(shard_read(s, ids, &n, b));
out:
    mem_free(lengths);
    shard_close(s);
    return rc;
}

static int open_set(const char *unused)
{
    struct dataset *d = NULL;
    (void)unused;
    const int rc = dataset_open(&d, work);
    dataset_close(d);
    return rc;
}

/* Flip every bit of a file, cut it at every length, and append to it; `try`
 * must then say ERR_DATA, and OK for the file as it was. */
static void every_damage_is_found(const char *path, int (*try)(const char *path))
{
    char *data = NULL, extra[64];
    size_t size = 0;
    int64_t missed = 0, tried = 0;

    assert_int_equal(file_slurp(&data, &size, path, 1 << 20), OK);
    const int fd = open(path, O_RDWR);
    quiet(1);
    missed += try(path) != OK;
    for (int64_t bit = 0; bit < (int64_t)(8 * size); bit += STRIDE, tried++) {
        const char damaged = (char)(data[bit / 8] ^ 1 << bit % 8);
        missed += pwrite(fd, &damaged, 1, bit / 8) != 1;
        missed += try(path) != ERR_DATA;
        missed += pwrite(fd, data + bit / 8, 1, bit / 8) != 1;
    }
    for (int fill = 0; fill < 256; fill += 255) {
        memset(extra, fill, sizeof extra);
        for (int n = 1; n <= 64; n++, tried++) {
            missed += pwrite(fd, extra, (size_t)n, (off_t)size) != n;
            missed += try(path) != ERR_DATA;
            missed += ftruncate(fd, (off_t)size) != 0;
        }
    }
    missed += try(path) != OK;
    for (int64_t n = (int64_t)size - 1; n >= 0; n -= STRIDE, tried++) {
        missed += ftruncate(fd, n) != 0;
        missed += try(path) != ERR_DATA;
    }
    missed += pwrite(fd, data, size, 0) != (ssize_t)size;
    missed += try(path) != OK;
    quiet(0);
    close(fd);
    mem_free(data);
    assert_int_equal(missed, 0);
    assert_true(tried > 9 * (int64_t)size / STRIDE);
}

static void every_damage_of_a_shard_is_found(void **state)
{
    (void)state;
    struct shard *s = NULL;
    write_set(77, 50000, 4096, 1 << 30);
    const char *path = at("shard-000000.tts");
    assert_int_equal(shard_open(&s, path), OK);
    assert_in_range(shard_sums(s)->size, 60000, 80000);  /* the promise speaks of 64 KiB */
    assert_true(shard_blocks(s) > 5);
    shard_close(s);
    every_damage_is_found(path, read_all);
}

static void every_damage_of_an_index_is_found(void **state)
{
    (void)state;
    write_set(20, 50000, 1024, 3000);
    every_damage_is_found(at("INDEX"), open_set);
}

/* Windows, documents and fingerprint under one cut, as a hash. */
static struct hash look(struct hash *fingerprint)
{
    struct dataset *d = NULL;
    struct hasher *h = hasher_new();
    int32_t window[1024];
    int64_t first = 0, n = 0;

    assert_int_equal(dataset_open(&d, work), OK);
    assert_int_equal(dataset_verify(d, NULL, NULL), OK);
    *fingerprint = dataset_fingerprint(d);
    const uint64_t places = (uint64_t)(dataset_tokens(d) - 1023);
    for (int64_t i = 0; i < 300; i++) {
        const int64_t from = (int64_t)(rng_u64(4, (uint64_t)i) % places);
        assert_int_equal(dataset_read(d, window, from, 1024), OK);
        hasher_add(h, window, sizeof window);
    }
    for (int64_t i = 0; i < dataset_documents(d); i += 7) {
        int32_t want[900];
        assert_int_equal(dataset_document(d, i, &first, &n), OK);
        assert_int_equal(document(want, (int)i, dataset_vocab(d)), n);
        assert_int_equal(dataset_read(d, window, first, n), OK);
        assert_memory_equal(window, want, (size_t)n * sizeof *want);
    }
    struct hash out = hasher_get(h);
    hasher_free(h);
    dataset_close(d);
    return out;
}

static void cuts_change_nothing(void **state)
{
    (void)state;
    static const struct { int64_t block, shard; } cuts[] = {
        { 65536, 1 << 30 }, { 64, 1 << 30 }, { 1000, 20000 }, { 65536, 1 }, { 7, 5000 },
    };
    struct hash fingerprint[5], windows[5];

    for (int vocab = 65536; vocab <= 65537; vocab++) {  /* two bytes an id, and four */
        for (int i = 0; i < 5; i++) {
            write_set(100, vocab, cuts[i].block, cuts[i].shard);
            windows[i] = look(&fingerprint[i]);
            assert_true(hash_equal(fingerprint[i], fingerprint[0]));
            assert_true(hash_equal(windows[i], windows[0]));
        }
        write_set(101, vocab, 1000, 20000);  /* and something must change something */
        look(&fingerprint[1]);
        assert_false(hash_equal(fingerprint[1], fingerprint[0]));
    }
}

/* A file that is a good shard, but not the one INDEX means. */
static void swapped_shards_are_found(void **state)
{
    (void)state;
    struct dataset *d = NULL;

    write_set(40, 50000, 1024, 3000);
    const char *a = at("shard-000000.tts"), *b = at("shard-000001.tts"), *c = at("c");
    assert_int_equal(open_set(work), OK);
    assert_int_equal(rename(b, c), 0);
    assert_int_equal(open_set(work), ERR_MISSING);
    assert_non_null(strstr(log_last_error(), "shard-000001.tts"));
    assert_int_equal(rename(a, b) | rename(c, a), 0);
    assert_int_equal(open_set(work), ERR_DATA);
    assert_int_equal(dataset_open(&d, "/nonexistent/set"), ERR_MISSING);
    assert_non_null(strstr(log_last_error(), "/nonexistent/set"));
}

/* Names the block and its offset. */
static void damage_has_an_address(void **state)
{
    (void)state;
    char byte = 0;
    struct dataset *d = NULL;
    int32_t id;

    write_set(77, 50000, 4096, 1 << 30);
    assert_int_equal(dataset_open(&d, work), OK);
    const int fd = open(at("shard-000000.tts"), O_RDWR);
    const off_t place = 64 + 64 + 7000 + 64 + 2000;  /* in block 1, behind about 8 KB of block 0 */
    assert_int_equal(pread(fd, &byte, 1, place), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, place), 1);
    assert_int_equal(dataset_read(d, &id, 10, 1), OK);
    assert_int_equal(dataset_read(d, &id, 5000, 1), ERR_DATA);
    assert_non_null(strstr(log_last_error(), "shard-000000.tts: block 1 at byte"));
    assert_int_equal(dataset_read(d, &id, 9000, 1), OK);
    assert_int_equal(dataset_verify(d, NULL, NULL), ERR_DATA);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, place), 1);
    assert_int_equal(dataset_read(d, &id, 5000, 1), OK);
    close(fd);
    dataset_close(d);
}

/* Put a footer's or superblock's field to a value and make its hash right again:
 * what a hash can't refuse, bounds must. */
static void hostile_sizes_are_refused(void **state)
{
    (void)state;
    static const uint64_t values[] = { 0, 1, 0x7fffffff, 0xffffffff, 1ull << 36, 1ull << 62,
                                       UINT64_MAX };
    char *data = NULL;
    size_t size = 0;

    write_set(20, 50000, 1024, 1 << 30);
    const char *path = at("shard-000000.tts");
    assert_int_equal(file_slurp(&data, &size, path, 1 << 20), OK);
    const int fd = open(path, O_RDWR);
    quiet(1);
    int64_t accepted = 0;
    const int64_t before = mem_peak_bytes();
    for (int part = 0; part < 2; part++)
        for (int f = 0; f < (part ? 96 : 48); f += 4)
            for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
                const int bytes = part ? 112 : 64;
                char *p = data + (part ? size - 112 : 0), saved[112];
                memcpy(saved, p, (size_t)bytes);
                if (f % 8 == 0 && v > 3) put_u64(p + f, values[v]);
                else put_u32(p + f, (uint32_t)values[v]);
                const int same = memcmp(saved, p, (size_t)bytes) == 0;
                hash_store(p + bytes - 16, hash_bytes(p, (size_t)bytes - 16));
                put_file(path, data, size);
                accepted += !same && read_all(path) == OK;
                memcpy(p, saved, (size_t)bytes);
            }
    quiet(0);
    close(fd);
    /* text_bytes (two places of a footer) and nothing else is free to be anything */
    assert_in_range(accepted, 0, 10);
    assert_true(mem_peak_bytes() - before < 1 << 20);
    mem_free(data);
}

/* Names that would leave the folder, with a right hash. */
/* No shard is written that its reader would refuse. */
static void what_a_shard_cannot_hold(void **state)
{
    static const struct { int64_t block, n; } rows[] = {
        { 1, SHARD_MAX_BLOCKS + 1 }, { 2000, 2000 * SHARD_MAX_BLOCKS + 1 },
        { 65536, SHARD_MAX_TOKENS + 1 }, { 65536, INT64_MAX },
    };
    const int32_t ids[3] = { 1, 2, 3 };
    const char *path = at("shard-000000.tts");
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct shard_spec spec = { 300, rows[i].block, 99, { 1, 2 } };
        struct shard_writer *w = NULL;
        unlink(path);
        assert_int_equal(shard_create(&w, path, &spec, 3), OK);
        assert_int_equal(shard_add(w, ids, 3), OK);
        assert_int_equal(shard_add(w, ids, rows[i].n - 3), ERR_CONFIG);
        assert_non_null(strstr(log_last_error(), "tokens, which is what a shard with blocks of"));
        shard_abandon(w);
    }
}

/* Numbers of 18 digits are read, longer ones refused; neither overflows. */
static void long_numbers_of_an_index(void **state)
{
    static const char *const texts[] = { "1152921504606846976", "9223372036854775808",
                                         "99999999999999999999", "18446744073709551617" };
    char *text = NULL;
    size_t n = 0;
    (void)state;

    write_set(3, 300, 100, 1000000);
    assert_int_equal(file_slurp(&text, &n, at("INDEX"), 1 << 20), OK);
    for (size_t i = 0; i < 4; i++) {
        char other[4096], hex[HASH_HEX];
        const char *from = strstr(text, "\ntokens: ") + 9, *rest = strchr(from, '\n');
        const char *tail = strstr(text, "\nhash: ") + 1;
        const int k = snprintf(other, sizeof other, "%.*s%s%.*s", (int)(from - text), text, texts[i],
                               (int)(tail - rest), rest);
        hash_hex(hex, hash_bytes(other, (size_t)k));
        snprintf(other + k, sizeof other - (size_t)k, "hash: %s\n", hex);
        assert_int_equal(file_replace(at("INDEX"), other, strlen(other)), OK);
        struct data_index x;
        assert_int_equal(data_index_read(&x, at("INDEX"), 0), ERR_DATA);
        assert_non_null(strstr(log_last_error(), "expected a whole number in range"));
        data_index_done(&x);
    }
    mem_free(text);
}

static void index_with_foreign_paths_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = { "../x.tts", "/etc/passwd", "..", "a/b.tts", "", "a b" };
    char *text = NULL;
    size_t n = 0;
    struct data_index x;

    write_set(5, 50000, 1024, 1 << 30);
    const char *path = at("INDEX");
    assert_int_equal(file_slurp(&text, &n, path, 1 << 20), OK);
    quiet(1);
    int refused = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *name = strstr(text, "shard-000000.tts");
        char hex[HASH_HEX];
        char *body = mem_format("%.*s%s%.*s", (int)(name - text), text, names[i],
                                (int)(text + n - 39 - (name + 16)), name + 16);
        hash_hex(hex, hash_bytes(body, strlen(body)));
        char *whole = mem_format("%shash: %s\n", body, hex);
        assert_int_equal(file_replace(path, whole, strlen(whole)), OK);
        refused += data_index_read(&x, path, 0) == ERR_DATA;
        data_index_done(&x);
        mem_free(whole);
        mem_free(body);
    }
    quiet(0);
    assert_int_equal(refused, sizeof names / sizeof *names);
    mem_free(text);
}

/* As ttt wrote it before <unk> and inputs were counted: it is read, and says that it doesn't know.
 * What a later ttt will write is refused by its number. */
static void older_and_newer_formats(void **state)
{
    (void)state;
    static const char *const first[] = { "format: 1", "format: 3" };
    char *text = NULL, hex[HASH_HEX];
    size_t n = 0;
    struct data_index now, x;

    write_set(5, 50000, 1024, 1 << 30);
    const char *path = at("INDEX");
    assert_int_equal(data_index_read(&now, path, 0), OK);
    assert_int_equal(now.format, INDEX_FORMAT);
    assert_int_equal(file_slurp(&text, &n, path, 1 << 20), OK);
    text[n - 39] = '\0';
    const char *unk = strstr(text, "unk: "), *tokens = strstr(text, "tokens: ");
    const char *counts = strstr(text, "unk_tokens: "), *content = strstr(text, "content: ");
    const char *options = strstr(text, "options: "), *shards = strstr(text, "shards:");
    quiet(1);
    for (int i = 0; i < 2; i++) {
        char *body = mem_format("# ttt data set\n%s%.*s%.*s%.*s%s", first[i],
                                (int)(unk - text - 24), text + 24, (int)(counts - tokens), tokens,
                                (int)(options - content), content, shards);
        hash_hex(hex, hash_bytes(body, strlen(body)));
        char *whole = mem_format("%shash: %s\n", body, hex);
        assert_int_equal(file_replace(path, whole, strlen(whole)), OK);
        assert_int_equal(data_index_read(&x, path, 0), i ? ERR_DATA : OK);
        if (i == 0) {
            assert_int_equal(x.tokens, now.tokens);
            assert_true(hash_equal(x.content, now.content));
            assert_int_equal(x.unk, -1);
            assert_int_equal(x.unk_tokens, -1);
        }
        data_index_done(&x);
        mem_free(whole);
        mem_free(body);
    }
    quiet(0);
    assert_non_null(strstr(log_last_error(), "format 3; this ttt reads formats 1 to 2"));
    mem_free(text);
    data_index_done(&now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_change_nothing),
        cmocka_unit_test(swapped_shards_are_found),
        cmocka_unit_test(damage_has_an_address),
        cmocka_unit_test(hostile_sizes_are_refused),
        cmocka_unit_test(what_a_shard_cannot_hold),
        cmocka_unit_test(long_numbers_of_an_index),
        cmocka_unit_test(index_with_foreign_paths_is_refused),
        cmocka_unit_test(older_and_newer_formats),
        cmocka_unit_test(every_damage_of_an_index_is_found),
        cmocka_unit_test(every_damage_of_a_shard_is_found),
    };
    return cmocka_run_group_tests(tests, work_make, work_remove);
}
