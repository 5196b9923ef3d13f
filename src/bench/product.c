/* SPDX-License-Identifier: Apache-2.0 */
#include "src/bench/product.h"

#include <math.h>

#include <cblas.h>
#include <omp.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/bench/product_library.h"
#include "src/kernels/smm.h"

#ifdef TTT_F64
#define CBLAS_GEMM cblas_dgemm
#else
#define CBLAS_GEMM cblas_sgemm
#endif

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

/* --- all ---------------------------------------------------------------------------- */

static void by_openblas(const struct timed_product *p)
{
    const struct product_shape *s = &p->s;
    CBLAS_GEMM(CblasRowMajor, s->transpose_A ? CblasTrans : CblasNoTrans,
               s->transpose_B ? CblasTrans : CblasNoTrans, s->N, s->M, s->K, 1, p->A,
               product_lda(s), p->B, product_ldb(s), 0, p->C, s->M);
}

void product_init(struct timed_product *p, const struct product_shape *s, real *C, real *A, real *B)
{
    *p = (struct timed_product){ .s = *s, .C = C, .A = A, .B = B, .times = s->small ? 500 : 1 };
    check(!s->small || !s->transpose_B);
    if (s->in_bf16) round_operands(p);
}

void product_done(struct timed_product *p)
{
    void *all[] = { p->rows, p->panels, p->words_A, p->words_B };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
    onednn_done(p);
}

const char *product_by_name(enum product_by by)
{
    static const char *const names[] = { [OURS] = "ttt", [ONEDNN] = "oneDNN",
                                         [LIBXSMM] = "libxsmm", [OPENBLAS] = "OpenBLAS" };
    return names[by];
}

int product_can(const struct timed_product *p, enum product_by by)
{
    switch (by) {
    case OURS: return 1;
    case ONEDNN: return onednn_can(p);
    case LIBXSMM: return libxsmm_can(p);
    default: return !p->s.in_bf16;
    }
}

void product_run(struct timed_product *p, enum product_by by)
{
    if (by == OPENBLAS) openblas_set_num_threads(p->s.small ? 1 : omp_get_max_threads());
    if (by == LIBXSMM) libxsmm_run(p);
    else
        for (int i = p->times; i > 0; i--) {
            if (by == OPENBLAS) by_openblas(p);
            else if (by == ONEDNN) onednn_run(p);
            else if (p->s.small) ours_small(p);
            else ours(p);
        }
    if (by == OPENBLAS) openblas_set_num_threads(1);
}

double product_flops(const struct timed_product *p)
{
    return 2.0 * p->s.N * p->s.M * p->s.K * p->times;
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
