/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/store/safetensors.h"

#define ROW_STEP 11
#define COL_STEP 7

static int speaking = 1;

void golden_speak(int speaks) { speaking = speaks; }

void golden_open(struct golden *g, const char *path)
{
    struct safetensors *s;

    if (safetensors_open(&s, path) != OK) die("%s can't be read", path);
    g->count = safetensors_count(s);
    g->a = mem_new(g->count, sizeof *g->a, "golden tensors");
    for (int i = 0; i < g->count; i++) {
        const struct tensor *t = safetensors_tensor(s, i);
        struct array *a = &g->a[i];
        snprintf(a->name, sizeof a->name, "%s", t->name);
        a->ndim = t->ndim;
        memcpy(a->shape, t->shape, sizeof t->shape);
        a->n = tensor_n(t);
        a->v = mem_new(a->n, sizeof *a->v, a->name);
        int rc;
        if (t->dtype == DT_I32) {
            int32_t *v = mem_new(a->n, sizeof *v, a->name);
            rc = safetensors_read_i32(s, i, v);
            for (int64_t k = 0; k < a->n; k++) a->v[k] = v[k];
            mem_free(v);
        } else rc = safetensors_read_f64(s, i, a->v);
        if (rc != OK) die("%s: %s can't be read", path, a->name);
    }
    safetensors_close(s);
}

void golden_close(struct golden *g)
{
    for (int i = 0; i < g->count; i++) mem_free(g->a[i].v);
    mem_free(g->a);
    *g = (struct golden){ 0 };
}

const struct array *golden_find(const struct golden *g, const char *name)
{
    for (int i = 0; i < g->count; i++)
        if (!strcmp(g->a[i].name, name)) return &g->a[i];
    return NULL;
}

const struct array *golden_get(const struct golden *g, const char *name)
{
    const struct array *a = golden_find(g, name);
    if (!a) die("there is no tensor %s", name);
    return a;
}

/* "name[1, 0, 17]" of flat index i. */
static void place(char *text, size_t n, const struct array *a, int64_t i)
{
    int64_t left = i, index[GOLDEN_DIMS];
    int k = snprintf(text, n, "%s[", a->name);

    for (int d = a->ndim - 1; d >= 0; d--) {
        index[d] = left % a->shape[d];
        left /= a->shape[d];
    }
    for (int d = 0; d < a->ndim; d++)
        k += snprintf(text + k, n - (size_t)k, "%s%lld", d ? ", " : "", (long long)index[d]);
    snprintf(text + k, n - (size_t)k, "]");
}

int64_t golden_differ(const struct array *expected, const double *found, double tol)
{
    int64_t bad = 0, at = 0;
    double worst = -1;

    for (int64_t i = 0; i < expected->n; i++) {
        double off = fabs(found[i] - expected->v[i]);
        if (off <= tol) continue;
        bad++;
        if (off != off) off = INFINITY;
        if (off > worst) {
            worst = off;
            at = i;
        }
    }
    if (bad && speaking) {
        char text[GOLDEN_NAME + 64];
        place(text, sizeof text, expected, at);
        fprintf(stderr, "  %s: expected %.17g, found %.17g, off by %.3g (allowed %.3g); %lld of "
                "%lld entries are off\n", text, expected->v[at], found[at], worst, tol,
                (long long)bad, (long long)expected->n);
    }
    return bad;
}

/* Are a and b the same but for the number of the layer? */
static int same_kind(const char *a, const char *b)
{
    while (*a && *b) {
        const size_t i = strspn(a, "0123456789"), j = strspn(b, "0123456789");
        if (i && j && a[i] == '.' && b[j] == '.') {
            a += i;
            b += j;
        } else if (*a++ != *b++) return 0;
    }
    return *a == *b;
}

static double largest_of_kind(const struct golden *g, const char *name)
{
    double largest = 0;
    for (int i = 0; i < g->count; i++) {
        if (!same_kind(g->a[i].name, name)) continue;
        for (int64_t k = 0; k < g->a[i].n; k++)
            if (fabs(g->a[i].v[k]) > largest) largest = fabs(g->a[i].v[k]);
    }
    return largest;
}

static int64_t compare_piece(const struct golden *g, const char *name, const char *piece,
                             const double *found, int64_t n, double tol)
{
    char full[GOLDEN_NAME + 16];

    snprintf(full, sizeof full, "%s%s", name, piece);
    const struct array *a = golden_get(g, full);
    if (a->n != n) die("%s has %lld entries, found %lld", full, (long long)a->n, (long long)n);
    /* Sums may cancel (of an inner gradient, they do): the scale is then an entry's. */
    double largest = largest_of_kind(g, full);
    snprintf(full, sizeof full, "%s.sub", name);
    const double entry = largest_of_kind(g, full);
    if (entry > largest && strcmp(piece, ".sumsq")) largest = entry;
    return golden_differ(a, found, tol * largest);
}

/* A large tensor, M matrices of R x C, through what stands for it. */
static int64_t compare_large(const struct golden *g, const char *name, const struct array *a,
                             double tol)
{
    const int64_t C = a->shape[a->ndim - 1], R = a->shape[a->ndim - 2], M = a->n / (R * C);
    const int64_t sr = (R + ROW_STEP - 1) / ROW_STEP, sc = (C + COL_STEP - 1) / COL_STEP;
    double *row = mem_new(M * R, sizeof *row, "sums"), *col = mem_new(M * C, sizeof *col, "sums");
    double *sumsq = mem_new(M, sizeof *sumsq, "sums");
    double *sub = mem_new(M * sr * sc, sizeof *sub, "sample");
    int64_t k = 0, bad = 0;

    for (int64_t i = 0; i < a->n; i++) {
        const int64_t m = i / (R * C), r = i / C % R, c = i % C;
        row[m * R + r] += a->v[i];
        col[m * C + c] += a->v[i];
        sumsq[m] += a->v[i] * a->v[i];
        if (r % ROW_STEP == 0 && c % COL_STEP == 0) sub[k++] = a->v[i];
    }
    bad += compare_piece(g, name, ".rowsum", row, M * R, tol);
    bad += compare_piece(g, name, ".colsum", col, M * C, tol);
    bad += compare_piece(g, name, ".sumsq", sumsq, M, 2 * tol);
    bad += compare_piece(g, name, ".sub", sub, k, tol);
    mem_free(row);
    mem_free(col);
    mem_free(sumsq);
    mem_free(sub);
    return bad;
}

int64_t golden_compare(const struct golden *g, const char *name, const struct array *found,
                       double tol)
{
    const struct array *a = golden_find(g, name);

    if (!a) return compare_large(g, name, found, tol);
    if (a->ndim != found->ndim ||
        memcmp(a->shape, found->shape, (size_t)a->ndim * sizeof *a->shape))
        die("%s has another shape than expected", name);
    return compare_piece(g, name, "", found->v, found->n, tol);
}

struct array golden_pick(const struct array *full, const struct array *pos)
{
    const int64_t B = full->shape[0], L = full->shape[1], X = full->shape[2], P = pos->n;
    struct array a = *full;

    a.shape[1] = P;
    a.n = B * P * X;
    a.v = mem_new(a.n, sizeof *a.v, "picked positions");
    for (int64_t b = 0; b < B; b++)
        for (int64_t p = 0; p < P; p++)
            memcpy(a.v + (b * P + p) * X, full->v + (b * L + (int64_t)pos->v[p]) * X,
                   (size_t)X * sizeof *a.v);
    return a;
}
