/* SPDX-License-Identifier: Apache-2.0 */
/* What a checkpoint file means, and that no damage to it goes unseen. */
#include "tests/unit/store_test.h"

#include <omp.h>
#include <xxhash.h>

#include "src/base/bytes.h"
#include "src/base/rng.h"
#include "src/store/ckpt.h"
#include "src/store/tile.h"

static const struct ckpt_opts keep_all = { .level = 1 };

/* A state of odd shapes: bits that do not compress, bits that do, nothing at all. */
struct fixture {
    float   w[61 * 67], small[3];
    double  d[31];
    uint8_t bytes[67];
    int64_t counters[2];
    struct tensor t[6];
};

static void fixture_fill(struct fixture *f, uint64_t seed)
{
    memset(f, 0, sizeof *f);
    for (int i = 0; i < 61 * 67; i++) f->w[i] = (float)rng_normal(seed, (uint64_t)i);
    for (int i = 0; i < 67; i++) f->bytes[i] = (uint8_t)rng_u64(seed + 1, (uint64_t)i);
    f->small[1] = -1.5f;
    f->d[30] = (double)seed;
    f->counters[0] = -1;
    const struct tensor t[6] = {
        { "model.w", DT_F32, 2, { 61, 67 }, f->w },  { "b", DT_F32, 1, { 3 }, f->small },
        { "d \xc3\xa9", DT_F64, 3, { 1, 31, 1 }, f->d }, { "u8", DT_U8, 1, { 67 }, f->bytes },
        { "n", DT_I64, 1, { 2 }, f->counters },     { "empty", DT_F32, 2, { 0, 5 }, NULL },
    };
    memcpy(f->t, t, sizeof t);
}

/* Save under work/dir; the path of the new checkpoint, which must be attempt 1. */
static const char *save(const char *dir, const struct fixture *f, int64_t step, json_t *scalars,
                        const struct ckpt_opts *opts, struct hash *root)
{
    static char ring[4][512];
    static int next;
    char *path = ring[next++ % 4];
    struct hash ignored;
    json_t *info = json_pack("{s:s}", "run_id", "test");
    const struct ckpt_meta meta = { .step = step, .scalars = scalars, .info = info };

    assert_int_equal(ckpt_save(at(dir), f->t, 6, &meta, opts, root ? root : &ignored), OK);
    json_decref(info);
    snprintf(path, sizeof ring[0], "%s/step-%012lld.a0001", at(dir), (long long)step);
    return path;
}

/* OK only if it opens and every tile verifies. */
static int whole(const char *path)
{
    struct ckpt *c = NULL;
    int rc = ckpt_open(&c, path);
    if (rc == OK) rc = ckpt_verify(c);
    ckpt_close(c);
    return rc;
}

static void what_is_saved_is_read(void **state)
{
    (void)state;
    static struct fixture f;
    struct ckpt *c = NULL;
    struct hash root;
    json_t *scalars = json_pack("{s:I, s:f}", "cursor", (json_int_t)1 << 60, "x", 0.1);
    fixture_fill(&f, 1);
    const char *path = save("rt", &f, 12000, scalars, &keep_all, &root);

    assert_int_equal(ckpt_open(&c, path), OK);
    assert_int_equal(ckpt_step(c), 12000);
    assert_int_equal(ckpt_attempt(c), 1);
    assert_true(hash_equal(ckpt_root(c), root));
    assert_true(json_equal(ckpt_scalars(c), scalars));
    assert_string_equal(json_string_value(json_object_get(ckpt_info(c), "run_id")), "test");
    assert_int_equal(ckpt_count(c), 6);
    assert_int_equal(ckpt_find(c, "absent"), -1);
    for (int i = 0; i < 6; i++) {
        unsigned char got[sizeof f.w] = { 0 };
        const int k = ckpt_find(c, f.t[i].name);
        assert_true(k >= 0 && tensor_same_shape(&f.t[i], ckpt_tensor(c, k)));
        assert_int_equal(ckpt_tensor(c, k)->dtype, f.t[i].dtype);
        assert_int_equal(ckpt_read(c, k, got), OK);
        if (f.t[i].data) assert_memory_equal(got, f.t[i].data, (size_t)tensor_bytes(&f.t[i]));
    }
    assert_int_equal(ckpt_verify(c), OK);
    ckpt_close(c);
    json_decref(scalars);
}

/* The root of one small tensor, from FORMAT.md alone. */
static void root_is_as_documented(void **state)
{
    (void)state;
    float x[3] = { 1, 2, 3 };
    const struct tensor t = { "t", DT_F32, 1, { 3 }, x };
    const struct ckpt_meta meta = { .step = 5 };
    unsigned char b[488 + 12] = "TTCTILE1t", fold[16 + 2];
    struct hash root;

    memcpy(b + 264, "F32", 3);
    put_u64(b + 272, 1);        /* dimensions         */
    put_u64(b + 288, 12);       /* bytes              */
    put_u64(b + 296, 3);        /* shape              */
    put_u64(b + 424, 3);        /* extent, origin 0   */
    memcpy(b + 488, x, 12);
    const XXH128_hash_t leaf = XXH3_128bits(b, sizeof b);
    put_u64(fold, leaf.low64);
    put_u64(fold + 8, leaf.high64);
    memcpy(fold + 16, "{}", 2);
    const XXH128_hash_t want = XXH3_128bits(fold, sizeof fold);

    assert_int_equal(ckpt_save(at("doc"), &t, 1, &meta, &keep_all, &root), OK);
    assert_true(root.lo == want.low64 && root.hi == want.high64);
}

/* Tiles cover a tensor without gap or overlap, in order, and are as large as promised. */
static void tiles_partition(void **state)
{
    (void)state;
    static const struct tensor shapes[] = {
        { "", DT_F32, 0, { 0 }, NULL },          { "", DT_F32, 1, { 1 }, NULL },
        { "", DT_F32, 2, { 0, 7 }, NULL },       { "", DT_F64, 1, { 65536 }, NULL },
        { "", DT_F64, 1, { 65537 }, NULL },     { "", DT_F32, 2, { 32000, 768 }, NULL },
        { "", DT_F32, 2, { 3, 2000003 }, NULL }, { "", DT_U8, 3, { 2, 3, 9000001 }, NULL },
        { "", DT_F32, 4, { 67, 1, 64, 4096 }, NULL }, { "", DT_BF16, 2, { 5000000, 1 }, NULL },
    };
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        const struct tensor *t = &shapes[s];
        int64_t end = 0;
        for (int64_t k = 0; k < tile_count(t); k++) {
            const struct tile tile = tile_at(t, k);
            int64_t elements = 1, offset = 0;
            for (int d = 0; d < t->ndim; d++) {
                assert_true(tile.origin[d] >= 0 && tile.origin[d] + tile.extent[d] <= t->shape[d]);
                elements *= tile.extent[d];
                offset = offset * t->shape[d] + tile.origin[d];
            }
            assert_int_equal(tile.offset, end);
            assert_int_equal(tile.offset, offset * dtype_bytes(t->dtype));
            assert_int_equal(tile.bytes, elements * dtype_bytes(t->dtype));
            assert_true(tile.bytes <= TILE_BYTES && tile.bytes <= tile_room(t));
            end += tile.bytes;
        }
        assert_int_equal(end, tensor_bytes(t));
    }
    assert_int_equal(tile_count(&shapes[3]), 1);
    assert_int_equal(tile_count(&shapes[4]), 2);
}

/* An array and its moments are cut alike, whatever their types: an owner of elements owns tiles. */
static void tiles_do_not_depend_on_dtype(void **state)
{
    (void)state;
    const struct tensor f = { "", DT_F32, 3, { 3, 700, 300 }, NULL };
    for (int dtype = 0; dtype < DT_COUNT; dtype++) {
        struct tensor t = f;
        t.dtype = (enum dtype)dtype;
        assert_int_equal(tile_count(&t), 3 * 4);  /* 218 rows of 300 a tile */
        for (int64_t k = 0; k < tile_count(&t); k++)
            assert_int_equal(tile_at(&t, k).offset * 4, tile_at(&f, k).offset * dtype_bytes(t.dtype));
    }
}

/* One number for a state: not of how it was stored, but of every bit of it. */
static void root_is_the_state(void **state)
{
    (void)state;
    static struct fixture f;
    static const int levels[] = { 1, 3, 9, -5 };
    struct hash root, other;
    json_t *scalars = json_pack("{s:i, s:i}", "a", 1, "b", 2);
    json_t *transposed = json_pack("{s:i, s:i}", "b", 2, "a", 1);
    json_t *changed = json_pack("{s:i, s:i}", "a", 1, "b", 3);
    int64_t step = 1;

    fixture_fill(&f, 1);
    save("root", &f, step++, scalars, &keep_all, &root);
    for (int i = 0; i < 4; i++) {
        const struct ckpt_opts opts = { .level = levels[i] };
        omp_set_num_threads(1 + i);
        save("root", &f, step++, i % 2 ? transposed : scalars, &opts, &other);
        assert_true(hash_equal(root, other));
    }
    omp_set_num_threads(1);
    const struct tensor first = f.t[0];
    f.t[0] = f.t[3];
    f.t[3] = first;
    save("root", &f, step++, scalars, &keep_all, &other);
    assert_true(hash_equal(root, other));

    save("root", &f, step++, changed, &keep_all, &other);
    assert_false(hash_equal(root, other));
    f.t[1].name[0] = 'c';
    save("root", &f, step++, scalars, &keep_all, &other);
    assert_false(hash_equal(root, other));
    f.t[1].name[0] = 'b';
    f.t[2].ndim = 2;
    save("root", &f, step++, scalars, &keep_all, &other);
    assert_false(hash_equal(root, other));
    f.t[2].ndim = 3;
    f.t[4].dtype = DT_F64;
    save("root", &f, step++, scalars, &keep_all, &other);
    assert_false(hash_equal(root, other));
    f.t[4].dtype = DT_I64;
    for (int i = 0; i < 5; i++) {
        unsigned char *bytes = f.t[i].data;
        const uint64_t bits = 8 * (uint64_t)tensor_bytes(&f.t[i]);
        for (uint64_t bit = i; bit < bits; bit += bits / 7 + 1) {
            bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
            save("root", &f, step++, scalars, &keep_all, &other);
            bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
            assert_false(hash_equal(root, other));
        }
    }
    save("root", &f, step++, scalars, &keep_all, &other);
    assert_true(hash_equal(root, other));
    json_decref(scalars);
    json_decref(transposed);
    json_decref(changed);
}

/* Threads take turns: the file itself is the same bytes. */
static void files_do_not_depend_on_threads(void **state)
{
    (void)state;
    static struct fixture f;
    char *a = NULL, *b = NULL;
    size_t na = 0, nb = 0;

    fixture_fill(&f, 3);
    for (int i = 1; i <= 3; i += 2) {
        omp_set_num_threads(i);
        const char *path = save("threads", &f, i, NULL, &keep_all, NULL);
        char *file = mem_format("%s/w000.ttc", path);
        assert_int_equal(file_slurp(i == 1 ? &a : &b, i == 1 ? &na : &nb, file, 1 << 20), OK);
        mem_free(file);
    }
    omp_set_num_threads(1);
    assert_int_equal(na, nb);
    assert_memory_equal(a, b, na);
    mem_free(a);
    mem_free(b);
}

static const char *const parts[] = { "w000.ttc", "MANIFEST" };

/* Promise P3: every bit, every length, and what is appended. */
static void damage_is_found(void **state)
{
    (void)state;
    static struct fixture f;
    char name[512], zeros[64] = { 0 };
    size_t total = 0;

    fixture_fill(&f, 4);
    const char *path = save("damage", &f, 7, NULL, &keep_all, NULL);
    omp_set_num_threads(1);
    quiet(1);
    for (int p = 0; p < 2; p++) {
        char *bytes = NULL;
        size_t n = 0;
        snprintf(name, sizeof name, "%s/%s", path, parts[p]);
        assert_int_equal(file_slurp(&bytes, &n, name, 1 << 20), OK);
        total += n;
        const int fd = open(name, O_WRONLY);
        assert_true(fd >= 0);
        for (size_t bit = 0; bit < 8 * n; bit++) {
            const char bad = (char)(bytes[bit / 8] ^ (char)(1 << bit % 8));
            assert_int_equal(pwrite(fd, &bad, 1, (off_t)(bit / 8)), 1);
            if (whole(path) != ERR_DATA) fail_msg("%s: bit %zu not found", parts[p], bit);
            assert_int_equal(pwrite(fd, bytes + bit / 8, 1, (off_t)(bit / 8)), 1);
        }
        close(fd);
        assert_int_equal(whole(path), OK);
        for (size_t len = 0; len < n; len++) {
            assert_int_equal(truncate(name, (off_t)(n - 1 - len)), 0);
            if (whole(path) != ERR_DATA) fail_msg("%s: cut %zu bytes", parts[p], len + 1);
        }
        for (size_t more = 1; more <= sizeof zeros; more++) {
            put_file(name, bytes, n);
            const int end = open(name, O_WRONLY | O_APPEND);
            assert_int_equal(write(end, zeros, more), (ssize_t)more);
            close(end);
            assert_int_equal(whole(path), ERR_DATA);
        }
        /* A file of its size, all of it another checkpoint's or nothing. */
        char *nothing = mem_new((int64_t)n, 1, "test");
        put_file(name, nothing, n);
        assert_int_equal(whole(path), ERR_DATA);
        mem_free(nothing);
        unlink(name);
        assert_true(whole(path) == (p ? ERR_MISSING : ERR_DATA));
        put_file(name, bytes, n);
        assert_int_equal(whole(path), OK);
        mem_free(bytes);
    }
    quiet(0);
    printf("  %zu bits flipped, %zu lengths cut\n", 8 * total, total);
}

/* Parts of two checkpoints that fit in size and shape do not fit each other. */
static void swaps_are_found(void **state)
{
    (void)state;
    static struct fixture f;
    char *bytes[2][2], name[512];
    size_t n[2][2];
    const char *path[2];

    /* Noise does not compress, so that records of both have one size. */
    fixture_fill(&f, 5);
    for (int i = 0; i < 61 * 67; i++) ((uint32_t *)f.w)[i] = (uint32_t)rng_u64(8, (uint64_t)i);
    for (int a = 0; a < 2; a++) {
        ((uint32_t *)f.w)[9] += (uint32_t)a;
        path[a] = save("swap", &f, 10 + a, NULL, &keep_all, NULL);
        for (int p = 0; p < 2; p++) {
            snprintf(name, sizeof name, "%s/%s", path[a], parts[p]);
            assert_int_equal(file_slurp(&bytes[a][p], &n[a][p], name, 1 << 20), OK);
        }
    }
    assert_int_equal(n[0][0], n[1][0]);
    quiet(1);
    for (int p = 0; p < 2; p++) {
        snprintf(name, sizeof name, "%s/%s", path[0], parts[p]);
        put_file(name, bytes[1][p], n[1][p]);
        assert_int_equal(whole(path[0]), ERR_DATA);
        put_file(name, bytes[0][p], n[0][p]);
    }
    /* One record of the other, with its own right hashes. */
    snprintf(name, sizeof name, "%s/w000.ttc", path[0]);
    const int fd = open(name, O_WRONLY);
    const size_t record = TILE_HEAD + sizeof f.w;
    assert_int_equal(pwrite(fd, bytes[1][0], record, 0), (ssize_t)record);
    assert_int_equal(whole(path[0]), ERR_DATA);
    assert_int_equal(pwrite(fd, bytes[0][0], record, 0), (ssize_t)record);
    close(fd);
    quiet(0);
    assert_int_equal(whole(path[0]), OK);
    for (int k = 0; k < 4; k++) mem_free(bytes[k / 2][k % 2]);
}

/* A tensor of several tiles: tiles exchanged, bits flipped at random. */
static void large_tensors(void **state)
{
    (void)state;
    enum { ROWS = 700, COLS = 4099 };
    float *x = mem_new(ROWS * COLS, sizeof *x, "test");
    float *y = mem_new(ROWS * COLS, sizeof *y, "test");
    const struct tensor t = { "x", DT_F32, 2, { ROWS, COLS }, x };
    const struct ckpt_meta meta = { .step = 1 };
    struct ckpt *c = NULL;
    struct hash root;
    char *name = mem_format("%s/step-%012d.a0001/w000.ttc", at("large"), 1);

    for (int64_t i = 0; i < ROWS * COLS; i++) x[i] = (float)(i % 977) * 0.25f;
    omp_set_num_threads(2);
    assert_int_equal(ckpt_save(at("large"), &t, 1, &meta, &keep_all, &root), OK);
    assert_int_equal(ckpt_newest(&c, at("large"), NULL), OK);
    assert_int_equal(ckpt_read(c, 0, y), OK);
    assert_memory_equal(x, y, sizeof *x * ROWS * COLS);

    const int fd = open(name, O_RDWR);
    const off_t size = lseek(fd, 0, SEEK_END);
    quiet(1);
    for (uint64_t k = 0; k < 40; k++) {
        const off_t where = (off_t)(rng_u64(5, k) % (uint64_t)size);
        char byte;
        assert_int_equal(pread(fd, &byte, 1, where), 1);
        byte ^= (char)(1 << k % 8);
        assert_int_equal(pwrite(fd, &byte, 1, where), 1);
        assert_int_equal(whole(ckpt_path(c)), ERR_DATA);
        byte ^= (char)(1 << k % 8);
        assert_int_equal(pwrite(fd, &byte, 1, where), 1);
    }
    /* A damaged tile is found by whoever reads its tensor, in an open checkpoint too. */
    assert_int_equal(pwrite(fd, "X", 1, TILE_HEAD + 40), 1);
    assert_int_equal(ckpt_read(c, 0, y), ERR_DATA);
    quiet(0);
    omp_set_num_threads(1);
    close(fd);
    ckpt_close(c);
    mem_free(name);
    mem_free(x);
    mem_free(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_saved_is_read), cmocka_unit_test(root_is_as_documented),
        cmocka_unit_test(tiles_partition),
        cmocka_unit_test(tiles_do_not_depend_on_dtype),       cmocka_unit_test(root_is_the_state),
        cmocka_unit_test(files_do_not_depend_on_threads),
        cmocka_unit_test(damage_is_found),       cmocka_unit_test(swaps_are_found),
        cmocka_unit_test(large_tensors),
    };
    return cmocka_run_group_tests(tests, work_make, work_remove);
}
