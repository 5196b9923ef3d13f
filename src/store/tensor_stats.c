/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/tensor_stats.h"

#include <math.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"

#define CHUNK 1024
#define TELLING 1000  /* elements that have a standard deviation worth judging */

/* Elements [at, at + n) of any type. */
static void values(double out[CHUNK], const struct tensor *t, int64_t at, int64_t n)
{
    const char *src = (const char *)t->data + at * dtype_bytes(t->dtype);
    if (convert_to_f64(out, src, t->dtype, n) == OK) return;
    for (int64_t i = 0; i < n; i++)
        out[i] = t->dtype == DT_I32   ? ((const int32_t *)src)[i]
                 : t->dtype == DT_I64 ? (double)((const int64_t *)src)[i]
                                      : ((const uint8_t *)src)[i];
}

/* What a thread finds in its share of the elements. */
#define SHARE (64 * CHUNK)

struct part { double sum, square, min, max; int64_t bad; };

static void part_of(struct part *p, const struct tensor *t, double centre, int64_t begin,
                    int64_t end)
{
    double x[CHUNK];

    *p = (struct part){ .min = INFINITY, .max = -INFINITY };
    for (int64_t at = begin; at < end; at += CHUNK) {
        const int64_t n = end - at < CHUNK ? end - at : CHUNK;
        values(x, t, at, n);
        for (int64_t i = 0; i < n; i++) {
            const double y = x[i] - centre;
            if (!isfinite(x[i])) {
                p->bad++;
                continue;
            }
            p->sum += y;
            p->square += y * y;
            p->min = x[i] < p->min ? x[i] : p->min;
            p->max = x[i] > p->max ? x[i] : p->max;
        }
    }
}

/* One pass: around 0 it finds everything but the spread, which is taken around the mean.  Shares
 * are added in their order: threads change no digit. */
static void pass(struct tensor_stats *s, double *sum, double *square, const struct tensor *t,
                 double centre)
{
    const int64_t shares = (s->n + SHARE - 1) / SHARE;
    struct part *part = mem_new(shares, sizeof *part, "statistics of a tensor");

    #pragma omp parallel for schedule(static)
    for (int64_t k = 0; k < shares; k++)
        part_of(&part[k], t, centre, k * SHARE, k + 1 < shares ? (k + 1) * SHARE : s->n);
    *sum = *square = 0;
    s->bad = 0;
    for (int64_t k = 0; k < shares; k++) {
        *sum += part[k].sum;
        *square += part[k].square;
        s->bad += part[k].bad;
        s->min = fmin(s->min, part[k].min);
        s->max = fmax(s->max, part[k].max);
    }
    mem_free(part);
}

void tensor_stats(struct tensor_stats *s, const struct tensor *t)
{
    double sum, square, ignored;

    *s = (struct tensor_stats){ .n = tensor_n(t), .min = INFINITY, .max = -INFINITY };
    pass(s, &sum, &square, t, 0);
    if (s->n == s->bad) {
        s->min = s->max = 0;
        return;
    }
    s->norm = sqrt(square);
    s->mean = sum / (double)(s->n - s->bad);
    pass(s, &ignored, &square, t, s->mean);
    s->std = sqrt(square / (double)(s->n - s->bad));
}

int tensor_looks_untrained(const struct tensor_stats *s, double init_std)
{
    const double root = sqrt((double)s->n);
    if (s->bad) return 0;
    if (s->n > 0 && s->min == s->max) return s->min == 0 || s->min == 1;
    if (s->n < TELLING) return -1;
    return fabs(s->std - init_std) < init_std * fmax(0.01, 4 / (sqrt(2) * root)) &&
           fabs(s->mean) < 4 * init_std / root;
}

void tensor_diff(struct tensor_diff *d, const struct tensor *a, const struct tensor *b)
{
    double x[CHUNK], y[CHUNK], square = 0;
    const int64_t total = tensor_n(a), size = dtype_bytes(a->dtype);

    check(a->dtype == b->dtype && tensor_same_shape(a, b));
    *d = (struct tensor_diff){ .first = -1 };
    for (int64_t at = 0; at < total; at += CHUNK) {
        const int64_t n = total - at < CHUNK ? total - at : CHUNK;
        const char *p = (const char *)a->data + at * size, *q = (const char *)b->data + at * size;
        if (!memcmp(p, q, (size_t)(n * size))) continue;
        values(x, a, at, n);
        values(y, b, at, n);
        for (int64_t i = 0; i < n; i++) {
            if (!memcmp(p + i * size, q + i * size, (size_t)size)) continue;
            if (d->first < 0) d->first = at + i;
            d->differ++;
            const double gap = fabs(x[i] - y[i]);
            if (isnan(gap)) continue;
            d->max_abs = fmax(d->max_abs, gap);
            square += gap * gap;
        }
    }
    if (total) d->rms = sqrt(square / (double)total);
}
