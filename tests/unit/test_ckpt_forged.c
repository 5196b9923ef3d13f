/* SPDX-License-Identifier: Apache-2.0 */
/* Files whose hashes are right and whose content is wrong: what a hostile or broken writer
 * could make.  Bounds must hold where no checksum helps. */
#include "tests/unit/store_test.h"

#include <zstd.h>

#include "src/base/bytes.h"
#include "src/base/hash.h"
#include "src/base/log.h"
#include "src/base/rng.h"
#include "src/store/ckpt.h"
#include "src/store/tile.h"
#include "src/store/writer.h"

static char folder[512], manifest[600], data[600];

static int whole(void)
{
    struct ckpt *c = NULL;
    int rc = ckpt_open(&c, folder);
    if (rc == OK) rc = ckpt_verify(c);
    ckpt_close(c);
    return rc;
}

/* A checkpoint of three tensors, two of them of one tile size. */
static void make(void)
{
    float x[12], y[12], z[1] = { 3 };
    const struct tensor t[] = { { "x", DT_F32, 2, { 3, 4 }, x }, { "y", DT_F32, 2, { 3, 4 }, y },
                                { "z", DT_F32, 1, { 1 }, z } };
    const struct ckpt_meta meta = { .step = 7 };
    const struct ckpt_opts opts = { .level = 1 };
    struct hash root;
    for (int i = 0; i < 12; i++) {
        x[i] = (float)rng_normal(1, (uint64_t)i);
        y[i] = (float)rng_normal(2, (uint64_t)i);
    }
    char *command = mem_format("rm -rf '%s'", at("f"));
    assert_int_equal(system(command), 0);
    mem_free(command);
    assert_int_equal(ckpt_save(at("f"), t, 3, &meta, &opts, &root), OK);
    snprintf(folder, sizeof folder, "%s/step-%012d.a0001", at("f"), 7);
    snprintf(manifest, sizeof manifest, "%s/MANIFEST", folder);
    snprintf(data, sizeof data, "%s/w000.ttc", folder);
}

/* The first `from` in the MANIFEST becomes `to`, and its hash right again. */
static void edit(const char *from, const char *to)
{
    char *text = NULL, hex[HASH_HEX];
    size_t n = 0;

    assert_int_equal(file_slurp(&text, &n, manifest, 1 << 20), OK);
    char *found = strstr(text, from);
    if (!found) fail_msg("no %s in the MANIFEST", from);
    *strchr(text, '\n') = '\0';
    char *body = mem_format("%.*s%s%s\n", (int)(found - text), text, to, found + strlen(from));
    hash_hex(hex, hash_bytes(body, strlen(body)));
    char *forged = mem_format("%sXXH3-128 %s\n", body, hex);
    put_file(manifest, forged, strlen(forged));
    mem_free(text);
    mem_free(body);
    mem_free(forged);
}

static void forged_manifests(void **state)
{
    (void)state;
    static const char *const edits[][2] = {
        { "\"version\":1", "\"version\":2" },
        { "\"version\":1", "\"version\":1,\"version\":1" },
        { "\"version\":1", "\"version\":1,\"more\":0" },
        { "\"version\":1", "\"version\":\"1\"" },
        { "ttt checkpoint", "a checkpoint" },
        { "\"step\":7", "\"step\":-7" },
        { "\"step\":7", "\"step\":7.5" },
        { "\"attempt\":1,", "" },
        { "\"scalars\":{}", "\"scalars\":[]" },
        { "\"scalars\":{}", "\"scalars\":{\"a\":1}" },              /* in the root */
        { "\"root\":\"", "\"root\":\"0" },
        { "\"name\":\"x\"", "\"name\":\"\"" },
        { "\"name\":\"x\"", "\"name\":\"y\"" },                     /* twice       */
        { "\"name\":\"x\"", "\"name\":\"X\"" },                     /* another one */
        { "\"name\":\"x\"", "\"nome\":\"x\"" },
        { "\"shape\":[3,4]", "\"shape\":[4,3]" },
        { "\"shape\":[3,4]", "\"shape\":[12]" },
        { "\"shape\":[3,4]", "\"shape\":[3,-4]" },
        { "\"shape\":[3,4]", "\"shape\":[1073741824,1048576]" },    /* 4 PiB       */
        { "\"shape\":[3,4]", "\"shape\":[4611686018427387904,4]" }, /* wraps to 0  */
        { "\"shape\":[3,4]", "\"shape\":[3,4,1,1,1,1,1,1,1]" },
        { "\"dtype\":\"F32\"", "\"dtype\":\"F64\"" },
        { "\"dtype\":\"F32\"", "\"dtype\":\"I32\"" },
        { "\"dtype\":\"F32\"", "\"dtype\":\"F33\"" },
        { "w000.ttc", "../w000.ttc" },
        { "w000.ttc", "w001.ttc" },
        { "\"tiles\":3", "\"tiles\":2" },
        { "\"tiles\":3", "\"tiles\":4" },
        { "\"tiles\":3", "\"tiles\":-1" },
        { "\"tiles\":3", "\"tiles\":1000000000000000000" },
        { "\"bytes\":", "\"bytes\":1" },
        { "\"index\":\"", "\"index\":\"g" },
        { "\"tiles\":3", "\"tiles\":0" },
        { "\"name\":\"x\"", "\"name\":\"\\u001b[31m\"" },
        { "\"files\":[", "\"files\":[0," },
        { "\"files\":[", "\"files\":0,\"x\":[" },
    };
    make();
    assert_int_equal(whole(), OK);
    edit("\"info\":{}", "\"info\":{\"a\":1}");                      /* not in the root */
    assert_int_equal(whole(), OK);
    quiet(1);
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        make();
        edit(edits[i][0], edits[i][1]);
        if (whole() != ERR_DATA) fail_msg("accepted: %s -> %s", edits[i][0], edits[i][1]);
    }
    quiet(0);
}

/* Sizes whose sum is more than a number holds are refused before they are added up. */
static void sums_that_overflow(void **state)
{
#define LARGE(name) ",{\"bytes\":9223372036854775807,\"index\":\"0123456789abcdef0123456789abcdef\","  \
                    "\"name\":\"" name "\",\"tiles\":192153584101141162}"
    (void)state;
    make();
    edit("\"tiles\":3}", "\"tiles\":3}" LARGE("w001.ttc") LARGE("w002.ttc"));
    quiet(1);
    assert_int_equal(whole(), ERR_DATA);
    quiet(0);
    assert_non_null(strstr(log_last_error(), "the description of a writer file is not valid"));
}

/* Index entries changed, all hashes up to the root's right. */
static void forged_indexes(void **state)
{
    (void)state;
    /* word 0 tensor, 1 tile, 2 offset, 3 stored; of entry 0 or 1 */
    static const struct { int entry, word; uint64_t value; } edits[] = {
        { 0, 0, 1 }, { 0, 0, 3 }, { 0, 0, UINT64_MAX }, { 0, 1, 1 }, { 0, 1, UINT64_MAX },
        { 0, 2, 8 }, { 0, 2, UINT64_MAX }, { 0, 3, 0 }, { 0, 3, 1 << 20 }, { 0, 3, UINT64_MAX },
        { 0, 3, INT64_MAX }, { 1, 0, 0 }, { 1, 2, 0 },
    };
    quiet(1);
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        char *bytes = NULL, old[HASH_HEX], new[HASH_HEX];
        size_t n = 0, index = 3 * WRITER_ENTRY;
        make();
        assert_int_equal(file_slurp(&bytes, &n, data, 1 << 20), OK);
        hash_hex(old, hash_bytes(bytes + n - index, index));
        put_u64(bytes + n - index + edits[i].entry * WRITER_ENTRY + 8 * edits[i].word,
                edits[i].value);
        hash_hex(new, hash_bytes(bytes + n - index, index));
        put_file(data, bytes, n);
        edit(old, new);
        if (whole() != ERR_DATA) fail_msg("accepted index edit %zu", i);
        mem_free(bytes);
    }
    quiet(0);
}

/* Tensors, but not one tile, everything hashed and rooted rightly. */
static void no_tiles_at_all(void **state)
{
    (void)state;
    char *text = NULL, *from = NULL, hex[HASH_HEX], old[HASH_HEX];
    size_t n = 0;

    make();
    assert_int_equal(file_slurp(&text, &n, manifest, 1 << 20), OK);
    put_file(data, "", 0);
    edit("\"tiles\":3", "\"tiles\":0");
    from = mem_string(strstr(text, "\"bytes\":"));
    from[strcspn(from, ",")] = '\0';
    edit(from, "\"bytes\":0");
    snprintf(old, sizeof old, "%s", strstr(text, "\"index\":\"") + 9);
    hash_hex(hex, hash_bytes("", 0));
    edit(old, hex);
    snprintf(old, sizeof old, "%s", strstr(text, "\"root\":\"") + 8);
    hash_hex(hex, hash_bytes("{}", 2));
    edit(old, hex);
    quiet(1);
    assert_int_equal(whole(), ERR_DATA);
    quiet(0);
    mem_free(text);
    mem_free(from);
}

/* One tile, packed; tests change the copy and set its hashes right. */
struct record {
    struct tensor t;
    struct tile tile;
    struct hash leaf;
    unsigned char head[TILE_HEAD], payload[4096];
    int64_t stored;
    float raw[512];
};

static const char *unpack(struct tile_codec *c, struct record *r)
{
    float out[512];
    put_u64(r->head + 496, (uint64_t)r->stored);
    hash_store(r->head + 520, hash_bytes(r->payload, (size_t)r->stored));
    hash_store(r->head + 536, hash_bytes(r->head, 536));
    const char *wrong = tile_unpack(c, out, r->head, r->payload, r->stored, r->leaf, &r->t,
                                    &r->tile);
    if (!wrong) assert_memory_equal(out, r->raw, sizeof out);
    return wrong;
}

static void forged_records(void **state)
{
    (void)state;
    static struct record good, r;
    struct tile_codec *c = tile_codec_new(sizeof good.raw);
    struct packed_tile packed;
    char zeros[8192] = { 0 };
    ZSTD_CCtx *z = ZSTD_createCCtx();

    good.t = (struct tensor){ "t", DT_F32, 1, { 512 }, good.raw };
    good.tile = tile_at(&good.t, 0);
    for (int i = 0; i < 512; i++) good.raw[i] = (float)(i % 7);
    tile_pack(&packed, c, &good.t, &good.tile, good.raw, 1);
    memcpy(good.head, packed.head, sizeof good.head);
    good.stored = packed.stored;
    good.leaf = packed.leaf;
    assert_true(good.stored < 2048 - 64);
    memcpy(good.payload, packed.payload, (size_t)good.stored);
    r = good;
    assert_null(unpack(c, &r));

    /* Every byte of the identity, and codec and filter, with a right header hash. */
    for (int i = 0; i < 496; i++) {
        r = good;
        r.head[i] ^= 1;
        assert_non_null(unpack(c, &r));
    }
    /* A frame of another size than the tile: larger (a bomb), smaller, of unknown size. */
    static const size_t sizes[] = { 8192, 2049, 2047, 0 };
    for (int i = 0; i < 4; i++) {
        r = good;
        r.stored = (int64_t)ZSTD_compress(r.payload, sizeof r.payload, zeros, sizes[i], 1);
        assert_non_null(unpack(c, &r));
    }
    r = good;
    ZSTD_CCtx_setParameter(z, ZSTD_c_contentSizeFlag, 0);
    r.stored = (int64_t)ZSTD_compress2(z, r.payload, sizeof r.payload, good.raw, sizeof good.raw);
    assert_non_null(unpack(c, &r));
    /* Right size, other content. */
    r = good;
    r.stored = (int64_t)ZSTD_compress(r.payload, sizeof r.payload, zeros, 2048, 1);
    assert_non_null(unpack(c, &r));
    /* Two frames; a frame and a skippable one; a frame cut short; nothing. */
    r = good;
    memcpy(r.payload + r.stored, good.payload, (size_t)good.stored);
    r.stored *= 2;
    assert_non_null(unpack(c, &r));
    r = good;
    put_u32(r.payload + r.stored, 0x184d2a50);
    put_u32(r.payload + r.stored + 4, 0);
    r.stored += 8;
    assert_non_null(unpack(c, &r));
    for (r = good; r.stored > 0;) {
        r.stored--;
        assert_non_null(unpack(c, &r));
    }
    ZSTD_freeCCtx(z);
    tile_codec_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forged_manifests), cmocka_unit_test(sums_that_overflow), cmocka_unit_test(forged_indexes),
        cmocka_unit_test(no_tiles_at_all),  cmocka_unit_test(forged_records),
    };
    return cmocka_run_group_tests(tests, work_make, work_remove);
}
