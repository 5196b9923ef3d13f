/* SPDX-License-Identifier: Apache-2.0 */
#include "src/param/param.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/status.h"
#include "src/kernels/lapack.h"

int param_add(struct param_table *t, const char *prefix, const char *name, enum init_kind init,
              double init_arg, const int64_t shape[PARAM_DIMS])
{
    if ((t->count & (t->count - 1)) == 0)  /* room doubles at powers of two */
        t->p = mem_resize(t->p, t->count ? 2 * t->count : 1, sizeof *t->p, "parameter table");

    struct param *p = &t->p[t->count];
    *p = (struct param){ .n = 1, .offset = t->total, .init = init, .init_arg = init_arg };
    check(snprintf(p->name, sizeof p->name, "%s%s", prefix, name) < PARAM_NAME);
    for (int i = 0; i < PARAM_DIMS && shape[i] > 0; i++) {
        p->shape[i] = shape[i];
        p->n *= shape[i];
        p->ndim++;
    }
    check(p->ndim >= 1);
    t->n += p->n;
    t->total += align_reals(p->n);
    return t->count++;
}

int param_add_product(struct param_table *t, const char *prefix, const char *name,
                      enum init_kind init, double init_arg, const int64_t shape[PARAM_DIMS])
{
    const int k = param_add(t, prefix, name, init, init_arg, shape);
    t->p[k].product = 1;
    return k;
}

int param_find(const struct param_table *t, const char *name)
{
    for (int i = 0; i < t->count; i++)
        if (!strcmp(t->p[i].name, name)) return i;
    return -1;
}

int param_at(const struct param_table *t, int64_t offset)
{
    int lo = 0, hi = t->count;
    while (hi - lo > 1) {
        const int mid = (lo + hi) / 2;
        if (t->p[mid].offset <= offset) lo = mid; else hi = mid;
    }
    return lo;
}

void param_done(struct param_table *t)
{
    mem_free(t->p);
    *t = (struct param_table){ 0 };
}

/* b with softplus(b) = exp(u between log 1e-3 and log 0.1). */
static double step_bias(double u)
{
    const double step = exp(log(1e-3) + u * (log(0.1) - log(1e-3)));
    return step + log(-expm1(-step));
}

/* One matrix: A (m,n), m <= n, of normal numbers from `first` on becomes Q of its factors, with the
 * signs that make R's diagonal positive; so Q is uniform among all. */
static void orthogonal(real *w, int rows, int cols, double arg, uint64_t key, uint64_t first)
{
    const int m = rows < cols ? rows : cols, n = rows < cols ? cols : rows;
    real *A = mem_new((int64_t)m * n + m, sizeof *A, "orthogonal matrix"), *diag;

    diag = A + (int64_t)m * n;
    rng_normals(A, (int64_t)m * n, key, first, 1);
    check(lapack_orthonormal(A, diag, m, n) == 0);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            const double x = (double)A[(int64_t)i * n + j] * arg * sqrt(n);
            const int64_t at = rows <= cols ? (int64_t)i * n + j : (int64_t)j * m + i;
            w[at] = (real)(diag[i] < 0 ? -x : x);
        }
    mem_free(A);
}

static void orthogonal_stack(real *w, const struct param *p, uint64_t key)
{
    const int64_t cols = p->shape[p->ndim - 1], each = cols * p->shape[p->ndim - 2];

    #pragma omp parallel for schedule(dynamic)
    for (int64_t i = 0; i < p->n / each; i++)
        orthogonal(w + i * each, (int)(each / cols), (int)cols, p->init_arg, key,
                   (uint64_t)(i * each));
}

enum { CHUNK = 1 << 14 };  /* elements a thread takes at a time */

/* Elements [begin, end) of a parameter. */
static void fill(real *v, const struct param *p, uint64_t key, int64_t begin, int64_t end)
{
    if (p->init == INIT_NORMAL) {
        rng_normals(v + begin, end - begin, key, (uint64_t)begin, p->init_arg);
        return;
    }
    for (int64_t i = begin; i < end; i++) {
        switch (p->init) {
        case INIT_ZERO: v[i] = 0; break;
        case INIT_ONE: v[i] = 1; break;
        case INIT_UNIFORM:
            v[i] = (real)(p->init_arg * (2 * rng_uniform(key, (uint64_t)i) - 1));
            break;
        case INIT_LOG_COUNT: v[i] = (real)log((double)(i % p->shape[p->ndim - 1] + 1)); break;
        case INIT_STEP: v[i] = (real)step_bias(rng_uniform(key, (uint64_t)i)); break;
        case INIT_NORMAL:
        case INIT_ORTHOGONAL: break;
        }
    }
}

void param_init_one(real *w, const struct param *p, uint64_t seed)
{
    const uint64_t key = rng_key(seed, p->name);
    real *v = w + p->offset;

    if (p->init == INIT_ORTHOGONAL) {
        orthogonal_stack(v, p, key);
        return;
    }
    #pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p->n; i += CHUNK)
        fill(v, p, key, i, i + CHUNK < p->n ? i + CHUNK : p->n);
}

void param_init(real *w, const struct param_table *t, uint64_t seed)
{
    for (int k = 0; k < t->count; k++) {
        const int64_t end = t->p[k].offset + t->p[k].n;
        const int64_t next = k + 1 < t->count ? t->p[k + 1].offset : t->total;
        param_init_one(w, &t->p[k], seed);
        memset(w + end, 0, (size_t)(next - end) * sizeof *w);
    }
}
