/* SPDX-License-Identifier: Apache-2.0 */
#include "src/infer/spectrum.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/kernels/lapack.h"

static void add(struct spectra *x, const char *name, int head, int rows, int cols, const real *at)
{
    if (x->count == x->room) {
        x->room = 2 * x->room + 16;
        x->v = mem_resize(x->v, x->room, sizeof *x->v, "spectra");
    }
    struct spectrum *s = &x->v[x->count++];
    *s = (struct spectrum){ .head = head, .rows = rows, .cols = cols, .at = at,
                            .n = rows < cols ? rows : cols };
    snprintf(s->name, sizeof s->name, "%s", name);
    s->s = mem_new(s->n, sizeof *s->s, "singular values");
}

void spectra_weights(struct spectra *x, const struct model *m, const char *part)
{
    for (int i = 0; i < m->params.count; i++) {
        const struct param *p = &m->params.p[i];
        if (p->ndim < 2 || p->ndim > 3 || !strstr(p->name, part)) continue;
        const int rows = (int)p->shape[p->ndim - 2], cols = (int)p->shape[p->ndim - 1];
        const int heads = p->ndim == 3 ? (int)p->shape[0] : 1;
        if (rows > 1 && cols > 1)
            for (int h = 0; h < heads; h++)
                add(x, p->name, p->ndim == 3 ? h : -1, rows, cols,
                    m->w + p->offset + (int64_t)h * rows * cols);
    }
}

/* Inner gradients and halos are no weights. */
static int is_weight(const char *name, const int shape[3])
{
    return !strchr(name, '.') && shape[1] > 1 && shape[2] > 1;
}

static void add_layer(struct spectra *x, const struct model *m, int l, const real *carry,
                      int64_t read, const char *part)
{
    const char *name;
    const real *v;
    int64_t stride[2];
    int shape[3];

    for (int i = 0; block_state(&m->blocks[l], 1, carry, i, &name, shape, &v, stride);
         i++) {
        char full[PARAM_NAME + 32];
        const int64_t each = (int64_t)shape[1] * shape[2];
        snprintf(full, sizeof full, "layers.%d.%s after %lld tokens", l, name, (long long)read);
        if (!is_weight(name, shape) || !strstr(full, part)) continue;
        real *copy = mem_new(shape[0] * each, sizeof *copy, "fast weights");
        x->owned = mem_resize(x->owned, x->n_owned + 1, sizeof *x->owned, "fast weights");
        x->owned[x->n_owned++] = copy;
        for (int h = 0; h < shape[0]; h++) {
            memcpy(copy + h * each, v + h * stride[1], (size_t)each * sizeof *copy);
            add(x, full, h, shape[1], shape[2], copy + h * each);
        }
    }
}

void spectra_fast_weights(struct spectra *x, const struct model *m, const int32_t *tokens,
                          int64_t n, int slice, const char *part)
{
    struct stream *s = stream_new(m, 1, slice);
    real *y = mem_new((int64_t)slice * m->dims.C, sizeof *y, "hidden states");

    for (int64_t i = 0; i < n; i += slice)
        stream_read(s, y, tokens + i, n - i < slice ? (int)(n - i) : slice, NULL);
    for (int l = 0; l < m->dims.L; l++) add_layer(x, m, l, stream_carry(s, l), n, part);
    mem_free(y);
    stream_free(s);
}

void spectra_done(struct spectra *x)
{
    for (int i = 0; i < x->count; i++) mem_free(x->v[i].s);
    for (int i = 0; i < x->n_owned; i++) mem_free(x->owned[i]);
    mem_free(x->v);
    mem_free(x->owned);
    *x = (struct spectra){ 0 };
}

void spectrum_find(struct spectrum *x)
{
    const int64_t n = (int64_t)x->rows * x->cols;
    real *A = mem_new(n, sizeof *A, "matrix");

    memcpy(A, x->at, (size_t)n * sizeof *A);
    x->info = lapack_singular(x->s, A, x->rows, x->cols);
    mem_free(A);
}

double spectrum_effective_rank(const struct spectrum *x)
{
    double sum = 0, entropy = 0;

    for (int i = 0; i < x->n; i++) sum += (double)x->s[i];
    if (x->info || !(sum > 0)) return 0;
    for (int i = 0; i < x->n; i++) {
        const double p = (double)x->s[i] / sum;
        if (p > 0) entropy -= p * log(p);
    }
    return exp(entropy);
}

double spectrum_stable_rank(const struct spectrum *x)
{
    double sum = 0;

    if (x->info || !(x->s[0] > 0)) return 0;
    for (int i = 0; i < x->n; i++) sum += pow((double)x->s[i] / (double)x->s[0], 2);
    return sum;
}
