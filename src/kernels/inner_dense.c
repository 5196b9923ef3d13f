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
    return align_reals(word_reals((int64_t)I * bf16_words(O))) +
           align_reals(word_reals((int64_t)bf16_words(I) * O));
}

int64_t inner_dense_work(int K, int I, int O)
{
    return 4 * align_reals((int64_t)K * O) + 2 * align_reals((int64_t)K * I) +
           align_reals((int64_t)K * K) + 2 * align_reals(K) +
           align_reals(word_reals((int64_t)bf16_words(3 * K) * I)) +
           align_reals(word_reals((int64_t)bf16_words(3 * K) * O));
}

struct inner_weight inner_weight(const real *W, const real *b, int ways,
                                 const struct inner_dense *d, real **p)
{
    const int I = d->I, O = d->O;
    struct inner_weight w = { .W = W, .b = b };
    bf16_word *rows = NULL, *columns = NULL;

    if (!d->bf16) return w;
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

CLONES
static void fill_rows(real *restrict y, const real *restrict b, int r, int O)
{
    for (int n = 0; n < r; n++)
        for (int i = 0; i < O; i++) y[n * O + i] = b[i];
}

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

void inner_forth(real *z, const struct inner_weight *w, const real *x, int add,
                 const struct inner_dense *d, real *work)
{
    if (!d->bf16) {
        smm(z, x, w->W, d->r, d->O, d->I, add);
        return;
    }
    bf16_word *rows = take_words(&work, (int64_t)d->r * bf16_words(d->I));
    smm_bf16_rows(rows, x, d->r, d->I);
    smm_bf16(z, add ? z : NULL, bf16_left_rows(rows, bf16_words(d->I)), w->columns, d->r, d->O,
             d->I);
}

/* What is added to begins as b. */
void inner_affine(real *z, const struct inner_weight *w, const real *x,
                  const struct inner_dense *d, real *work)
{
    if (d->bias) fill_rows(z, w->b, d->r, d->O);
    inner_forth(z, w, x, d->bias, d, work);
}

/* The other factor is wanted transposed. */
void inner_back(real *T, const struct inner_weight *w, const real *z, const struct inner_dense *d,
                real *work)
{
    const int r = d->r, O = d->O;
    const int64_t n = (int64_t)r * bf16_words(O);
    if (!d->bf16) {
        smm_transpose(work, z, r, O);
        smm(T, w->W, work, d->I, r, O, 0);
        return;
    }
    bf16_word *zT = take_words(&work, n), *rows = take_words(&work, n);
    smm_bf16_columns_transposed(zT, z, r, O, rows);
    smm_bf16(T, NULL, bf16_left_rows(w->rows, bf16_words(O)), zT, d->I, r, O);
}

void inner_outer(real *to, const real *from, const real *x, const real *g, int n,
                 const struct inner_dense *d, real *work)
{
    const int I = d->I, O = d->O, words = bf16_words(n);
    if (!d->bf16) {
        smm_tn_from(to, from, x, g, I, O, n);
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
    const int r = d->r;
    smm_transpose(work, x, r, d->I);
    for (int i = 0; i < r * r; i++) P[i] = (real)d->bias;
    smm(P, q, work, r, r, d->I, 1);
}

void inner_dense_forward(real *y, const real *P, const struct inner_weight *w, const real *q,
                         const real *g, const struct inner_dense *d, real *work)
{
    real *M = inner_take(&work, (int64_t)d->r * d->r);
    mix(M, P, d);
    inner_affine(y, w, q, d, work);
    smm(y, M, g, d->r, d->O, d->r, 1);
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

/* dx = z W', or += . */
static void times_transpose(real *dx, const struct inner_weight *w, const real *z, int add,
                            const struct inner_dense *d, real *work)
{
    real *T = inner_take(&work, (int64_t)d->r * d->I);
    inner_back(T, w, z, d, work);
    if (add) smm_transpose_add(dx, T, d->I, d->r);
    else smm_transpose(dx, T, d->I, d->r);
}

void inner_affine_backward(real *dx, const real *dz, const struct inner_weight *w,
                           const struct inner_dense *d, real *work)
{
    times_transpose(dx, w, dz, 1, d, work);
}

void inner_bias_backward(real *db, const real *dy, const struct inner_dense *d)
{
    if (d->bias) add_rows(db, dy, NULL, d->r, d->O);
}

/* From the step [E15], which every complete mini-batch ends with.  It is linear in the state, the
 * keys and the gradients, so each factor gets the gradient of the result times the others: with
 * u_j = tok_{r-1} lr_j and D = dW', d = db',
 *     y_j = x_j D + d,   dg_j = -u_j y_j,   du_j = -<y_j, g_j>,
 *     dx_j -= u_j D g_j'                                              [E23] */
static void step_backward(const struct inner_dense_backward *b, const struct inner_dense *d,
                          real *work)
{
    const int r = d->r, O = d->O;
    real *y = inner_take(&work, (int64_t)r * O), *ug = inner_take(&work, (int64_t)r * O);
    real *u = inner_take(&work, r), *du = inner_take(&work, r);

    inner_affine(y, b->dw, b->x, d, work);
    row_dots(du, y, b->g, r, O);
    for (int j = 0; j < r; j++) {
        u[j] = -d->tok[r - 1] * d->lr[j];
        b->dlr[j] -= du[j] * d->tok[r - 1];
        b->dtok[r - 1] -= du[j] * d->lr[j];
    }
    scale_rows(b->dg, y, u, r, O);
    scale_rows(ug, b->g, u, r, O);
    times_transpose(b->dx, b->dw, ug, !b->fresh, d, work);
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
    real *M = inner_take(&work, (int64_t)r * r), *gT = inner_take(&work, (int64_t)r * O);

    if (b->complete) step_backward(b, d, work);
    else memset(b->dg, 0, (size_t)r * (size_t)O * sizeof *b->dg);
    if (!b->complete && b->fresh) memset(b->dx, 0, (size_t)r * (size_t)I * sizeof *b->dx);

    times_transpose(b->dq, b->w, b->dy, !b->fresh, d, work);    /* dq += dy W'  */
    mix(M, b->P, d);
    smm_tn(b->dg, M, b->dy, r, O, r, 1);                        /* dg -= M' dy  */
    smm_transpose(gT, b->g, r, O);
    smm(M, b->dy, gT, r, r, O, 0);
    mix_backward(b->dtok, b->dlr, M, b->P, d);                  /* M is dP now  */
    smm(b->dq, M, b->x, r, I, r, 1);
    smm_tn(b->dx, M, b->q, r, I, r, 1);
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
    times_transpose(dx, w, dz, 1, d, work);
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
    times_transpose(to->dx, D, y, 1, d, work);
}
