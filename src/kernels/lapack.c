/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/lapack.h"

#include <math.h>

#include "src/base/mem.h"
#include "src/base/status.h"

#ifdef TTT_F64
#define XSYEVD dsyevd_
#define XGEQRF dgeqrf_
#define XORGQR dorgqr_
#define XGESDD dgesdd_
#else
#define XSYEVD ssyevd_
#define XGEQRF sgeqrf_
#define XORGQR sorgqr_
#define XGESDD sgesdd_
#endif

/* The last arguments are the lengths of strings, as gfortran passes them. */
void XSYEVD(const char *jobz, const char *uplo, const int *n, real *A, const int *lda, real *w,
            real *work, const int *lwork, int *iwork, const int *liwork, int *info, size_t, size_t);
void XGEQRF(const int *m, const int *n, real *A, const int *lda, real *tau, real *work,
            const int *lwork, int *info);
void XORGQR(const int *m, const int *n, const int *k, real *A, const int *lda, const real *tau,
            real *work, const int *lwork, int *info);
void XGESDD(const char *jobz, const int *m, const int *n, real *A, const int *lda, real *s,
            real *U, const int *ldu, real *V, const int *ldv, real *work, const int *lwork,
            int *iwork, int *info, size_t);

int all_finite(const real *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(v[i])) return 0;
    return 1;
}

/* The size that a workspace query returned, as a float, which may have been rounded down. */
static int room(real asked, int least)
{
    const int64_t n = (int64_t)((double)asked * (1 + 2 * REAL_EPS)) + 1;
    check(n < INT32_MAX);
    return n > least ? (int)n : least;
}

static void swap_rows(real *a, real *b, int n)
{
    for (int i = 0; i < n; i++) {
        const real x = a[i];
        a[i] = b[i];
        b[i] = x;
    }
}

int lapack_eigen(real *A, real *lambda, int n)
{
    const int ask = -1;
    int info, iwork_n;
    real asked;

    if (!all_finite(A, (int64_t)n * n)) return LAPACK_NOT_FINITE;
    XSYEVD("V", "L", &n, A, &n, lambda, &asked, &ask, &iwork_n, &ask, &info, 1, 1);
    check(info == 0);
    const int lwork = room(asked, 1);
    real *work = mem_new(lwork, sizeof *work, "eigenvectors");
    int *iwork = mem_new(iwork_n, sizeof *iwork, "eigenvectors");
    XSYEVD("V", "L", &n, A, &n, lambda, work, &lwork, iwork, &iwork_n, &info, 1, 1);
    check(info >= 0);
    for (int i = 0; i < n / 2; i++) {
        swap_rows(A + (int64_t)i * n, A + (int64_t)(n - 1 - i) * n, n);
        swap_rows(lambda + i, lambda + n - 1 - i, 1);
    }
    mem_free(work);
    mem_free(iwork);
    return info;
}

int lapack_orthonormal(real *A, real *diag, int m, int n)
{
    const int ask = -1;
    int info;
    real asked[2];

    check(m <= n);
    if (!all_finite(A, (int64_t)m * n)) return LAPACK_NOT_FINITE;
    XGEQRF(&n, &m, A, &n, asked, &asked[0], &ask, &info);
    check(info == 0);
    XORGQR(&n, &m, &m, A, &n, asked, &asked[1], &ask, &info);
    check(info == 0);
    const int lwork = room(asked[0] > asked[1] ? asked[0] : asked[1], n);
    real *work = mem_new((int64_t)lwork + m, sizeof *work, "orthonormal rows");
    real *tau = work + lwork;
    XGEQRF(&n, &m, A, &n, tau, work, &lwork, &info);
    check(info == 0);
    for (int i = 0; i < m; i++) diag[i] = A[(int64_t)i * n + i];
    XORGQR(&n, &m, &m, A, &n, tau, work, &lwork, &info);
    check(info == 0);
    mem_free(work);
    return 0;
}

int lapack_singular(real *s, real *A, int m, int n)
{
    const int ask = -1, one = 1, least = m < n ? m : n;
    int info;
    real asked, none;

    if (!all_finite(A, (int64_t)m * n)) return LAPACK_NOT_FINITE;
    int *iwork = mem_new(8 * (int64_t)least, sizeof *iwork, "singular values");
    XGESDD("N", &n, &m, A, &n, s, &none, &one, &none, &one, &asked, &ask, iwork, &info, 1);
    check(info == 0);
    const int lwork = room(asked, 1);
    real *work = mem_new(lwork, sizeof *work, "singular values");
    XGESDD("N", &n, &m, A, &n, s, &none, &one, &none, &one, work, &lwork, iwork, &info, 1);
    check(info >= 0);
    mem_free(work);
    mem_free(iwork);
    return info;
}
