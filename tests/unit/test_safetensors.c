/* SPDX-License-Identifier: Apache-2.0 */
/* Strict reading: every file that breaks a rule is refused, whatever was done to it
 * nothing crashes, and what is accepted is what the bytes say. */
#include "tests/unit/store_test.h"

#include <math.h>

#include "src/base/bytes.h"
#include "src/store/safetensors.h"

/* A file written by hand: `header`, then n bytes of data. */
static const char *file_of(const char *header, const void *data, size_t n)
{
    static unsigned char bytes[8192];
    const char *path = at("hand.safetensors");
    const size_t len = strlen(header);
    assert_true(8 + len + n <= sizeof bytes);
    put_u64(bytes, len);
    memcpy(bytes + 8, header, len);
    memcpy(bytes + 8 + len, data, n);
    put_file(path, bytes, 8 + len + n);
    return path;
}

static int open_rc(const char *path)
{
    struct safetensors *s = NULL;
    const int rc = safetensors_open(&s, path);
    assert_true((rc == OK) == (s != NULL));
    safetensors_close(s);
    return rc;
}

/* Values of every type, from bytes that the definition of the type gives. */
static void reads_hand_written_bytes(void **state)
{
    (void)state;
    static const unsigned char data[] = {
        0, 0, 0xc0, 0x3f,  0, 0, 0x80, 0xff,               /* F32 1.5, -inf          */
        0, 0, 0, 0, 0, 0, 0xf4, 0xbf,                      /* F64 -1.25              */
        0xc0, 0x3f,  0x00, 0xc0,                           /* BF16 1.5, -2           */
        0x01, 0x00,  0xff, 0x7b,                           /* F16 2^-24, 65504       */
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,    /* I64 -1                 */
        7, 0, 0, 0, 0, 0, 0, 0x80,                         /* I32 7, -2^31           */
    };
    static const char header[] =
        "{\"c\":{\"dtype\":\"BF16\",\"shape\":[2,1],\"data_offsets\":[16,20]},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
        "\"b\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[8,16]},"
        "\"d\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[20,24]},"
        "\"__metadata__\":{\"format\":\"pt\"},"
        "\"e\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[24,32]},"
        "\"f\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[32,40]},"
        "\"none\":{\"dtype\":\"F32\",\"shape\":[3,0],\"data_offsets\":[40,40]}}   ";
    struct safetensors *s = NULL;
    double x[2];
    real r[2];
    int32_t k[2];

    assert_int_equal(safetensors_open(&s, file_of(header, data, sizeof data)), OK);
    assert_int_equal(safetensors_count(s), 7);
    assert_int_equal(safetensors_find(s, "c"), 2);
    assert_int_equal(safetensors_find(s, "__metadata__"), -1);
    assert_int_equal(safetensors_tensor(s, 2)->ndim, 2);
    assert_int_equal(tensor_n(safetensors_tensor(s, safetensors_find(s, "none"))), 0);

    assert_int_equal(safetensors_read_f64(s, safetensors_find(s, "a"), x), OK);
    assert_true(x[0] == 1.5 && x[1] == -INFINITY);
    assert_int_equal(safetensors_read_real(s, safetensors_find(s, "b"), r), OK);
    assert_true(r[0] == (real)-1.25);
    assert_int_equal(safetensors_read_real(s, safetensors_find(s, "c"), r), OK);
    assert_true(r[0] == (real)1.5 && r[1] == -2);
    assert_int_equal(safetensors_read_f64(s, safetensors_find(s, "d"), x), OK);
    assert_true(x[0] == 0x1p-24 && x[1] == 65504);
    assert_int_equal(safetensors_read_i32(s, safetensors_find(s, "e"), k), OK);
    assert_int_equal(k[0], -1);
    assert_int_equal(safetensors_read_i32(s, safetensors_find(s, "f"), k), OK);
    assert_true(k[0] == 7 && k[1] == INT32_MIN);

    quiet(1);
    assert_int_equal(safetensors_read_i32(s, safetensors_find(s, "a"), k), ERR_DATA);
    assert_int_equal(safetensors_read_real(s, safetensors_find(s, "f"), r), ERR_DATA);
    quiet(0);
    safetensors_close(s);
}

/* All 65536 half-precision numbers: zero, one, the largest and the smallest are known, the
 * numbers grow with their bits, and inside a binade they are equally spaced. */
static void half_precision(void **state)
{
    (void)state;
    double last = -1, gap = 0;
    for (unsigned h = 0; h < 0x7c00; h++) {
        const uint16_t pair[2] = { (uint16_t)h, (uint16_t)(h | 0x8000) };
        double x[2];
        assert_int_equal(convert_to_f64(x, pair, DT_F16, 2), OK);
        assert_true(x[0] > last && x[1] == -x[0]);
        if (h % 1024 > 1) assert_true(x[0] - last == gap);
        gap = x[0] - last;
        last = x[0];
        if (h == 0) assert_true(x[0] == 0 && signbit(x[1]));
        if (h == 1) assert_true(x[0] == 0x1p-24);
        if (h == 0x0400) assert_true(x[0] == 0x1p-14);
        if (h == 0x3c00) assert_true(x[0] == 1);
        if (h == 0x7bff) assert_true(x[0] == 65504);
    }
    const uint16_t special[3] = { 0x7c00, 0xfc00, 0x7e01 };
    double x[3];
    assert_int_equal(convert_to_f64(x, special, DT_F16, 3), OK);
    assert_true(x[0] == INFINITY && x[1] == -INFINITY && isnan(x[2]));
}

/* Integers that 32 bits can't hold are refused, not cut. */
static void integers_out_of_range(void **state)
{
    (void)state;
    const int64_t good[2] = { INT32_MAX, INT32_MIN }, bad = (int64_t)INT32_MAX + 1;
    int32_t k[2];
    assert_int_equal(convert_to_i32(k, good, DT_I64, 2), OK);
    assert_true(k[0] == INT32_MAX && k[1] == INT32_MIN);
    assert_int_equal(convert_to_i32(k, &bad, DT_I64, 1), ERR_DATA);
}

#define T(name, dtype, shape, offsets) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

/* Each breaks one rule; the data part has 16 bytes. */
static void hostile_headers(void **state)
{
    (void)state;
    static const char *const good = "{" T("a", "F32", "[2,2]", "[0,16]") "}";
    static const char *const bad[] = {
        "{}",                                                           /* 16 bytes of nobody    */
        "[]", "0", " {}", "{", "nul", "{\"a\"}",
        "{" T("a", "F32", "[2,2]", "[0,16]") "} x",
        "{" T("a", "F32", "[2,2]", "[0,15]") "}",
        "{" T("a", "F32", "[2,2]", "[16,0]") "}",
        "{" T("a", "F32", "[2,2]", "[-16,0]") "}",
        "{" T("a", "F32", "[2,2]", "[0,16,16]") "}",
        "{" T("a", "F32", "[2,2]", "[0.0,16.0]") "}",
        "{" T("a", "F32", "[2,2]", "\"0,16\"") "}",
        "{" T("a", "F32", "[1,3]", "[0,12]") "}",                       /* bytes left over       */
        "{" T("a", "F32", "[2,3]", "[0,24]") "}",                       /* more than there is    */
        "{" T("a", "F31", "[2,2]", "[0,16]") "}",
        "{" T("a", "f32", "[2,2]", "[0,16]") "}",
        "{" T("a", "F32", "[-2,-2]", "[0,16]") "}",
        "{" T("a", "F32", "[2,2.0]", "[0,16]") "}",
        "{" T("a", "F32", "4", "[0,16]") "}",
        "{" T("a", "F32", "[2,2,1,1,1,1,1,1,1]", "[0,16]") "}",
        "{" T("a", "F32", "[4294967296,4294967296,2]", "[0,16]") "}",   /* wraps to 0            */
        "{" T("a", "F32", "[0,4294967296,4294967296]", "[0,0]") "}",
        "{" T("a", "F32", "[9223372036854775807]", "[0,16]") "}",
        "{" T("a", "F32", "[9223372036854775808]", "[0,16]") "}",
        "{" T("", "F32", "[2,2]", "[0,16]") "}",
        "{" T("a\\u0000b", "F32", "[2,2]", "[0,16]") "}",
        "{" T("\xff", "F32", "[2,2]", "[0,16]") "}",                    /* not UTF-8             */
        "{" T("a", "F32", "[2]", "[0,8]") "," T("a", "F32", "[2]", "[8,16]") "}",  /* twice      */
        "{" T("a", "F32", "[2]", "[0,8]") "," T("b", "F32", "[2]", "[4,12]") "}",  /* overlap    */
        "{" T("a", "F32", "[1]", "[0,4]") "," T("b", "F32", "[2]", "[8,16]") "}",  /* hole       */
        "{" T("a", "F32", "[2,2]", "[0,16]") "," T("b", "F32", "[2,2]", "[0,16]") "}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,2]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16],\"x\":1}}",
        "{\"a\":[]}", "{\"a\":null}",
    };
    const char zeros[16] = { 0 };

    assert_int_equal(open_rc(file_of(good, zeros, 16)), OK);
    quiet(1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const int rc = open_rc(file_of(bad[i], zeros, 16));
        if (rc != ERR_DATA) printf("accepted: %s\n", bad[i]);
        assert_int_equal(rc, ERR_DATA);
    }

    char *deep = mem_new(5000, 1, "test"), *long_name = NULL;
    memset(deep, '[', 4999);
    deep[0] = '{';
    assert_int_equal(open_rc(file_of(deep, zeros, 16)), ERR_DATA);
    memset(deep, 'n', 256);
    deep[256] = '\0';
    long_name = mem_format("{" T("%s", "F32", "[2,2]", "[0,16]") "}", deep);
    assert_int_equal(open_rc(file_of(long_name, zeros, 16)), ERR_DATA);
    mem_free(long_name);
    deep[255] = '\0';
    long_name = mem_format("{" T("%s", "F32", "[2,2]", "[0,16]") "}", deep);
    assert_int_equal(open_rc(file_of(long_name, zeros, 16)), OK);
    mem_free(long_name);
    mem_free(deep);

    /* The length itself: nothing is allocated for what is not there. */
    static const uint64_t lengths[] = { 0, 1, 17, 1 << 20, 101 << 20, 1ull << 62, UINT64_MAX };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        unsigned char raw[24] = { 0 };
        put_u64(raw, lengths[i]);
        raw[8] = '{';
        raw[9] = '}';
        put_file(at("length"), raw, sizeof raw);
        assert_int_equal(open_rc(at("length")), ERR_DATA);
    }
    assert_int_equal(open_rc(at("absent")), ERR_MISSING);
    assert_int_equal(open_rc(work), ERR_MISSING);
    quiet(0);
}

static void fill(float *x, int n)
{
    for (int i = 0; i < n; i++) x[i] = (float)sin(1.0 + i);
}

/* What is written is read back, name by name and bit by bit, in order. */
static void round_trip(void **state)
{
    (void)state;
    static float x[7 * 67];
    static uint8_t bytes[3] = { 1, 2, 255 };
    const struct tensor t[] = {
        { "z.weight", DT_F32, 2, { 7, 67 }, x },
        { "a \"quoted\" \\ \xc3\xa9", DT_U8, 1, { 3 }, bytes },
        { "empty", DT_F64, 3, { 2, 0, 5 }, NULL },
        { "scalar", DT_F32, 0, { 0 }, x + 5 },
    };
    struct safetensors *s = NULL;
    char *raw = NULL;
    size_t n = 0;

    fill(x, 7 * 67);
    for (int again = 0; again < 2; again++)  /* the second time over the first */
        assert_int_equal(safetensors_save(at("rt"), t, 4), OK);
    assert_int_equal(safetensors_open(&s, at("rt")), OK);
    assert_int_equal(safetensors_count(s), 4);
    for (int i = 0; i < 4; i++) {
        unsigned char got[sizeof x];
        const int k = safetensors_find(s, t[i].name);
        assert_true(k >= 0 && tensor_same_shape(&t[i], safetensors_tensor(s, k)));
        assert_int_equal(safetensors_tensor(s, k)->dtype, t[i].dtype);
        assert_int_equal(safetensors_read(s, k, got), OK);
        if (t[i].data) assert_memory_equal(got, t[i].data, (size_t)tensor_bytes(&t[i]));
    }
    safetensors_close(s);

    assert_int_equal(file_slurp(&raw, &n, at("rt"), 1 << 20), OK);
    assert_int_equal(get_u64(raw) % 8, 0);
    mem_free(raw);
    assert_false(path_exists(at("rt.tmp")));
}

/* Flip every bit, cut at every length, append: refused, or read without a crash.  The format
 * has no checksum, so flips in the data must be accepted: exactly those, plus the few in the
 * header that leave it valid. */
static void damaged_files(void **state)
{
    (void)state;
    static float x[40];
    const struct tensor t[] = { { "w", DT_F32, 2, { 4, 5 }, x },
                                { "v", DT_F32, 1, { 20 }, x + 20 } };
    char *raw = NULL;
    size_t n = 0, accepted = 0, header = 0;

    fill(x, 40);
    assert_int_equal(safetensors_save(at("d"), t, 2), OK);
    assert_int_equal(file_slurp(&raw, &n, at("d"), 1 << 20), OK);
    header = 8 + (size_t)get_u64(raw);
    quiet(1);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        struct safetensors *s = NULL;
        raw[bit / 8] ^= (char)(1 << bit % 8);
        put_file(at("d"), raw, n);
        raw[bit / 8] ^= (char)(1 << bit % 8);
        const int rc = safetensors_open(&s, at("d"));
        assert_true(rc == OK || rc == ERR_DATA);
        if (bit / 8 >= header) {
            assert_int_equal(rc, OK);
            accepted++;
        }
        for (int i = 0; rc == OK && i < safetensors_count(s); i++) {
            unsigned char got[160];
            assert_true(tensor_bytes(safetensors_tensor(s, i)) <= (int64_t)sizeof got);
            assert_int_equal(safetensors_read(s, i, got), OK);
        }
        safetensors_close(s);
    }
    assert_int_equal(accepted, 8 * sizeof x);
    for (size_t len = 0; len < n; len++) {
        put_file(at("d"), raw, len);
        assert_int_equal(open_rc(at("d")), ERR_DATA);
    }
    char *longer = mem_resize(raw, (int64_t)n + 1, 1, "test");
    longer[n] = 0;
    put_file(at("d"), longer, n + 1);
    assert_int_equal(open_rc(at("d")), ERR_DATA);
    put_file(at("d"), longer, n);
    quiet(0);
    assert_int_equal(open_rc(at("d")), OK);
    mem_free(longer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_hand_written_bytes), cmocka_unit_test(half_precision),
        cmocka_unit_test(integers_out_of_range),    cmocka_unit_test(hostile_headers),
        cmocka_unit_test(round_trip),               cmocka_unit_test(damaged_files),
    };
    return cmocka_run_group_tests(tests, work_make, work_remove);
}
