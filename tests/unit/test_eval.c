/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluation against the plainest way to compute the same: every window read whole. */
#include "tests/unit/store_test.h"

#include <math.h>
#include <omp.h>

#include "src/data/data_index.h"
#include "src/data/dataset.h"
#include "src/data/sentencepiece_c.h"
#include "src/data/token.h"
#include "src/infer/eval.h"
#include "src/infer/eval_sums.h"
#include "tests/lib/byte_set.h"

enum { V = BYTE_VOCAB, BOS = BYTE_BOS, DOCUMENTS = BYTE_DOCUMENTS };

static struct dataset *open_set(void)
{
    struct dataset *d;
    const char *folder = at("set");
    if (!path_exists(folder)) byte_set_write(folder);
    assert_int_equal(dataset_open(&d, folder), OK);
    return d;
}

static struct model *small_model(int vocab)
{
    const struct dims d = { .layer = "ttt_linear", .V = vocab, .L = 2, .C = 32, .H = 2, .E = 48,
                            .K = 16, .conv_width = 4, .gate = 1, .share_qk = 1, .pre_conv = 1,
                            .tied = 1, .rope_theta = 1e4, .rms_eps = 1e-6, .ln_eps = 1e-6,
                            .init_std = 0.1, .inner_lr = 1 };
    struct model *m;
    assert_int_equal(model_new(&m, &d), OK);
    model_init(m, 3);
    return m;
}

/* What eval_run() must find: windows read whole, one by one, sums in doubles. */
struct plain { double all, bucket[16]; int64_t n, count[16]; };

static struct plain plainly(const struct model *m, struct dataset *d, int64_t context, int64_t n,
                            int mask)
{
    struct plain p = { .n = 0 };

    for (int64_t first = 0; first < n; first += context) {
        const int T = (int)(n - first < context ? n - first : context);
        const int rows = (T + 15) / 16 * 16;  /* parts of mini-batches may round differently */
        struct stream *s = stream_new(m, 1, rows);
        int32_t *tok = mem_new(rows + 1, sizeof *tok, "tokens");
        real *x = mem_new((int64_t)rows * m->dims.C, sizeof *x, "hidden");
        double *nll = mem_new(rows, sizeof *nll, "losses");
        assert_int_equal(dataset_read(d, tok, first, T + 1), OK);
        stream_read(s, x, tok, rows, NULL);
        model_nll(m, nll, x, tok + 1, rows);
        for (int t = 0; t < T; t++) {
            if (tok[t + 1] == mask) continue;
            const int64_t read = t + 1 == context && t ? t : t + 1;  /* the last joins */
            const int k = (int)floor(log2((double)read) + 1e-9);
            p.all += nll[t];
            p.bucket[k] += nll[t];
            p.count[k]++;
            p.n++;
        }
        stream_free(s);
        mem_free(tok);
        mem_free(x);
        mem_free(nll);
    }
    return p;
}

static void expect_plain(const struct eval_result *r, const struct plain *p)
{
    double sum = 0;
    assert_int_equal(r->tokens, p->n);
    assert_true(fabs(r->nats - p->all / (double)p->n) < 1e-12);
    assert_true(fabs(r->ppl / exp(r->nats) - 1) < 1e-12);
    for (int k = 0; k < r->n_buckets; k++) {
        assert_int_equal(r->bucket[k].tokens, p->count[k]);
        if (p->count[k])
            assert_true(fabs(r->bucket[k].nats - p->bucket[k] / (double)p->count[k]) < 1e-12);
        if (p->count[k]) sum += r->bucket[k].nats * (double)r->bucket[k].tokens;
        assert_int_equal(r->bucket[k].first, (int64_t)1 << k);
    }
    assert_true(fabs(sum - p->all) < 1e-9 * p->all);
}

static void it_is_the_mean_over_windows(void **state)
{
    (void)state;
    static const int64_t contexts[] = { 1, 2, 48, 128, 1000 };
    struct dataset *d = open_set();
    struct model *m = small_model(V);
    const int64_t n = dataset_tokens(d) - 1;
    struct eval_result r;

    for (int i = 0; i < 5; i++)
        for (int mask = -1; mask <= BOS; mask += BOS + 1) {
            const struct eval_opts o = { .context = contexts[i], .mask_token = mask };
            const struct plain p = plainly(m, d, contexts[i], n, mask);
            assert_int_equal(eval_run(&r, m, d, &o), OK);
            expect_plain(&r, &p);
            assert_int_equal(r.windows, (n + contexts[i] - 1) / contexts[i]);
            assert_int_equal(r.bucket[r.n_buckets - 1].last, contexts[i]);
            assert_int_equal(r.bytes, 4500);
            assert_true(fabs(r.bits_per_byte - p.all / log(2) / 4500) < 1e-12);
        }
    assert_int_equal(r.tokens, n - (DOCUMENTS - 1));  /* every <s> but the first */

    /* Another model, another result. */
    const double before = r.nats;
    m->w[m->params.p[0].offset + 'e' * m->dims.C] += (real)1e-2;
    assert_int_equal(eval_run(&r, m, d, &(struct eval_opts){ .context = 1000, .mask_token = BOS }),
                     OK);
    assert_true(r.nats != before);
    model_free(m);
    dataset_close(d);
}

/* Bits, not tolerances: which windows are read together changes nothing. */
static void batch_and_threads_change_nothing(void **state)
{
    (void)state;
    struct dataset *d = open_set();
    struct model *m = small_model(V);
    const int before = omp_get_max_threads();
    struct eval_result r, first[3];

    for (int i = 0; i < 6; i++) {
        static const int batch[] = { 1, 0, 2, 5, 7, 0 }, threads[] = { 1, 1, 2, 3, 4, 3 };
        omp_set_num_threads(threads[i]);
        for (int c = 0; c < 3; c++) {
            static const int64_t contexts[] = { 100, 1, 1025 };
            const struct eval_opts o = { .context = contexts[c], .batch = batch[i],
                                         .mask_token = -1 };
            assert_int_equal(eval_run(&r, m, d, &o), OK);
            if (i == 0) first[c] = r;
            assert_true(r.nats == first[c].nats);
            for (int k = 0; k < r.n_buckets; k++)
                assert_true(r.bucket[k].nats == first[c].bucket[k].nats);
        }
    }
    omp_set_num_threads(before);
    model_free(m);
    dataset_close(d);
}

static void a_part_has_its_own_bytes(void **state)
{
    (void)state;
    struct dataset *d = open_set();
    struct model *m = small_model(V);
    const struct eval_opts o = { .context = 64, .max_tokens = 150, .mask_token = -1 };
    const struct plain p = plainly(m, d, 64, 150, -1);
    struct eval_result r;

    assert_int_equal(eval_run(&r, m, d, &o), OK);
    expect_plain(&r, &p);
    assert_int_equal(r.bytes, 148);  /* tokens 1 to 150, two of them </s> and <s> */
    model_free(m);
    dataset_close(d);
}

/* A window is read in slices: ten times the context, the same memory. */
static void memory_is_constant(void **state)
{
    (void)state;
    struct dataset *d = open_set();
    struct model *m = small_model(V);
    struct eval_result r;
    struct eval_opts o = { .context = 1024, .mask_token = -1, .batch = 1 };

    assert_int_equal(eval_run(&r, m, d, &o), OK);
    const int64_t peak = mem_peak_bytes(), blocks = mem_live_blocks();
    o.context = 1000000;
    assert_int_equal(eval_run(&r, m, d, &o), OK);
    assert_int_equal(r.windows, 1);
    assert_int_equal(r.bucket[r.n_buckets - 1].last, dataset_tokens(d) - 1);
    assert_true(mem_peak_bytes() <= peak);
    assert_int_equal(mem_live_blocks(), blocks);
    model_free(m);
    dataset_close(d);
}

/* After a step the inner loss of the same tokens is lower, and the means are those of
 * every mini-batch. */
static void inner_losses_are_means(void **state)
{
    (void)state;
    struct dataset *d = open_set();
    struct model *m = small_model(V);
    struct eval_inner inner[2];
    struct eval_result r, plain;
    struct eval_opts o = { .context = 256, .mask_token = -1 };

    assert_int_equal(eval_run(&plain, m, d, &o), OK);
    o.inner = inner;
    assert_int_equal(eval_run(&r, m, d, &o), OK);
    assert_true(r.nats == plain.nats);
    for (int l = 0; l < 2; l++) {
        assert_true(inner[l].w0 > 0 && inner[l].before > 0);
        assert_true(inner[l].after < inner[l].before);
    }
    model_free(m);
    dataset_close(d);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct dataset *d = open_set();
    struct model *m = small_model(V), *narrow = small_model(V - 1);
    const struct eval_opts o = { .context = 64, .mask_token = -1 };
    struct eval_result r;

    assert_int_equal(eval_run(&r, m, d, &o), OK);  /* the data set keeps blocks it has read */
    const int64_t blocks = mem_live_blocks();
    quiet(1);
    assert_int_equal(eval_run(&r, narrow, d, &o), ERR_CONFIG);
    assert_int_equal(eval_run(&r, m, d, &(struct eval_opts){ .context = 0 }), ERR_CONFIG);
    m->w[m->params.p[m->i_norm].offset] = NAN;
    assert_int_equal(eval_run(&r, m, d, &o), ERR_DIVERGED);
    quiet(0);
    assert_int_equal(mem_live_blocks(), blocks);
    model_free(m);
    model_free(narrow);
    dataset_close(d);
}

/* <unk> is a token like any other but for the text that it hides: with the commonest id of the
 * set in its place, there are no bits per byte of a part that has it. */
static void bits_per_byte_need_spelled_text(void **state)
{
    (void)state;
    enum { PART = 3000 };
    struct model *m = small_model(V);
    struct dataset *d = NULL;
    struct data_index x;
    struct eval_result plain, r;
    const struct eval_opts o = { .context = 100, .mask_token = BOS, .max_tokens = PART };
    int32_t ids[PART + 1], times[V] = { 0 };
    int unk = 0;
    char line[EVAL_LINE], index[600];

    const char *folder = at("unspelled");
    byte_set_write(folder);
    assert_int_equal(dataset_open(&d, folder), OK);
    assert_int_equal(eval_run(&plain, m, d, &o), OK);
    assert_true(plain.bits_per_byte > 0);
    assert_int_equal(plain.unk_tokens, 0);
    assert_int_equal(dataset_read(d, ids, 0, PART + 1), OK);
    dataset_close(d);
    for (int i = 1; i <= PART; i++) times[ids[i]]++;
    for (int v = 0; v < BOS; v++) unk = times[v] > times[unk] ? v : unk;
    assert_true(times[unk] > 10);

    snprintf(index, sizeof index, "%s/INDEX", folder);
    assert_int_equal(data_index_read(&x, index, 0), OK);
    x.unk = unk;
    assert_int_equal(data_index_write(&x, index), OK);
    data_index_done(&x);
    assert_int_equal(dataset_open(&d, folder), OK);
    assert_int_equal(eval_run(&r, m, d, &o), OK);
    assert_int_equal(r.unk_tokens, times[unk]);
    assert_true(r.nats == plain.nats && isnan(r.bits_per_byte));
    eval_line(line, &r);
    assert_non_null(strstr(line, "no bits/byte because"));
    json_t *j = eval_json(&r);
    assert_int_equal(json_integer_value(json_object_get(j, "unk_tokens")), times[unk]);
    assert_true(json_is_null(json_object_get(j, "bits_per_byte")));
    json_decref(j);
    dataset_close(d);
    model_free(m);
}

static void json_has_null_for_what_is_not_known(void **state)
{
    (void)state;
    struct eval_result r = { .nats = 2, .ppl = exp(2), .bits_per_byte = NAN, .n_buckets = 1,
                             .bucket = { { 1, 1, 0, NAN } } };
    char line[EVAL_LINE];
    json_t *j = eval_json(&r);

    assert_non_null(j);
    assert_true(json_is_null(json_object_get(j, "bits_per_byte")));
    assert_true(json_is_null(json_object_get(j, "bytes")));
    assert_true(json_real_value(json_object_get(j, "nats_per_token")) == 2);
    assert_true(json_is_null(json_object_get(json_array_get(json_object_get(j, "by_position"), 0),
                                             "perplexity")));
    eval_line(line, &r);
    assert_null(strstr(line, "byte"));
    json_decref(j);
}

/* --- bytes of a part --------------------------------------------------------- */

static const char *next_line_of(void *arg, size_t *n)
{
    static const char text[] = "the earth and the heaven and the waters of the deep";
    int *left = arg;
    *n = sizeof text - 1;
    return (*left)-- > 0 ? text : NULL;
}

static void keep_model(void *arg, const void *model, size_t n)
{
    put_file(arg, model, n);
}

/* One document of 100,000 words with a tokenizer as Llama's, which puts a space before every text;
 * returns its tokens, a counted block. */
static int32_t *words_write(const char *folder, struct tokenizer **t, int64_t *n)
{
    static const char *const options[] = {
        "model_type", "bpe", "vocab_size", "290", "normalization_rule_name", "identity",
        "remove_extra_whitespaces", "false", "byte_fallback", "true", "hard_vocab_limit", "false",
        "minloglevel", "2", NULL,
    };
    enum { WORDS = 100000 };
    char path[600], why[SPM_WHY] = "", *text = mem_new(WORDS, 4, "text");
    int lines = 40;
    struct data_index x = { .kind = "sentencepiece", .tokenizer_file = "tokenizer.model" };
    struct shard_writer *w;
    struct shard_sums sums;
    int32_t *words, *ids;
    int64_t count;

    assert_int_equal(dir_make(folder), OK);
    snprintf(path, sizeof path, "%s/tokenizer.model", folder);
    assert_int_equal(spm_train(options, next_line_of, &lines, keep_model, path, why), 0);
    assert_int_equal(tokenizer_open(t, "sentencepiece", path), OK);
    x.tokenizer = tokenizer_hash(*t);
    x.vocab = tokenizer_vocab(*t);
    x.bos = tokenizer_bos(*t);
    x.eos = tokenizer_eos(*t);
    x.unk = tokenizer_unk(*t);

    for (int i = 0; i < WORDS; i++) memcpy(text + 4 * i, "the ", 4);
    assert_int_equal(tokenizer_encode(*t, text, 4 * WORDS, &words, &count), OK);
    *n = count + 2;
    ids = mem_new(*n, sizeof *ids, "tokens");
    ids[0] = x.bos;
    memcpy(ids + 1, words, (size_t)count * sizeof *ids);
    ids[count + 1] = x.eos;

    const struct shard_spec spec = { x.vocab, 65536, 7, x.tokenizer };
    snprintf(path, sizeof path, "%s/shard-000000.tts", folder);
    assert_int_equal(shard_create(&w, path, &spec, 3), OK);
    assert_int_equal(shard_add(w, ids, *n), OK);
    shard_end_document(w, 4 * WORDS);
    assert_int_equal(shard_finish(w, &sums), OK);
    data_index_add(&x, "shard-000000.tts", &sums);
    snprintf(path, sizeof path, "%s/INDEX", folder);
    assert_int_equal(data_index_write(&x, path), OK);
    data_index_done(&x);
    mem_free(words);
    mem_free(text);
    return ids;
}

/* However the tokens are cut while they are counted, the bytes are those of the whole text: a
 * space is lost at its beginning only. */
static void no_space_is_lost_between_windows(void **state)
{
    (void)state;
    static const int64_t some[] = { 1, 2, 1000, 65535, 65536, 65537, 90000 };
    struct tokenizer *t;
    struct dataset *d;
    char *text;
    int64_t n, bytes, length;
    int32_t *ids = words_write(at("words"), &t, &n);

    assert_int_equal(dataset_open(&d, at("words")), OK);
    assert_true(n > 90000);
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        assert_int_equal(tokenizer_decode(t, ids + 1, some[i], &text, &length), OK);
        assert_int_equal(eval_bytes(&bytes, d, some[i]), OK);
        assert_int_equal(bytes, length);
        mem_free(text);
    }
    assert_int_equal(eval_bytes(&bytes, d, n - 1), OK);
    assert_int_equal(bytes, 400000);
    dataset_close(d);
    tokenizer_close(t);
    mem_free(ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_mean_over_windows),
        cmocka_unit_test(batch_and_threads_change_nothing),
        cmocka_unit_test(a_part_has_its_own_bytes),
        cmocka_unit_test(no_space_is_lost_between_windows),
        cmocka_unit_test(memory_is_constant),
        cmocka_unit_test(inner_losses_are_means),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(bits_per_byte_need_spelled_text),
        cmocka_unit_test(json_has_null_for_what_is_not_known),
    };
    return cmocka_run_group_tests(tests, work_make, work_remove);
}
