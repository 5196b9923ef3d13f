#include "src/bench/product.h"

#include <math.h>

#include <cblas.h>
#include <libxsmm.h>
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/kernels/isa.h"
#include "src/kernels/smm.h"

#ifdef TTT_F64
#define CBLAS_GEMM cblas_dgemm
#define DISPATCH libxsmm_dmmdispatch
typedef libxsmm_dmmfunction xsmm;
#else
#define CBLAS_GEMM cblas_sgemm
#define DISPATCH libxsmm_smmdispatch
typedef libxsmm_smmfunction xsmm;
#endif

/* Reals from row to row of A and of B. */
static int lda(const struct product_shape *s) { return s->transpose_A ? s->N : s->K; }
static int ldb(const struct product_shape *s) { return s->transpose_B ? s->K : s->M; }

/* --- ours ---------------------------------------------------------------------- */

static void ours_small(const struct timed_product *p)
{
    const struct product_shape *s = &p->s;
    const struct bf16_left a = s->transpose_A ? bf16_left_transposed(p->words_A, s->N)
                                              : bf16_left_rows(p->words_A, bf16_words(s->K));
    if (s->in_bf16) smm_bf16(p->C, NULL, a, p->words_B, s->N, s->M, s->K);
    else if (s->transpose_A) smm_tn(p->C, p->A, p->B, s->N, s->M, s->K, 0);
    else smm(p->C, p->A, p->B, s->N, s->M, s->K, 0);
}

static void ours(const struct timed_product *p)
{
    const struct product_shape *s = &p->s;
    if (s->in_bf16)
        gemm_bf16(&(struct gemm_bf16){ .C = p->C, .rows = p->rows, .panels = p->panels,
                                       .N = s->N, .M = s->M, .K = s->K });
    else
        gemm(&(struct gemm){ .C = p->C, .A = p->A, .B = p->B, .N = s->N, .M = s->M, .K = s->K,
                             .transpose_A = s->transpose_A, .transpose_B = s->transpose_B });
}

/* The operands in bf16. */
static void round_operands(struct timed_product *p)
{
    const struct product_shape *s = &p->s;

    if (s->small) {
        p->words_A = mem_new((int64_t)s->N * s->K, sizeof *p->words_A, "operand");
        p->words_B = mem_new((int64_t)s->K * s->M, sizeof *p->words_B, "operand");
        if (s->transpose_A) smm_bf16_columns(p->words_A, p->A, s->K, s->N);
        else smm_bf16_rows(p->words_A, p->A, s->N, s->K);
        smm_bf16_columns(p->words_B, p->B, s->K, s->M);
        return;
    }
    p->rows = mem_new(bf16_rows_size(s->N, s->K), sizeof *p->rows, "rows");
    p->panels = mem_new(bf16_panels_size(s->K, s->M), sizeof *p->panels, "panels");
    if (s->transpose_A) {
        bf16 *stored = mem_new(bf16_rows_size(s->K, s->N), sizeof *stored, "rows");
        bf16_rows(stored, p->A, s->N, s->K, s->N);
        bf16_transposed(p->rows, stored, s->K, s->N);
        mem_free(stored);
    } else bf16_rows(p->rows, p->A, s->K, s->N, s->K);
    if (s->transpose_B) bf16_panels_transposed(p->panels, p->B, s->K, s->K, s->M);
    else bf16_panels(p->panels, p->B, s->M, s->K, s->M);
}

/* --- libraries -------------------------------------------------------------------- */

/* oneDNN's bf16 product of the same rows and panels. */
struct onednn {
    dnnl_engine_t    engine;
    dnnl_stream_t    stream;
    dnnl_primitive_t run;
    dnnl_memory_t    m[3];
};

static struct onednn *onednn_new(const struct timed_product *p)
{
    struct onednn *o = mem_new(1, sizeof *o, "oneDNN");
    const int K = bf16_inner(p->s.K), M = p->s.M;
    const dnnl_dims_t dims[3] = { { p->s.N, K }, { K, M }, { p->s.N, M } };
    const dnnl_data_type_t types[3] = { dnnl_bf16, dnnl_bf16, dnnl_f32 };
    const dnnl_format_tag_t tags[3] = { dnnl_ab, dnnl_BA16a64b2a, dnnl_ab };
    void *const data[3] = { p->rows, p->panels, p->C };
    dnnl_memory_desc_t d[3];
    dnnl_matmul_desc_t op;
    dnnl_primitive_desc_t pd = NULL;

    check(dnnl_engine_create(&o->engine, dnnl_cpu, 0) == dnnl_success &&
          dnnl_stream_create(&o->stream, o->engine, dnnl_stream_default_flags) == dnnl_success);
    for (int i = 0; i < 3; i++)
        check(dnnl_memory_desc_init_by_tag(&d[i], 2, dims[i], types[i], tags[i]) == dnnl_success &&
              dnnl_memory_create(&o->m[i], &d[i], o->engine, data[i]) == dnnl_success);
    check(dnnl_matmul_desc_init(&op, &d[0], &d[1], NULL, &d[2]) == dnnl_success &&
          dnnl_primitive_desc_create(&pd, &op, NULL, o->engine, NULL) == dnnl_success &&
          dnnl_primitive_create(&o->run, pd) == dnnl_success);
    dnnl_primitive_desc_destroy(pd);
    return o;
}

static void onednn_free(struct onednn *o)
{
    if (!o) return;
    dnnl_primitive_destroy(o->run);
    for (int i = 0; i < 3; i++) dnnl_memory_destroy(o->m[i]);
    dnnl_stream_destroy(o->stream);
    dnnl_engine_destroy(o->engine);
    mem_free(o);
}

static void by_onednn(struct timed_product *p)
{
    const struct product_shape *s = &p->s;
#ifndef TTT_F64
    if (!s->in_bf16) {
        check(dnnl_sgemm(s->transpose_A ? 'T' : 'N', s->transpose_B ? 'T' : 'N', s->N, s->M, s->K,
                         1, p->A, lda(s), p->B, ldb(s), 0, p->C, s->M) == dnnl_success);
        return;
    }
#endif
    if (!p->onednn) p->onednn = onednn_new(p);
    const struct onednn *o = p->onednn;
    const dnnl_exec_arg_t args[] = { { DNNL_ARG_SRC, o->m[0] }, { DNNL_ARG_WEIGHTS, o->m[1] },
                                     { DNNL_ARG_DST, o->m[2] } };
    (void)s;
    check(dnnl_primitive_execute(o->run, o->stream, 3, args) == dnnl_success &&
          dnnl_stream_wait(o->stream) == dnnl_success);
}

static void by_openblas(const struct timed_product *p)
{
    const struct product_shape *s = &p->s;
    CBLAS_GEMM(CblasRowMajor, s->transpose_A ? CblasTrans : CblasNoTrans,
               s->transpose_B ? CblasTrans : CblasNoTrans, s->N, s->M, s->K, 1, p->A, lda(s), p->B,
               ldb(s), 0, p->C, s->M);
}

/* libxsmm counts columns first: its C' = B' A' is our C = A B. */
static xsmm dispatch(const struct product_shape *s)
{
    const libxsmm_blasint b = s->M, a = lda(s), c = s->M;
    const real alpha = 1, beta = 0;
    const int flags = s->transpose_A ? LIBXSMM_GEMM_FLAG_TRANS_B : 0, prefetch = 0;
    return DISPATCH(s->M, s->N, s->K, &b, &a, &c, &alpha, &beta, &flags, &prefetch);
}

/* --- all ---------------------------------------------------------------------------- */

void product_init(struct timed_product *p, const struct product_shape *s, real *C, real *A, real *B)
{
    *p = (struct timed_product){ .s = *s, .C = C, .A = A, .B = B };
    check(!s->small || !s->transpose_B);
    if (s->in_bf16) round_operands(p);
}

void product_done(struct timed_product *p)
{
    void *all[] = { p->rows, p->panels, p->words_A, p->words_B };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
    onednn_free(p->onednn);
}

const char *product_by_name(enum product_by by)
{
    static const char *const names[] = { [OURS] = "ttt", [ONEDNN] = "oneDNN",
                                         [LIBXSMM] = "libxsmm", [OPENBLAS] = "OpenBLAS" };
    return names[by];
}

int product_can(const struct timed_product *p, enum product_by by)
{
    const struct product_shape *s = &p->s;
    switch (by) {
    case OURS: return 1;
    case ONEDNN:
        return s->in_bf16 ? gemm_bf16_native() && !s->small : sizeof(real) == sizeof(float);
    case LIBXSMM: return s->small && !s->in_bf16 && isa_best() > ISA_PLAIN && dispatch(s);
    default: return !s->in_bf16;
    }
}

/* What takes microseconds is repeated between two looks at the clock. */
static int times(const struct timed_product *p) { return p->s.small ? 500 : 1; }

void product_run(struct timed_product *p, enum product_by by)
{
    const xsmm f = by == LIBXSMM ? dispatch(&p->s) : NULL;

    if (by == OPENBLAS) openblas_set_num_threads(p->s.small ? 1 : omp_get_max_threads());
    for (int i = times(p); i > 0; i--) {
        if (by == LIBXSMM) f(p->B, p->A, p->C);
        else if (by == OPENBLAS) by_openblas(p);
        else if (by == ONEDNN) by_onednn(p);
        else if (p->s.small) ours_small(p);
        else ours(p);
    }
    if (by == OPENBLAS) openblas_set_num_threads(1);
}

double product_flops(const struct timed_product *p)
{
    return 2.0 * p->s.N * p->s.M * p->s.K * times(p);
}

int product_verify(struct timed_product *p, enum product_by by)
{
    const struct product_shape *s = &p->s;
    /* Sums over k of terms below 1, each off by two roundings, which have no sign. */
    const double off = s->in_bf16 ? 8 * 0x1p-8 * sqrt(s->K) : 4 * REAL_EPS * s->K;

    product_run(p, by);
    for (int i = 0; i < 1000; i++) {
        const int64_t n = i * 7919LL % s->N, m = i * 104729LL % s->M;
        const double got = (double)p->C[n * s->M + m];
        double sum = 0;
        for (int64_t k = 0; k < s->K; k++)
            sum += (double)p->A[s->transpose_A ? k * s->N + n : n * s->K + k] *
                   (double)p->B[s->transpose_B ? m * s->K + k : k * s->M + m];
        if (!(fabs(got - sum) < off))
            return fail(ERR_DATA, "%s, %s: %d x %d x %d gives %g for %g in row %d, column %d",
                        product_by_name(by), s->in_bf16 ? "bf16" : "fp32", s->N, s->M, s->K, got,
                        sum, (int)n, (int)m);
    }
    return OK;
}
