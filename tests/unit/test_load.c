/* SPDX-License-Identifier: Apache-2.0 */
/* A model from a Hugging Face folder, a checkpoint or a run. */
#include "tests/unit/store_test.h"

#include <math.h>

#include "src/base/log.h"
#include "src/data/token.h"
#include "src/infer/load.h"
#include "src/store/hf.h"
#include "src/store/param_tensors.h"
#include "src/store/safetensors.h"

static const struct dims dims = {
    .layer = "ttt_linear", .V = 258, .L = 2, .C = 32, .H = 2, .E = 48, .K = 16, .conv_width = 4,
    .gate = 1, .share_qk = 1, .pre_conv = 1, .tied = 1, .rope_theta = 1e4, .rms_eps = 1e-6,
    .ln_eps = 1e-6, .init_std = 0.02, .inner_lr = 1
};

static struct model *random_model(uint64_t seed)
{
    struct model *m;
    assert_int_equal(model_new(&m, &dims), OK);
    model_init(m, seed);
    return m;
}

/* Change the list before it is saved: what a hostile or strange checkpoint looks like. */
enum spoil { SPOIL_NOT, SPOIL_DROP, SPOIL_SHAPE, SPOIL_TYPE, SPOIL_INFO };

static struct hash save(const char *dir, const struct model *m, int64_t step, enum spoil spoil)
{
    const int count = m->params.count;
    struct tensor *list = mem_new(count, sizeof *list, "tensors");
    struct ckpt_meta meta = { .step = step, .scalars = json_object(), .info = json_object() };
    const struct ckpt_opts opts = { .level = 1, .keep = 5 };
    struct hash root;

    param_tensors(list, &m->params, "", m->w);
    if (spoil == SPOIL_SHAPE) list[3].shape[0]--;
    if (spoil == SPOIL_TYPE) {
        list[3].dtype = DT_I32;
        if (sizeof(real) == 8) list[3].dtype = DT_I64;
    }
    if (spoil != SPOIL_INFO)
        load_describe(meta.info, &m->dims, 512, "bytes", NULL, hash_bytes("bytes", 5));
    assert_int_equal(ckpt_save(dir, list, spoil == SPOIL_DROP ? count - 1 : count, &meta, &opts,
                               &root), OK);
    json_decref(meta.scalars);
    json_decref(meta.info);
    mem_free(list);
    return root;
}

static int same_weights(const struct model *a, const struct model *b)
{
    return a->params.total == b->params.total &&
           !memcmp(a->w, b->w, (size_t)a->params.total * sizeof *a->w);
}

static void a_run_gives_its_newest(void **state)
{
    (void)state;
    struct model *old = random_model(1), *new = random_model(2), *m;
    struct load_info info;

    assert_int_equal(dir_make(at("run/ckpt")), OK);
    const struct hash first = save(at("run/ckpt"), old, 10, SPOIL_NOT);
    const struct hash second = save(at("run/ckpt"), new, 20, SPOIL_NOT);
    static const char *const names[] = { "run", "run/ckpt" };
    for (int i = 0; i < 2; i++) {
        assert_int_equal(load_model(&m, &info, at(names[i])), OK);
        assert_true(same_weights(m, new));
        assert_false(same_weights(m, old));
        assert_string_equal(info.kind, "checkpoint");
        assert_int_equal(info.step, 20);
        assert_true(hash_equal(info.root, second));
        assert_false(hash_equal(info.root, first));
        assert_int_equal(info.context, 512);
        assert_string_equal(info.tokenizer_kind, "bytes");
        model_free(m);
        load_done(&info);
    }

    /* One checkpoint of it, by its own path. */
    char **list;
    int count;
    assert_int_equal(dir_list(&list, &count, at("run/ckpt")), OK);
    char *path = mem_format("%s/%s", at("run/ckpt"), list[0]);
    assert_int_equal(load_model(&m, &info, path), OK);
    assert_true(same_weights(m, old));
    model_free(m);
    load_done(&info);
    mem_free(path);
    mem_free(list);
    model_free(old);
    model_free(new);
}

static void a_folder_of_hugging_face(void **state)
{
    (void)state;
    struct model *old = random_model(3), *m;
    struct load_info info;

    assert_int_equal(hf_write(at("hf"), &dims, &old->params, old->w, NULL, 777), OK);
    assert_int_equal(load_model(&m, &info, at("hf")), OK);
    if (sizeof(real) == 4) assert_true(same_weights(m, old));  /* the folder holds float32 */
    assert_string_equal(info.kind, "huggingface");
    assert_int_equal(info.step, -1);
    assert_int_equal(info.context, 777);
    assert_null(info.tokenizer_kind);
    model_free(m);
    model_free(old);
    load_done(&info);
}

/* A checkpoint of `make f64` in the program of every day, and the other way round. */
static void the_other_build_is_converted(void **state)
{
    (void)state;
    struct model *old = random_model(4), *m;
    struct load_info info;
    const int count = old->params.count;
    struct tensor *list = mem_new(count, sizeof *list, "tensors");
    struct ckpt_meta meta = { .step = 1, .scalars = json_object(), .info = json_object() };
    const struct ckpt_opts opts = { .level = 1, .keep = 1 };
    struct hash root;

    param_tensors(list, &old->params, "", old->w);
    for (int i = 0; i < count; i++) {
        const struct param *p = &old->params.p[i];
        void *v = mem_new(p->n, 8, "converted");
        for (int64_t k = 0; k < p->n; k++) {
            if (sizeof(real) == 4) ((double *)v)[k] = (double)old->w[p->offset + k];
            else ((float *)v)[k] = (float)old->w[p->offset + k];
            if (sizeof(real) == 8) old->w[p->offset + k] = (real)((float *)v)[k];
        }
        list[i].dtype = sizeof(real) == 4 ? DT_F64 : DT_F32;
        list[i].data = v;
    }
    load_describe(meta.info, &dims, 0, NULL, NULL, (struct hash){ 0, 0 });
    assert_int_equal(dir_make(at("other")), OK);
    assert_int_equal(ckpt_save(at("other"), list, count, &meta, &opts, &root), OK);
    assert_int_equal(load_model(&m, &info, at("other")), OK);
    assert_true(same_weights(m, old));
    model_free(m);
    model_free(old);
    load_done(&info);
    json_decref(meta.scalars);
    json_decref(meta.info);
    for (int i = 0; i < count; i++) mem_free(list[i].data);
    mem_free(list);
}

static void what_is_no_model_is_refused(void **state)
{
    (void)state;
    static const struct { enum spoil spoil; const char *dir, *said; } cases[] = {
        { SPOIL_DROP, "drop", "model.norm.weight" }, { SPOIL_SHAPE, "shape", "layers.0" },
        { SPOIL_TYPE, "type", "layers.0" }, { SPOIL_INFO, "info", "not a model" },
    };
    struct model *good = random_model(5), *m;
    struct load_info info;
    const int64_t blocks = mem_live_blocks();

    quiet(1);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(dir_make(at(cases[i].dir)), OK);
        save(at(cases[i].dir), good, 1, cases[i].spoil);
        assert_int_equal(load_model(&m, &info, at(cases[i].dir)), ERR_DATA);
        assert_null(m);
        assert_non_null(strstr(log_last_error(), cases[i].said));
    }
    put_file(at("file"), "x", 1);
    assert_int_equal(dir_make(at("empty")), OK);
    assert_int_equal(dir_make(at("weights")), OK);
    put_file(at("weights/model.safetensors"), "x", 1);
    assert_int_equal(dir_make(at("pickle")), OK);
    put_file(at("pickle/consolidated.00.pth"), "x", 1);
    assert_int_equal(load_model(&m, &info, at("pickle")), ERR_DATA);
    assert_non_null(strstr(log_last_error(), "pickle of PyTorch"));
    static const char *const missing[] = { "file", "empty", "nowhere", "weights" };
    for (int i = 0; i < 4; i++) {
        assert_int_equal(load_model(&m, &info, at(missing[i])), ERR_MISSING);
        assert_non_null(strstr(log_last_error(), missing[i]));
    }
    quiet(0);
    assert_int_equal(mem_live_blocks(), blocks);
    model_free(good);
}

/* NaN and Inf are found wherever weights come in, and placed; so is what float can't hold. */
static void numbers_must_be_finite(void **state)
{
    (void)state;
    static const struct { double value; const char *said; } bad[] = {
        { NAN, "NaN at [257, 3]" }, { INFINITY, "Inf at [257, 3]" }, { -INFINITY, "Inf at [257, 3]" },
        { 1e39, "Inf at [257, 3]" },
    };
    static const char name[] = "model.embed_tokens.weight";
    struct model *m = random_model(7), *back;
    struct load_info info;
    const struct param *p = &m->params.p[m->i_embed];
    double *wide = mem_new(p->n, sizeof *wide, "test");
    struct tensor *list = mem_new(m->params.count, sizeof *list, "tensors");
    const int64_t blocks = mem_live_blocks();

    quiet(1);
    for (int i = 0; i < 4; i++) {
        if (sizeof(real) == 8 && bad[i].value == 1e39) continue;
        for (int64_t k = 0; k < p->n; k++) wide[k] = (double)m->w[p->offset + k];
        wide[257 * dims.C + 3] = bad[i].value;
        param_tensors(list, &m->params, "", m->w);
        list[m->i_embed].dtype = DT_F64;
        list[m->i_embed].data = wide;

        char *folder = mem_format("%s%d", at("finite"), i), *dir = mem_format("%s-c", folder);
        char *weights = mem_format("%s/model.safetensors", folder);
        assert_int_equal(hf_write(folder, &dims, &m->params, m->w, NULL, 0), OK);
        assert_int_equal(safetensors_save(weights, list, m->params.count), OK);
        assert_int_equal(load_model(&back, &info, folder), ERR_DATA);
        assert_null(back);
        assert_non_null(strstr(log_last_error(), name));
        assert_non_null(strstr(log_last_error(), bad[i].said));

        struct ckpt_meta meta = { .step = 1, .scalars = json_object(), .info = json_object() };
        const struct ckpt_opts opts = { .level = 1 };
        struct hash root;
        load_describe(meta.info, &dims, 0, NULL, NULL, (struct hash){ 0, 0 });
        assert_int_equal(dir_make(dir), OK);
        assert_int_equal(ckpt_save(dir, list, m->params.count, &meta, &opts, &root), OK);
        assert_int_equal(load_model(&back, &info, dir), ERR_DATA);
        assert_non_null(strstr(log_last_error(), bad[i].said));
        json_decref(meta.scalars);
        json_decref(meta.info);
        mem_free(folder);
        mem_free(dir);
        mem_free(weights);
    }
    quiet(0);
    assert_int_equal(mem_live_blocks(), blocks);
    mem_free(list);
    mem_free(wide);
    model_free(m);
}

static void the_tokenizer_must_be_the_models(void **state)
{
    (void)state;
    struct model *m = random_model(6);
    struct load_info info = { .source = "here" };
    struct tokenizer *t;

    quiet(1);
    assert_int_equal(load_tokenizer(&t, &info, m, NULL), ERR_MISSING);
    assert_int_equal(load_tokenizer(&t, &info, m, "bytes"), OK);  /* by name, none known */
    assert_int_equal(tokenizer_vocab(t), 258);
    info.tokenizer_hash = tokenizer_hash(t);
    tokenizer_close(t);
    info.tokenizer_kind = "bytes";
    assert_int_equal(load_tokenizer(&t, &info, m, NULL), OK);
    tokenizer_close(t);
    info.tokenizer_hash.lo ^= 1;
    assert_int_equal(load_tokenizer(&t, &info, m, NULL), ERR_CONFIG);
    info.tokenizer_hash.lo ^= 1;
    m->dims.V = 257;
    assert_int_equal(load_tokenizer(&t, &info, m, NULL), ERR_CONFIG);
    assert_int_equal(load_tokenizer(&t, &info, m, at("no.model")), ERR_MISSING);
    quiet(0);
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_gives_its_newest),
        cmocka_unit_test(a_folder_of_hugging_face),
        cmocka_unit_test(the_other_build_is_converted),
        cmocka_unit_test(what_is_no_model_is_refused),
        cmocka_unit_test(numbers_must_be_finite),
        cmocka_unit_test(the_tokenizer_must_be_the_models),
    };
    return cmocka_run_group_tests(tests, work_make, work_remove);
}
