/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/proof.h"

#include <stdio.h>
#include <string.h>

#include <cblas.h>
#include <omp.h>

#include "src/base/build_info.h"
#include "src/base/failpoint.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/status.h"
#include "src/kernels/gemm_bf16.h"
#include "src/kernels/gemm_bf16_tiles.h"
#include "src/kernels/isa.h"
#include "src/kernels/lapack.h"
#include "src/kernels/smm.h"

enum { N = PROOF_ROWS, M = PROOF_COLUMNS, INNER = 300 };

static real *noise(int64_t n, const char *name)
{
    real *x = mem_new(n, sizeof *x, "proof");
    const uint64_t key = rng_key(1, name);
    for (int64_t i = 0; i < n; i++) x[i] = (real)rng_normal(key, (uint64_t)i);
    return x;
}

static int equal(const real *a, const real *b, int64_t n)
{
    return !memcmp(a, b, (size_t)n * sizeof *a);
}

/* --- products of many rows -------------------------------------------------- */

/* The reference is the whole product by one thread.  Then the rows are made again in parts of 1, 2,
 * 16, 33 and all of them, by all threads: 16 and 33 are a tile of AMX and one more than two, 1 is
 * what a library may have other code for. */
const char *proof_of_rows(proof_rows *f, void *ctx)
{
    static const int parts[] = { 1, 2, 16, 33, N };
    const int threads = omp_get_max_threads();
    real *whole = mem_new(2 * N * M, sizeof *whole, "proof"), *y = whole + N * M;
    const char *wrong = NULL;

    omp_set_num_threads(1);
    f(ctx, whole, 0, N);
    for (int i = 0; i < (int)(sizeof parts / sizeof *parts) && !wrong; i++) {
        omp_set_num_threads(threads);
        for (int n0 = 0, n; n0 < N; n0 += n) {
            n = N - n0 < parts[i] ? N - n0 : parts[i];
            f(ctx, y + n0 * M, n0, n);
        }
        if (!equal(y, whole, N * M))
            wrong = parts[i] < N ? "a row's bits depend on how many others there are"
                                 : "bits depend on the number of threads";
    }
    omp_set_num_threads(threads);
    mem_free(whole);
    return wrong;
}

struct operands { real *A, *B; bf16 *rows, *panels; };

static void fp32(void *ctx, real *y, int n0, int n)
{
    const struct operands *o = ctx;
    gemm(&(struct gemm){ .C = y, .A = o->A + n0 * INNER, .B = o->B, .transpose_B = 1,
                         .N = n, .M = M, .K = INNER });
}

static void rounded(void *ctx, real *y, int n0, int n)
{
    const struct operands *o = ctx;
    bf16_rows(o->rows, o->A + n0 * INNER, INNER, n, INNER);
    gemm_bf16(&(struct gemm_bf16){ .C = y, .rows = o->rows, .panels = o->panels,
                                   .N = n, .M = M, .K = INNER });
}

static const char *as_defined(const struct operands *o)
{
    real *y = mem_new(2 * N * M, sizeof *y, "proof"), *want = y + N * M;
    struct gemm p = { .C = y, .A = o->A, .B = o->B, .transpose_B = 1, .N = N, .M = M, .K = INNER };
    gemm(&p);
    p.C = want;
    gemm_ref(&p);
    const int good = equal(y, want, N * M);
    mem_free(y);
    return good ? NULL : "a product is not what its definition gives";
}

/* --- the same call ----------------------------------------------------------- */

/* The libraries are asked for nothing but equal bits of equal calls.  What could break that is a
 * thread's state: code that was made for another shape, a choice by the number of threads or by an
 * address.  So one call is made alone and then in every thread, on copies of the same operands.
 *
 * One call with operands x (n reals), which become its result. */
typedef void call(const struct proof_of *p, real *x);

static void small(const struct proof_of *p, real *x)
{
    real *C = x, *A = C + p->K * p->F, *B = A + p->K * p->F;
    smm(C, A, B, p->K, p->F, p->F, 1);
    smm_tn(B, A, C, p->F, p->F, p->K, 1);
}

static void eigen(const struct proof_of *p, real *x)
{
    const int d = 48;
    (void)p;
    for (int i = 0; i < d; i++)
        for (int j = 0; j < i; j++) x[i * d + j] = x[j * d + i];
    (void)lapack_eigen(x, x + d * d, d);
}

static const char *in_every_thread(call *f, const struct proof_of *p, int64_t n)
{
    real *x = noise(n, "call"), *want = noise(n, "call");
    int wrong = 0;

    f(p, want);
    #pragma omp parallel reduction(+ : wrong)
    {
        real *own = mem_new(n, sizeof *own, "proof");
        memcpy(own, x, (size_t)n * sizeof *x);
        f(p, own);
        wrong = !equal(own, want, n);
        mem_free(own);
    }
    mem_free(x);
    mem_free(want);
    return wrong ? "the same call gives other bits in other threads" : NULL;
}

/* --- all ---------------------------------------------------------------------- */

static int judge(char why[PROOF_TEXT], const char *wrong, const char *name, const char *version)
{
    if (!wrong) return OK;
    snprintf(why, PROOF_TEXT, "%s%s with %s instructions: %s", name, version,
             isa_name(isa_best()), wrong);
    return ERR_CONFIG;
}

/* With tiles, whose instructions' order of sums is the processor's. */
static const char *tiles_as_defined(const struct operands *o)
{
    real *y = mem_new(2 * N * M, sizeof *y, "proof"), *want = y + N * M;
    struct gemm_bf16 p = { .C = y, .rows = o->rows, .panels = o->panels, .ldc = M, .N = N, .M = M,
                           .K = INNER, .panels_K = INNER };
    bf16_rows(o->rows, o->A, INNER, N, INNER);
    gemm_bf16(&p);
    p.C = want;
    gemm_bf16_tiles_ref(&p);
    const int good = equal(y, want, N * M);
    mem_free(y);
    return good ? NULL : "a product is not what its definition gives";
}

static int bf16_products(char why[PROOF_TEXT], struct operands *o)
{
    o->rows = mem_new(bf16_rows_size(N, INNER), sizeof *o->rows, "proof");
    o->panels = mem_new(bf16_panels_size(INNER, M), sizeof *o->panels, "proof");
    bf16_panels_transposed(o->panels, o->B, INNER, INNER, M);
    const char *wrong = proof_of_rows(rounded, o);
    if (!wrong && gemm_bf16_native() && isa_best() >= ISA_AMX) wrong = tiles_as_defined(o);
    if (FAILPOINT("proof.bf16") != OK) wrong = "it was told to fail";
    mem_free(o->rows);
    mem_free(o->panels);
    return judge(why, wrong, "ttt ", build_version());
}

int proof_run(char why[PROOF_TEXT], const struct proof_of *p)
{
    struct operands o = { .A = noise(N * INNER, "A"), .B = noise(M * INNER, "B") };
    const char *wrong = proof_of_rows(fp32, &o);
    int rc = OK;

    if (!wrong) wrong = as_defined(&o);
    if (FAILPOINT("proof.fp32") != OK) wrong = "it was told to fail";
    TRY(judge(why, wrong, "ttt ", build_version()));
    if (p->bf16) TRY(bf16_products(why, &o));
    wrong = in_every_thread(small, p, (int64_t)p->F * (2 * p->K + p->F));
    if (FAILPOINT("proof.small") != OK) wrong = "it was told to fail";
    TRY(judge(why, wrong, "ttt ", build_version()));
    if (!p->lapack) goto out;
    wrong = in_every_thread(eigen, p, 48 * 48 + 48);
    if (FAILPOINT("proof.lapack") != OK) wrong = "it was told to fail";
    TRY(judge(why, wrong, "", openblas_get_config()));
out:
    mem_free(o.A);
    mem_free(o.B);
    return rc;
}
