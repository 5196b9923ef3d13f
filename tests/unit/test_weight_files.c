/* SPDX-License-Identifier: Apache-2.0 */
/* Weights in several files: written and read back, in every type, and what is wrong with an index
 * or its files is found before anything is used. */
#include "tests/unit/store_test.h"

#include <math.h>

#include "src/base/log.h"
#include "src/base/rng.h"
#include "src/model/model.h"
#include "src/store/hf.h"
#include "src/store/weight_files.h"

#define GOLDEN "tests/golden/ttt_linear_m"
#define INDEX "model.safetensors.index.json"

static void golden_model(struct dims *d, struct param_table *t, real **w)
{
    *t = (struct param_table){ 0 };
    assert_int_equal(hf_read_config(d, GOLDEN), OK);
    assert_int_equal(model_layout(t, d), OK);
    *w = mem_new(t->total, sizeof **w, "test");
    assert_int_equal(hf_read_weights(*w, t, GOLDEN), OK);
}

static int files_of(const char *folder)
{
    char **names;
    int count, n = 0;
    assert_int_equal(dir_list(&names, &count, folder), OK);
    for (int i = 0; i < count; i++) n += strstr(names[i], "-of-") != NULL;
    mem_free(names);
    return n;
}

static void several_files_and_back(void **state)
{
    (void)state;
    static const struct { enum dtype dtype; int64_t most; } ways[] = {
        { DT_F32, 0 }, { DT_F32, 400000 }, { DT_F32, 1 }, { DT_BF16, 400000 }, { DT_BF16, 0 },
        { DT_F64, 400000 },
    };
    struct dims d, back;
    struct param_table t;
    real *w;
    golden_model(&d, &t, &w);

    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        real *v = mem_new(t.total, sizeof *v, "test");
        json_t *config = NULL;
        char folder[16];
        snprintf(folder, sizeof folder, "w%zu", i);
        const struct hf_form form = { ways[i].dtype, ways[i].most, NULL };
        assert_int_equal(hf_write_as(at(folder), &d, &t, w, NULL, 0, &form), OK);
        const int n = files_of(at(folder));
        if (ways[i].most == 1) assert_int_equal(n, t.count);  /* one tensor a file */
        else if (!ways[i].most) assert_int_equal(n, 0);
        else assert_true(n >= t.n * dtype_bytes(ways[i].dtype) / ways[i].most && n < t.count);
        assert_int_equal(hf_read_config(&back, at(folder)), OK);
        assert_memory_equal(&back, &d, sizeof d);
        assert_int_equal(hf_read_weights(v, &t, at(folder)), OK);
        assert_int_equal(hf_read_json(&config, at(folder)), OK);
        assert_string_equal(json_string_value(json_object_get(config, "dtype")),
                            ways[i].dtype == DT_BF16 ? "bfloat16" :
                            ways[i].dtype == DT_F64 ? "float64" : "float32");
        for (int k = 0; k < t.count; k++)
            for (int64_t j = t.p[k].offset; j < t.p[k].offset + t.p[k].n; j++) {
                const double x = (double)w[j], y = (double)v[j];
                if (ways[i].dtype != DT_BF16) assert_true(x == y);
                else assert_true(fabs(x - y) <= fabs(x) / 256);  /* 8 bits of mantissa */
            }
        json_decref(config);
        mem_free(v);
    }
    quiet(1);  /* that folder has a model, with and without its config.json */
    assert_int_equal(hf_write(at("w1"), &d, &t, w, NULL, 0), ERR_USAGE);
    assert_int_equal(remove(at("w1/config.json")), 0);
    assert_int_equal(hf_write(at("w1"), &d, &t, w, NULL, 0), ERR_USAGE);
    quiet(0);
    param_done(&t);
    mem_free(w);
}

/* Every family, tied and untied: several files, float and bfloat16. */
static void every_family(void **state)
{
    (void)state;
    static const char *const golden[] = { "ttt_linear_t", "ttt_mlp_m", "llama", "mamba" };

    for (int i = 0; i < 16; i++) {
        struct dims d, back;
        struct param_table t = { 0 };
        const enum dtype dtype = i & 1 ? DT_BF16 : DT_F32;
        char from[64], to[16];
        snprintf(from, sizeof from, "tests/golden/%s", golden[i / 4]);
        snprintf(to, sizeof to, "family%d", i);
        assert_int_equal(hf_read_config(&d, from), OK);
        d.tied = i >> 1 & 1;
        assert_int_equal(model_layout(&t, &d), OK);
        real *w = mem_new(t.total, sizeof *w, "test"), *v = mem_new(t.total, sizeof *v, "test");
        for (int k = 0; k < t.count; k++)
            for (int64_t j = 0; j < t.p[k].n; j++)
                w[t.p[k].offset + j] = (real)(rng_u64((uint64_t)k, (uint64_t)j) % 256);
        const struct hf_form form = { dtype, 100000, NULL };
        assert_int_equal(hf_write_as(at(to), &d, &t, w, NULL, 0, &form), OK);
        assert_true(files_of(at(to)) > 1);
        assert_int_equal(hf_read_config(&back, at(to)), OK);
        assert_memory_equal(&back, &d, sizeof d);
        assert_int_equal(hf_read_weights(v, &t, at(to)), OK);
        assert_memory_equal(v, w, (size_t)t.total * sizeof *w);  /* 0 .. 255 are bfloat16 */
        w[0] += (real)0.125;
        assert_memory_not_equal(v, w, (size_t)t.total * sizeof *w);
        param_done(&t);
        mem_free(w);
        mem_free(v);
    }
}

/* The bfloat16 next to a number, the even one of two that are equally near. */
static void bfloat16_is_the_nearest(void **state)
{
    (void)state;
    const double tie = 1.0 / 256, up = 1.0 / 128;
    const real in[] = { 1, (real)(1 + tie), (real)(1 + 3 * tie), (real)(1 + tie * 1.01), -2,
                        (real)(-1 - tie), (real)3.3895313892515355e38, (real)1e-40, INFINITY };
    const double want[] = { 1, 1, 1 + 2 * up, 1 + up, -2, -1, 3.3895313892515355e38, 0, INFINITY };
    uint16_t half[9], nan_half;
    real out[9];
    const real nan = NAN;

    assert_int_equal(convert_reals(half, DT_BF16, in, 9), OK);
    assert_int_equal(convert_to_real(out, half, DT_BF16, 9), OK);
    for (int i = 0; i < 9; i++)
        if (i != 7) assert_true((double)out[i] == want[i]);
        else assert_true(fabs((double)out[i] - 1e-40) < 1e-40);  /* a subnormal stays one */
    assert_int_equal(convert_reals(&nan_half, DT_BF16, &nan, 1), OK);
    assert_int_equal(convert_to_real(out, &nan_half, DT_BF16, 1), OK);
    assert_true(out[0] != out[0]);
    assert_int_equal(convert_reals(half, DT_I32, in, 1), ERR_DATA);

    /* Against the definition: no other bfloat16 is nearer. */
    for (uint64_t i = 0; i < 20000; i++) {
        const real x = (real)(rng_normal(1, i) * exp(8 * rng_normal(2, i)));
        uint16_t h, near[2];
        real y, z[2];
        convert_reals(&h, DT_BF16, &x, 1);
        convert_to_real(&y, &h, DT_BF16, 1);
        near[0] = (uint16_t)(h - 1);
        near[1] = (uint16_t)(h + 1);
        convert_to_real(z, near, DT_BF16, 2);
        for (int k = 0; k < 2; k++)
            assert_true(fabs((double)(x - y)) <= fabs((double)(x - z[k])));
    }
}

static void put_text(const char *name, const char *text)
{
    put_file(at(name), text, strlen(text));
}

/* Two files, "a" in one and "b" in the other, and an index. */
static int two_files_rc(const char *index)
{
    static const float one[2] = { 1, 2 }, two[3] = { 3, 4, 5 };
    const struct tensor a = { "a", DT_F32, 1, { 2 }, (void *)one };
    const struct tensor b = { "b", DT_F32, 1, { 3 }, (void *)two };
    struct param_table t = { 0 };
    real w[64] = { 0 };

    param_add(&t, "", "a", INIT_ZERO, 0, PARAM_SHAPE(2));
    param_add(&t, "", "b", INIT_ZERO, 0, PARAM_SHAPE(3));
    assert_int_equal(safetensors_save(at("x.safetensors"), &a, 1), OK);
    assert_int_equal(safetensors_save(at("y.safetensors"), &b, 1), OK);
    put_text(INDEX, index);
    const int rc = hf_read_weights(w, &t, work);
    if (rc == OK)
        assert_true(w[t.p[0].offset + 1] == 2 && w[t.p[1].offset + 2] == 5);
    param_done(&t);
    return rc;
}

static void hostile_indexes(void **state)
{
    (void)state;
    static const char good[] = "{\"metadata\": {\"total_size\": 20}, \"weight_map\": "
                               "{\"a\": \"x.safetensors\", \"b\": \"y.safetensors\"}}";
    static const struct { const char *index; int rc; } bad[] = {
        { "", ERR_DATA }, { "[]", ERR_DATA }, { "{", ERR_DATA }, { "{}", ERR_DATA },
        { "\xff", ERR_DATA }, { "{\"weight_map\": []}", ERR_DATA },
        { "{\"weight_map\": {}}", ERR_DATA },
        { "{\"weight_map\": {\"a\": 1, \"b\": \"y.safetensors\"}}", ERR_DATA },
        { "{\"weight_map\": {\"a\": \"\", \"b\": \"y.safetensors\"}}", ERR_DATA },
        { "{\"weight_map\": {\"a\": \"../x.safetensors\", \"b\": \"y.safetensors\"}}", ERR_DATA },
        { "{\"weight_map\": {\"a\": \"/etc/passwd\", \"b\": \"y.safetensors\"}}", ERR_DATA },
        { "{\"weight_map\": {\"a\": \"..\", \"b\": \"y.safetensors\"}}", ERR_DATA },
        { "{\"weight_map\": {\"a\": \"x\\ny\", \"b\": \"y.safetensors\"}}", ERR_DATA },
        { "{\"weight_map\": {\"a\": \"z.safetensors\", \"b\": \"y.safetensors\"}}", ERR_MISSING },
        { "{\"weight_map\": {\"a\": \"y.safetensors\", \"b\": \"x.safetensors\"}}", ERR_DATA },
        { "{\"weight_map\": {\"a\": \"x.safetensors\"}}", ERR_DATA },
        { "{\"weight_map\": {\"b\": \"y.safetensors\"}}", ERR_DATA },
        { "{\"weight_map\": {\"a\": \"x.safetensors\", \"b\": \"x.safetensors\"}}", ERR_DATA },
        { "{\"weight_map\": {\"a\": \"x.safetensors\", \"b\": \"y.safetensors\", "
          "\"c\": \"y.safetensors\"}}", ERR_DATA },
        { "{\"weight_map\": {\"a\": \"x.safetensors\", \"a\": \"y.safetensors\"}}", ERR_DATA },
        { "{\"weight_map\": {\"a\": \"" INDEX "\", \"b\": \"y.safetensors\"}}", ERR_DATA },
    };

    assert_int_equal(two_files_rc(good), OK);
    quiet(1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const int rc = two_files_rc(bad[i].index);
        if (rc != bad[i].rc) fail_msg("%s: %d", bad[i].index, rc);
    }
    /* 513 files: refused before one is opened. */
    json_t *index = json_object(), *map = json_object();
    for (int i = 0; i < 513; i++) {
        char name[32];
        snprintf(name, sizeof name, "f%d.safetensors", i);
        json_object_set_new(map, name, json_string(name));
    }
    json_object_set_new(index, "weight_map", map);
    char *text = json_dumps(index, 0);
    assert_int_equal(two_files_rc(text), ERR_DATA);
    assert_non_null(strstr(log_last_error(), "more than 512 files"));
    free(text);
    json_decref(index);

    /* Every cut and every flipped byte of a good index is an error or the good one. */
    char spoilt[sizeof good];
    for (size_t i = 0; i < sizeof good - 1; i++) {
        memcpy(spoilt, good, sizeof good);
        spoilt[i] ^= 1;
        const int rc = two_files_rc(spoilt);
        assert_true(rc == OK || rc == ERR_DATA || rc == ERR_MISSING);
        memcpy(spoilt, good, sizeof good);
        spoilt[i] = '\0';
        assert_int_equal(two_files_rc(spoilt), ERR_DATA);
    }
    quiet(0);
    remove(at(INDEX));
}

/* What is no safetensors is named as what it is: in a folder without it, and under its name. */
static void other_files_are_named(void **state)
{
    static const struct { const char *name, *bytes; size_t n; const char *said; } rows[] = {
        { "pytorch_model.bin", "PK\3\4abcdefgh", 12, "pickle" },
        { "pytorch_model-00001-of-00002.bin", "\x80\2}q\0abcdefg", 12, "pickle" },
        { "consolidated.00.pth", "\x80\4abcdefghij", 12, "pickle" },
        { "model.Q4_K_M.gguf", "GGUF\3\0\0\0abcdefgh", 16, "GGUF" },
        { "tf_model.h5", "\x89HDF\r\n\x1a\nabcd", 12, "TensorFlow" },
    };
    static const char *const more[] = { "flax_model.msgpack", "adapter_model.safetensors",
                                        "weights.safetensors" };
    static const char *const none[] = { "training_args.bin", "optimizer.pt", ".bin", "notes.txt" };
    static const char lfs[] = "version https://git-lfs.github.com/spec/v1\noid sha256:0\n";
    struct weight_files *w;
    (void)state;

    assert_int_equal(dir_make(at("other")), OK);
    quiet(1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int in_place = 0; in_place < 2; in_place++) {
            const char *name = in_place ? "model.safetensors" : rows[i].name;
            char *path = mem_format("%s/%s", at("other"), name);
            put_file(path, rows[i].bytes, rows[i].n);
            assert_int_equal(weight_files_open(&w, at("other")), ERR_DATA);
            if (!strstr(log_last_error(), rows[i].said) || !strstr(log_last_error(), name))
                fail_msg("%s: %s", path, log_last_error());
            unlink(path);
            mem_free(path);
        }
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        char *path = mem_format("%s/%s", at("other"), more[i]);
        put_file(path, "x", 1);
        assert_int_equal(weight_files_open(&w, at("other")), ERR_DATA);
        assert_non_null(strstr(log_last_error(), more[i]));
        unlink(path);
        mem_free(path);
    }
    /* Files of an index that is not there, and of one that is not meant. */
    put_file(at("other/model-00002-of-00003.safetensors"), "x", 1);
    assert_int_equal(weight_files_open(&w, at("other")), ERR_DATA);
    assert_non_null(strstr(log_last_error(), "model.safetensors.index.json, which says"));
    unlink(at("other/model-00002-of-00003.safetensors"));
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        char *path = mem_format("%s/%s", at("other"), none[i]);
        put_file(path, "x", 1);
        assert_int_equal(weight_files_open(&w, at("other")), ERR_MISSING);
        unlink(path);
        mem_free(path);
    }
    /* Safetensors whose header has 0x280 bytes begin as a pickle does. */
    char whole[8 + 0x280];
    memset(whole, ' ', sizeof whole);
    memcpy(whole, "\x80\2\0\0\0\0\0\0{}", 10);
    put_file(at("other/model.safetensors"), whole, sizeof whole);
    assert_int_equal(weight_files_open(&w, at("other")), OK);
    weight_files_close(w);
    put_file(at("other/model.safetensors"), lfs, strlen(lfs));
    assert_int_equal(weight_files_open(&w, at("other")), ERR_DATA);
    assert_non_null(strstr(log_last_error(), "git lfs pull"));
    quiet(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_files_and_back), cmocka_unit_test(bfloat16_is_the_nearest),
        cmocka_unit_test(every_family), cmocka_unit_test(hostile_indexes),
        cmocka_unit_test(other_files_are_named),
    };
    return cmocka_run_group_tests(tests, work_make, work_remove);
}
