/* SPDX-License-Identifier: Apache-2.0 */
/* Files of token ids of other programs: their headers field by field, every cut and every damaged
 * byte; the headers that we write are the bytes that NumPy and Megatron write. */
#include "tests/unit/store_test.h"

#include "data_prep/token_file.h"
#include "data_prep/token_megatron.h"
#include "data_prep/token_npy.h"
#include "src/base/bytes.h"
#include "src/base/log.h"
#include "tests/unit/said.h"

#define GOLDEN "tests/golden/ids/"
#define IDS 73
#define MOST 2048

/* The file `name` of tests/golden/ids. */
static size_t golden(char out[MOST], const char *name)
{
    char *path = mem_format(GOLDEN "%s", name), *p = NULL;
    size_t n = 0;

    assert_int_equal(file_slurp(&p, &n, path, MOST), OK);
    memcpy(out, p, n);
    mem_free(p);
    mem_free(path);
    return n;
}

/* Open a file of the test's folder, and check what must hold for every accepted one. */
static int open_at(const char *name)
{
    struct token_file f;
    const int rc = token_file_open(&f, at(name), NULL);

    if (rc == OK) {
        assert_true(f.tokens > 0);
        assert_int_equal(f.at + f.tokens * f.type->bytes, f.size);
        for (int64_t i = 0, before = 0, end; i < f.documents; i++, before = end) {
            assert_int_equal(token_megatron_end(&f, i, &end), OK);
            assert_true(end >= before && end <= f.tokens);
        }
    }
    token_file_close(&f);
    return rc;
}

/* The same ids in every form. */
static void test_ids(void **state)
{
    static const char *const names[] = { "v1-u2.npy", "v1-i4.npy", "v1-i8.npy", "v2-u2.npy",
                                         "v3-u2.npy", "nano.bin", "gpt2.bin", "llama3.bin",
                                         "megatron-u2", "megatron-i4.bin" };
    int32_t want[IDS], got[IDS];
    FILE *in = fopen(GOLDEN "ids.txt", "r");
    (void)state;

    assert_non_null(in);
    for (int i = 0; i < IDS; i++) assert_int_equal(fscanf(in, "%d", want + i), 1);
    fclose(in);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        char *path = mem_format(GOLDEN "%s", names[k]);
        struct token_file f;
        assert_int_equal(token_file_open(&f, path, NULL), OK);
        assert_int_equal(f.tokens, IDS);
        assert_int_equal(token_file_read(&f, got, 0, 70, 258), OK);
        assert_int_equal(token_file_read(&f, got + 70, 70, 3, 258), OK);
        assert_memory_equal(got, want, sizeof want);
        assert_int_equal(token_file_read(&f, got, 0, IDS, 257), ERR_DATA);  /* 257 occurs */
        token_file_close(&f);
        mem_free(path);
    }
}

/* Ids that are negative or huge in their own type. */
static void test_range(void **state)
{
    static const unsigned char all_ones[8] = { 255, 255, 255, 255, 255, 255, 255, 255 };
    static const char *const names[] = { "int8", "int16", "int32", "int64", "uint64", "uint32" };
    int32_t id = 0;
    (void)state;

    put_file(at("t.bin"), all_ones, 8);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct token_file f;
        assert_int_equal(token_file_open(&f, at("t.bin"), token_type(names[i])), OK);
        assert_int_equal(token_file_read(&f, &id, 0, 1, INT32_MAX), ERR_DATA);
        token_file_close(&f);
    }
    assert_null(token_type("float32"));
}

/* A header of .npy with this dictionary, 4 bytes of data, and what must be said of it. */
static void npy_says(const char *dictionary, const char *want)
{
    char file[512] = "\x93NUMPY\x01";
    const size_t n = strlen(dictionary);

    put_u16(file + 8, (uint16_t)n);
    memcpy(file + 10, dictionary, n);
    put_file(at("t.npy"), file, 10 + n + 4);
    hear(1);
    const int rc = open_at("t.npy");
    hear(0);
    assert_int_equal(rc, want ? ERR_DATA : OK);
    if (!want) return;
    assert_non_null(strstr(said, "t.npy: header of .npy: "));
    if (!strstr(said, want)) print_message("%s\n", said);
    assert_non_null(strstr(said, want));
}

static void test_npy_fields(void **state)
{
    (void)state;
    npy_says("{'descr': '<u2', 'fortran_order': False, 'shape': (2,), }\n", NULL);
    npy_says("{\"shape\":(1,2),\"fortran_order\":False,\"descr\":\"<u2\"}", NULL);
    npy_says("{'descr': '<u4', 'fortran_order': True, 'shape': (1,)}", NULL);
    npy_says("{'descr': '<u2', 'fortran_order': False, 'shape': (3,)}", "shape: 3 x 1");
    npy_says("{'descr': '<u2', 'fortran_order': False, 'shape': ()}", "shape: 0 dim");
    npy_says("{'descr': '<u2', 'fortran_order': False, 'shape': (1, 1, 2)}", "shape: 3 dim");
    npy_says("{'descr': '<u2', 'fortran_order': False, 'shape': (-2,)}", "shape: expected");
    npy_says("{'descr': '<u2', 'fortran_order': False, 'shape': (99999999999999999999,)}",
             "shape: expected");
    npy_says("{'descr':'<u2', 'fortran_order':False, 'shape':(281474976710656, 281474976710656)}",
             "shape: 281474976710656 x");
    npy_says("{'descr': '<u2', 'fortran_order': False, 'shape': (2", "shape: expected");
    npy_says("{'descr': '<u2', 'fortran_order': True, 'shape': (1, 2)}", "fortran_order: columns");
    npy_says("{'descr': '<u2', 'fortran_order': 0, 'shape': (2,)}", "fortran_order: expected");
    npy_says("{'descr': '>u2', 'fortran_order': False, 'shape': (2,)}", "'>u2' is big-endian");
    npy_says("{'descr': '<f2', 'fortran_order': False, 'shape': (2,)}", "descr: '<f2' is no");
    npy_says("{'descr': '<u3', 'fortran_order': False, 'shape': (2,)}", "descr: '<u3' is no");
    npy_says("{'descr': '<u', 'fortran_order': False, 'shape': (2,)}", "descr: '<u' is no");
    npy_says("{'descr': [('a', '<u2')], 'fortran_order': False, 'shape': (2,)}", "descr: expected");
    npy_says("{'fortran_order': False, 'shape': (2,)}", "descr is missing");
    npy_says("{'descr': '<u2', 'shape': (2,)}", "fortran_order is missing");
    npy_says("{'descr': '<u2', 'fortran_order': False}", "shape is missing");
    npy_says("{'descr': '<u2', 'descr': '<u2'}", "a second key 'descr'");
    npy_says("{'other': 1}", "an unknown key 'other'");
    npy_says("{'descr': '<u2', 'fortran_order': False, 'shape': (2,)} x", "nothing more");
    npy_says("", "dictionary: expected {");
}

/* A file with one field changed, and what must be said of it. */
static void says(const char *name, const char *as, size_t at_byte, uint64_t x, int bytes,
                 const char *want)
{
    char file[MOST];
    unsigned char number[8];
    const size_t n = golden(file, name);

    put_u64(number, x);
    memcpy(file + at_byte, number, (size_t)bytes);
    put_file(at(as), file, n);
    hear(1);
    const int rc = open_at(as);
    hear(0);
    assert_int_equal(rc, ERR_DATA);
    if (!strstr(said, want)) print_message("%s\n", said);
    assert_non_null(strstr(said, want));
    assert_non_null(strstr(said, as));
}

static void test_fields(void **state)
{
    char file[MOST];
    const size_t n = golden(file, "megatron-u2.bin");
    (void)state;

    says("gpt2.bin", "g.bin", 4, 2, 4, "version 2, expected 1");
    says("llama3.bin", "g.bin", 4, 1, 4, "version 1, expected 7");
    says("gpt2.bin", "g.bin", 8, 74, 4, "number of tokens 74");
    says("gpt2.bin", "g.bin", 0, 20240522, 4, "multiple-choice");
    says("v1-u2.npy", "t.npy", 1, 'X', 1, "magic");
    says("v1-u2.npy", "t.npy", 6, 4, 1, "version 4.0");
    says("v1-u2.npy", "t.npy", 8, 60000, 2, "length 60000");
    says("v2-u2.npy", "t.npy", 8, 1000000000, 4, "length 1000000000");

    put_file(at("m.bin"), file, n);  /* 6 sequences: lengths at 34, pointers 58, documents 106 */
    says("megatron-u2.idx", "m.idx", 0, 'X', 1, "magic");
    says("megatron-u2.idx", "m.idx", 9, 2, 8, "version: 2");
    says("megatron-u2.idx", "m.idx", 17, 7, 1, "type of the ids: code 7");
    says("megatron-u2.idx", "m.idx", 17, 4, 1, "pointer of sequence 1: 14");  /* int32 */
    says("megatron-u2.idx", "m.idx", 17, 1, 1, "pointer of sequence 1");  /* uint8 */
    says("megatron-u2.idx", "m.idx", 18, 0, 8, "number of sequences: 0");
    says("megatron-u2.idx", "m.idx", 18, UINT64_MAX, 8, "number of sequences: 1844");
    says("megatron-u2.idx", "m.idx", 18, 7, 8, "7 sequences and 6 documents take");
    says("megatron-u2.idx", "m.idx", 26, 1, 8, "number of documents: 1");
    says("megatron-u2.idx", "m.idx", 26, (uint64_t)1 << 63, 8, "number of documents: 922");
    says("megatron-u2.idx", "m.idx", 34, 1000, 4, "length of sequence 0: 1000");
    says("megatron-u2.idx", "m.idx", 38, UINT32_MAX, 4, "length of sequence 1: -1");
    says("megatron-u2.idx", "m.idx", 54, 18, 4, "have 144 bytes");
    says("megatron-u2.idx", "m.idx", 58, 2, 8, "pointer of sequence 0: 2");
    says("megatron-u2.idx", "m.idx", 66, 15, 8, "pointer of sequence 1: 15");
    says("megatron-u2.idx", "m.idx", 106, 1, 8, "entry 0 is 1");
    says("megatron-u2.idx", "m.idx", 122, 0, 8, "entry 2 is 0");
    says("megatron-u2.idx", "m.idx", 154, 5, 8, "entry 6 is 5");
    says("megatron-u2.idx", "m.idx", 154, 7, 8, "entry 6 is 7");

    const size_t k = golden(file, "megatron-u2.idx");
    memset(file + k, 0, 6);
    put_file(at("m.idx"), file, k + 6);
    hear(1);
    assert_int_equal(open_at("m.idx"), ERR_DATA);
    hear(0);
    assert_non_null(strstr(said, "multimodal"));
}

/* A new file: to truncate one that exists makes some file systems write it to disk. */
static void put_new(const char *path, const void *data, size_t n)
{
    unlink(path);
    put_file(path, data, n);
}

/* Every cut is an error; a damaged byte is one, or leaves a file that can be read. */
static void test_damage(void **state)
{
    static const char *const names[] = { "v1-u2.npy", "v3-u2.npy", "gpt2.bin", "megatron-u2.idx" };
    char file[MOST];
    (void)state;

    quiet(1);
    put_file(at("d.bin"), file, golden(file, "megatron-u2.bin"));
    for (int k = 0; k < 4; k++) {
        const char *as = k < 2 ? "d.npy" : k == 2 ? "g.bin" : "d.idx";
        const size_t n = golden(file, names[k]), head = n < 300 ? n : 12;
        for (size_t cut = k == 2 ? 1024 : 0; cut < n; cut++) {
            put_new(at(as), file, cut);
            assert_int_equal(open_at(as), ERR_DATA);
        }
        for (size_t i = 0; i < 8 * head; i++) {
            file[i / 8] ^= (char)(1 << i % 8);
            put_new(at(as), file, n);
            const int rc = open_at(as);
            assert_true(rc == OK || rc == ERR_DATA);
            file[i / 8] ^= (char)(1 << i % 8);
        }
    }
    quiet(0);
}

/* What we write is what NumPy and Megatron write. */
static void test_heads(void **state)
{
    char want[MOST], got[TOKEN_NPY_HEAD];
    unsigned char head[MEGATRON_HEAD];
    (void)state;

    golden(want, "v1-u2.npy");
    assert_int_equal(token_npy_head(got, token_type("uint16"), IDS), 128);
    assert_memory_equal(got, want, 128);
    golden(want, "v1-i4.npy");
    assert_int_equal(token_npy_head(got, token_type("int32"), IDS), 128);
    assert_memory_equal(got, want, 128);
    golden(want, "megatron-i4.idx");
    put_u64(want + 18, 5);  /* there, document 2 has two sequences */
    token_megatron_head(head, token_type("int32"), 5);
    assert_memory_equal(head, want, MEGATRON_HEAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids), cmocka_unit_test(test_range), cmocka_unit_test(test_npy_fields),
        cmocka_unit_test(test_fields), cmocka_unit_test(test_damage), cmocka_unit_test(test_heads),
    };
    return cmocka_run_group_tests(tests, work_make, work_remove);
}
