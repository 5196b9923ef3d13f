/* SPDX-License-Identifier: Apache-2.0 */
#include "src/kernels/inner_dense.h"

#include <string.h>

#include "src/kernels/row_sum.h"
#include "src/kernels/smm.h"

/* Words that hold n numbers, in reals. */
static int64_t word_reals(int64_t n)
{
    return (n * (int64_t)sizeof(bf16_word) + (int64_t)sizeof(real) - 1) / (int64_t)sizeof(real);
}

static bf16_word *take_words(real **p, int64_t n)
{
    return (bf16_word *)(void *)inner_take(p, word_reals(n));
}

int64_t inner_weight_reals(int I, int O)
{
    const int64_t bf16 = align_reals(word_reals((int64_t)I * bf16_words(O))) +
                         align_reals(word_reals((int64_t)bf16_words(I) * O));
    const int64_t transposed = align_reals((int64_t)I * O);
    return bf16 > transposed ? bf16 : transposed;
}

int64_t inner_dense_work(int K, int I, int O)
{
    return 4 * align_reals((int64_t)K * O) + 2 * align_reals((int64_t)K * I) +
           2 * align_reals((int64_t)K * K) + 2 * align_reals(K) + align_reals((int64_t)I * O) +
           align_reals(word_reals((int64_t)bf16_words(3 * K) * I)) +
           align_reals(word_reals((int64_t)bf16_words(3 * K) * O));
}

struct inner_weight inner_weight(const real *W, const real *b, int ways,
                                 const struct inner_dense *d, real **p)
{
    const int I = d->I, O = d->O;
    struct inner_weight w = { .W = W, .b = b };
    bf16_word *rows = NULL, *columns = NULL;

    if (!d->bf16) {
        real *T = ways & INNER_BACK ? inner_take(p, (int64_t)I * O) : NULL;
        if (T) smm_transpose(T, W, I, O);
        w.T = T;
        return w;
    }
    if (ways & INNER_BACK) rows = take_words(p, (int64_t)I * bf16_words(O));
    if (ways & INNER_FORTH) columns = take_words(p, (int64_t)bf16_words(I) * O);
    if (rows && columns) smm_bf16_both(rows, columns, W, I, O);
    else if (rows) smm_bf16_rows(rows, W, I, O);
    else smm_bf16_columns(columns, W, I, O);
    w.rows = rows;
    w.columns = columns;
    return w;
}

/* --- pieces ---------------------------------------------------------------- */

/* y (O) += c_j x_j summed over rows j; c NULL: ones. */
CLONES
static void add_rows(real *restrict y, const real *restrict x, const real *c, int r, int O)
{
    for (int j = 0; j < r; j++) {
        const real k = c ? c[j] : 1;
        for (int i = 0; i < O; i++) y[i] += k * x[j * O + i];
    }
}

/* M_ij = -tok_i lr_j P_ij for j <= i, else 0. */
CLONES
static void mix(real *restrict M, const real *restrict P, const struct inner_dense *d)
{
    const int r = d->r;
    const real *lr = d->lr;
    for (int i = 0; i < r; i++) {
        const real t = -d->tok[i];
        for (int j = 0; j < r; j++) M[i * r + j] = j <= i ? t * lr[j] * P[i * r + j] : 0;
    }
}

/* Row j of y = c_j times row j of x. */
CLONES
static void scale_rows(real *restrict y, const real *restrict x, const real *restrict c, int r,
                       int O)
{
    for (int j = 0; j < r; j++)
        for (int i = 0; i < O; i++) y[j * O + i] = c[j] * x[j * O + i];
}

/* out_j = sum_f x_jf y_jf. */
CLONES
static void row_dots(real *out, const real *x, const real *y, int r, int O)
{
    for (int j = 0; j < r; j++) {
        const real *x_j = x + (int64_t)j * O, *y_j = y + (int64_t)j * O;
        ROW_SUM(out[j], O, x_j[i] * y_j[i]);
    }
}

/* --- products with a weight --------------------------------------------------- */

/* C (M,N) = from + one term. */
static void sum_of(real *C, const real *from, int ldfrom, int M, int N, struct smm_term t)
{
    smm_sum(&(struct smm_sum){ C, from, M, N, N, ldfrom, &t, 1 });
}

static void forth(real *z, const real *from, int ldfrom, const struct inner_weight *w,
                  const real *x, const struct inner_dense *d, real *work)
{
    const int r = d->r, I = d->I, O = d->O;
    if (!d->bf16) {
        sum_of(z, from, ldfrom, r, O, (struct smm_term){ x, w->W, I, I, O, 0, 0 });
        return;
    }
    bf16_word *rows = take_words(&work, (int64_t)r * bf16_words(I));
    for (int n = 0; from && from != z && n < r; n++)
        memcpy(z + (int64_t)n * O, from + (int64_t)n * ldfrom, (size_t)O * sizeof *z);
    smm_bf16_rows(rows, x, r, I);
    smm_bf16(z, from ? z : NULL, bf16_left_rows(rows, bf16_words(I)), w->columns, r, O, I);
}

void inner_forth(real *z, const struct inner_weight *w, const real *x, int add,
                 const struct inner_dense *d, real *work)
{
    forth(z, add ? z : NULL, d->O, w, x, d, work);
}

void inner_affine(real *z, const struct inner_weight *w, const real *x,
                  const struct inner_dense *d, real *work)
{
    forth(z, d->bias ? w->b : NULL, 0, w, x, d, work);
}

/* y (I) = W z, or += , where no row of W' is worth making. */
CLONES
static void back_row(real *restrict y, const real *restrict W, const real *restrict z, int I, int O,
                     int add)
{
    for (int k = 0; k < I; k++) {
        const real *W_k = W + (int64_t)k * O;
        real dot;
        ROW_SUM(dot, O, W_k[i] * z[i]);
        y[k] = add ? y[k] + dot : dot;
    }
}

/* dx (r,I) = or += z W' and then one more term; NULL: none.  In bf16 it is dx' = W z'. */
static void back(real *dx, const struct inner_weight *w, const real *z, int add,
                 const struct smm_term *more, const struct inner_dense *d, real *work)
{
    const int r = d->r, I = d->I, O = d->O;
    if (d->bf16) {
        const int64_t n = (int64_t)r * bf16_words(O);
        real *T = inner_take(&work, (int64_t)r * I);
        bf16_word *zT = take_words(&work, n), *rows = take_words(&work, n);
        smm_bf16_columns_transposed(zT, z, r, O, rows);
        smm_bf16(T, NULL, bf16_left_rows(w->rows, bf16_words(O)), zT, I, r, O);
        if (add) smm_transpose_add(dx, T, I, r);
        else smm_transpose(dx, T, I, r);
        if (more) sum_of(dx, dx, I, r, I, *more);
    } else if (r == 1 && !w->T && !more) {
        back_row(dx, w->W, z, I, O, add);
    } else {
        struct smm_term terms[2] = { { z, w->T ? w->T : work, O, O, I, 0, 0 } };
        if (more) terms[1] = *more;
        if (!w->T) smm_transpose(work, w->W, I, O);
        smm_sum(&(struct smm_sum){ dx, add ? dx : NULL, r, I, I, I, terms, more ? 2 : 1 });
    }
}

void inner_back(real *dx, const struct inner_weight *w, const real *z, int add,
                const struct inner_dense *d, real *work)
{
    back(dx, w, z, add, NULL, d, work);
}

void inner_outer(real *to, const real *from, const real *x, const real *g, int n,
                 const struct inner_dense *d, real *work)
{
    const int I = d->I, O = d->O, words = bf16_words(n);
    if (!d->bf16) {
        sum_of(to, from, O, I, O, (struct smm_term){ x, g, n, I, O, 1, 0 });
        return;
    }
    bf16_word *xw = take_words(&work, (int64_t)words * I);
    bf16_word *gw = take_words(&work, (int64_t)words * O);
    smm_bf16_columns(xw, x, n, I);
    smm_bf16_columns(gw, g, n, O);
    smm_bf16(to, from, bf16_left_transposed(xw, I), gw, I, O, n);
}

/* --- forward ---------------------------------------------------------------- */

void inner_dense_overlap(real *P, const real *q, const real *x, const struct inner_dense *d,
                         real *work)
{
    const int r = d->r, I = d->I;
    smm_transpose(work, x, r, I);
    for (int i = 0; i < r * r; i++) P[i] = (real)d->bias;
    sum_of(P, P, r, r, r, (struct smm_term){ q, work, I, I, r, 0, 0 });
}

void inner_dense_forward(real *y, const real *P, const struct inner_weight *w, const real *q,
                         const real *g, const struct inner_dense *d, real *work)
{
    const int r = d->r, I = d->I, O = d->O;
    real *M = inner_take(&work, (int64_t)r * r);
    const struct smm_term terms[] = { { q, w->W, I, I, O, 0, 0 }, { M, g, r, r, O, 0, 1 } };

    mix(M, P, d);
    if (d->bf16) {
        inner_affine(y, w, q, d, work);
        sum_of(y, y, O, r, O, terms[1]);
    } else {
        smm_sum(&(struct smm_sum){ y, d->bias ? w->b : NULL, r, O, O, 0, terms, 2 });
    }
}

/* to = from + x' diag(u) g: the narrower factor gets the weights of its rows. */
static void weighted_outer(real *to, const real *from, const real *x, const real *g, const real *u,
                           const struct inner_dense *d, real *work)
{
    const int narrow = d->I <= d->O, width = narrow ? d->I : d->O;
    real *scaled = inner_take(&work, (int64_t)d->r * width);
    scale_rows(scaled, narrow ? x : g, u, d->r, width);
    inner_outer(to, from, narrow ? scaled : x, narrow ? g : scaled, d->r, d, work);
}

void inner_dense_step(real *to, real *to_b, const struct inner_weight *w, const real *x,
                      const real *g, const struct inner_dense *d, real *work)
{
    const int r = d->r;
    real *u = inner_take(&work, r);

    for (int j = 0; j < r; j++) u[j] = -d->tok[r - 1] * d->lr[j];
    if (to_b != w->b) memcpy(to_b, w->b, (size_t)d->O * sizeof *to_b);
    if (d->bias) add_rows(to_b, g, u, r, d->O);
    weighted_outer(to, w->W, x, g, u, d, work);
}

void inner_dense_sum(real *G, real *Gb, const real *x, const real *g, const struct inner_dense *d,
                     real *work)
{
    memset(Gb, 0, (size_t)d->O * sizeof *Gb);
    if (d->bias) add_rows(Gb, g, d->lr, d->r, d->O);
    weighted_outer(G, NULL, x, g, d->lr, d, work);
}

/* --- backward --------------------------------------------------------------- */

void inner_bias_backward(real *db, const real *dy, const struct inner_dense *d)
{
    if (d->bias) add_rows(db, dy, NULL, d->r, d->O);
}

/* dots_j = <y_j, g_j>; u_j times y_j and g_j. */
CLONES
static void dots_and_scale(real *restrict dots, real *restrict y, real *restrict ug,
                           const real *restrict g, const real *restrict u, int r, int O)
{
    for (int j = 0; j < r; j++) {
        const real *g_j = g + (int64_t)j * O, u_j = u[j];
        real *y_j = y + (int64_t)j * O, *ug_j = ug + (int64_t)j * O;
        ROW_SUM(dots[j], O, y_j[i] * g_j[i]);
        for (int i = 0; i < O; i++) {
            y_j[i] *= u_j;
            ug_j[i] = g_j[i] * u_j;
        }
    }
}

/* From the step [E15], which every complete mini-batch ends with.  It is linear in the state, the
 * keys and the gradients, so each factor gets the gradient of the result times the others: with
 * u_j = tok_{r-1} lr_j and D = dW', d = db',
 *     y_j = x_j D + d,   dg_j = -u_j y_j,   du_j = -<y_j, g_j>,
 *     dx_j -= u_j D g_j'                                              [E23]
 * ug [out]: the left factor of the last line, -u g. */
static void step_backward(const struct inner_dense_backward *b, real *ug,
                          const struct inner_dense *d, real *work)
{
    const int r = d->r;
    real *u = inner_take(&work, r), *du = inner_take(&work, r);

    for (int j = 0; j < r; j++) u[j] = -d->tok[r - 1] * d->lr[j];
    inner_affine(b->dg, b->dw, b->x, d, work);
    dots_and_scale(du, b->dg, ug, b->g, u, r, d->O);
    for (int j = 0; j < r; j++) {
        b->dlr[j] -= du[j] * d->tok[r - 1];
        b->dtok[r - 1] -= du[j] * d->lr[j];
    }
}

/* From [E12]: dM = -dy g' below the diagonal; with M = tok_i lr_j P_ij,
 *     dtok_i += sum_j dM_ij lr_j P_ij,  dlr_j += sum_i dM_ij tok_i P_ij,
 *     dP_ij = dM_ij tok_i lr_j,  dq += dP x,  dx += dP' q.            [E24]
 * dP holds dy g' on entry. */
CLONES
static void mix_backward(real *restrict dtok, real *restrict dlr, real *restrict dP,
                         const real *restrict P, const struct inner_dense *d)
{
    const int r = d->r;
    const real *lr = d->lr;
    for (int n = 0; n < r; n++) {
        const real t = d->tok[n], *P_n = P + (int64_t)n * r;
        real *dP_n = dP + (int64_t)n * r, sum;
        for (int j = 0; j < r; j++) dP_n[j] = j <= n ? -dP_n[j] : 0;
        ROW_SUM(sum, r, dP_n[i] * lr[i] * P_n[i]);
        dtok[n] += sum;
        for (int j = 0; j < r; j++) {
            dlr[j] += dP_n[j] * t * P_n[j];
            dP_n[j] *= t * lr[j];
        }
    }
}

void inner_dense_backward(const struct inner_dense_backward *b, const struct inner_dense *d,
                          real *work)
{
    const int r = d->r, I = d->I, O = d->O;
    real *M = inner_take(&work, (int64_t)r * r), *dP = inner_take(&work, (int64_t)r * r);
    real *gT = inner_take(&work, (int64_t)r * O), *const ug = gT;
    const struct smm_term M_dy = { M, b->dy, r, r, O, 1, 1 };
    const struct smm_term dP_x = { dP, b->x, r, r, I, 0, 1 }, dP_q = { dP, b->q, r, r, I, 1, 1 };

    smm_transpose(gT, b->g, r, O);
    sum_of(dP, NULL, 0, r, r, (struct smm_term){ b->dy, gT, O, O, r, 0, 0 });
    mix_backward(b->dtok, b->dlr, dP, b->P, d);
    back(b->dq, b->w, b->dy, !b->fresh, &dP_x, d, work);             /* dq = dy W' + dP x    */

    mix(M, b->P, d);
    if (b->complete) {
        step_backward(b, ug, d, work);
        sum_of(b->dg, b->dg, O, r, O, M_dy);                         /* dg = -u y - M' dy    */
        back(b->dx, b->dw, ug, !b->fresh, &dP_q, d, work);           /* dx = -u g D' + dP' q */
    } else {
        sum_of(b->dg, NULL, 0, r, O, M_dy);
        sum_of(b->dx, b->fresh ? NULL : b->dx, I, r, I, dP_q);
    }
}

/* --- one token -------------------------------------------------------------- */

void inner_dense_row(real *y, const real *q, const struct inner_dense_moved *m, real *work)
{
    smm_row(y, q, m->W, m->O, m->I, 0);
    smm_row(work, q, m->G, m->O, m->I, 0);
    if (m->b) {
        inner_add(y, m->b, m->O);
        inner_add(work, m->Gb, m->O);
    }
    inner_step_by(y, work, m->tok, m->O);
}

CLONES
void inner_dense_row_grad(real *G, real *Gb, const real *x, const real *g, real lr, int I, int O)
{
    for (int i = 0; i < I; i++)
        for (int k = 0; k < O; k++) G[i * O + k] += lr * x[i] * g[k];
    if (Gb)
        for (int k = 0; k < O; k++) Gb[k] += lr * g[k];
}

/* --- for inner models, one layer at one state --------------------------------- */

void inner_affine_grads(real *dx, const struct inner_dense_grad *dw, const real *dz, const real *x,
                        const struct inner_weight *w, const struct inner_dense *d, real *work)
{
    inner_back(dx, w, dz, 1, d, work);
    inner_outer(dw->W, dw->W, x, dz, d->r, d, work);
    inner_bias_backward(dw->b, dz, d);
}

void inner_dense_add(const struct inner_dense_grad *G, const real *x, const real *g,
                     const struct inner_dense *d, real *work)
{
    if (d->bias) add_rows(G->b, g, d->lr, d->r, d->O);
    weighted_outer(G->W, G->W, x, g, d->lr, d, work);
}

/* G is linear in x, g and lr, as the step is [E23], with lr_j in place of -u_j. */
void inner_dense_add_backward(const struct inner_dense_terms *to, const struct inner_weight *D,
                              const real *x, const real *g, const struct inner_dense *d,
                              real *work)
{
    const int r = d->r, O = d->O;
    real *y = inner_take(&work, (int64_t)r * O), *dots = inner_take(&work, r);

    inner_affine(y, D, x, d, work);
    row_dots(dots, y, g, r, O);
    inner_add(to->dlr, dots, r);
    scale_rows(to->dg, y, d->lr, r, O);
    scale_rows(y, g, d->lr, r, O);
    inner_back(to->dx, D, y, 1, d, work);
}
