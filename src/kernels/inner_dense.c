#include "src/kernels/inner_dense.h"

#include <string.h>

#include "src/kernels/smm.h"

int64_t inner_dense_work(int K, int I, int O)
{
    return 4 * align_reals((int64_t)K * O) + 4 * align_reals((int64_t)K * I) +
           2 * align_reals((int64_t)K * K) + 3 * align_reals(K);
}

/* --- pieces ---------------------------------------------------------------- */

CLONES
void inner_add(real *y, const real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] += x[i];
}

CLONES
void inner_step_by(real *y, const real *x, real c, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] -= c * x[i];
}

CLONES
static void add_row(real *y, const real *b, int r, int O)
{
    for (int n = 0; n < r; n++)
        for (int i = 0; i < O; i++) y[n * O + i] += b[i];
}

/* y (O) += c_j x_j summed over rows j; c NULL: ones. */
CLONES
static void add_rows(real *y, const real *x, const real *c, int r, int O)
{
    for (int j = 0; j < r; j++) {
        const real k = c ? c[j] : 1;
        for (int i = 0; i < O; i++) y[i] += k * x[j * O + i];
    }
}

/* M_ij = tok_i lr_j P_ij for j <= i, else 0, with a sign. */
CLONES
static void mix(real *M, const real *P, const struct inner_dense *d, real sign)
{
    for (int i = 0; i < d->r; i++)
        for (int j = 0; j < d->r; j++)
            M[i * d->r + j] = j <= i ? sign * d->tok[i] * d->lr[j] * P[i * d->r + j] : 0;
}

/* B_fj = c_j A_fj. */
CLONES
static void scale_columns(real *B, const real *A, const real *c, int I, int r)
{
    for (int f = 0; f < I; f++)
        for (int j = 0; j < r; j++) B[f * r + j] = c[j] * A[f * r + j];
}

/* out_j = sum_f x_jf y_jf over rows. */
CLONES
static void row_dots(real *out, const real *x, const real *y, int r, int O)
{
    for (int j = 0; j < r; j++) {
        real lane[16] = { 0 }, sum = 0;
        int f = 0;
        for (; f + 16 <= O; f += 16)
            for (int k = 0; k < 16; k++) lane[k] += x[j * O + f + k] * y[j * O + f + k];
        for (; f < O; f++) sum += x[j * O + f] * y[j * O + f];
        for (int k = 0; k < 16; k++) sum += lane[k];
        out[j] = sum;
    }
}

/* --- forward ---------------------------------------------------------------- */

void inner_affine(real *z, const real *W, const real *b, const real *x, const struct inner_dense *d)
{
    smm(z, x, W, d->r, d->O, d->I, 0);
    if (d->bias) add_row(z, b, d->r, d->O);
}

void inner_dense_forward(real *y, real *P, const real *W, const real *b, const real *q,
                         const real *xT, const real *g, const struct inner_dense *d, real *work)
{
    const int r = d->r;
    real *M = work;

    smm(P, q, xT, r, r, d->I, 0);
    for (int i = 0; d->bias && i < r * r; i++) P[i] += 1;
    mix(M, P, d, -1);
    smm(y, q, W, r, d->O, d->I, 0);
    smm(y, M, g, r, d->O, r, 1);
    if (d->bias) add_row(y, b, r, d->O);
}

void inner_dense_step(real *W, real *b, const real *xT, const real *g, int complete,
                      const struct inner_dense *d, real *work)
{
    real *u = inner_take(&work, d->r), *xTu = inner_take(&work, (int64_t)d->r * d->I);

    for (int j = 0; j < d->r; j++)
        u[j] = complete ? -d->tok[d->r - 1] * d->lr[j] : d->lr[j];
    scale_columns(xTu, xT, u, d->I, d->r);
    smm(W, xTu, g, d->I, d->O, d->r, 1);
    if (d->bias) add_rows(b, g, u, d->r, d->O);
}

/* --- backward --------------------------------------------------------------- */

/* dx += (W z')', where zT (O,r) is z transposed: products want the other factor this way round. */
static void add_times_transpose(real *dx, const real *W, const real *zT,
                                const struct inner_dense *d, real *work)
{
    const int64_t n = (int64_t)d->r * d->I;
    real *T = inner_take(&work, n), *back = inner_take(&work, n);

    smm(T, W, zT, d->I, d->r, d->O, 0);
    smm_transpose(back, T, d->I, d->r);
    inner_add(dx, back, n);
}

void inner_affine_backward(real *dx, real *dW, real *db, const real *dz, const real *W,
                           const real *xT, const struct inner_dense *d, real *work)
{
    real *zT = inner_take(&work, (int64_t)d->r * d->O);
    smm_transpose(zT, dz, d->r, d->O);
    add_times_transpose(dx, W, zT, d, work);
    smm(dW, xT, dz, d->I, d->O, d->r, 1);
    add_rows(db, dz, NULL, d->r, d->O);
}

/* From the step [E15], which every complete mini-batch ends with: with
 * u_j = tok_{r-1} lr_j and D = dW', d = db',
 *     y_j = x_j D + d,   dg_j -= u_j y_j,   du_j = -<y_j, g_j>,
 *     dx_j -= u_j D g_j'                                              [E23] */
static void step_backward(struct inner_grad *o, real *dg, real *dx, const real *D, const real *db,
                          const real *x, const real *g, const struct inner_dense *d, real *work)
{
    const int r = d->r, O = d->O;
    real *y = inner_take(&work, (int64_t)r * O), *gT = inner_take(&work, (int64_t)r * O);
    real *u = inner_take(&work, r), *du = inner_take(&work, r);

    inner_affine(y, D, db, x, d);
    row_dots(du, y, g, r, O);
    for (int j = 0; j < r; j++) {
        u[j] = -d->tok[r - 1] * d->lr[j];
        o->dlr[j] -= du[j] * d->tok[r - 1];
        o->dtok[r - 1] -= du[j] * d->lr[j];
        inner_step_by(dg + (int64_t)j * O, y + (int64_t)j * O, -u[j], O);
    }
    smm_transpose(gT, g, r, O);
    scale_columns(gT, gT, u, O, r);
    add_times_transpose(dx, D, gT, d, work);
}

/* From [E12]: dM = -dy g' below the diagonal; with M = tok_i lr_j P_ij,
 *     dtok_i += sum_j dM_ij lr_j P_ij,  dlr_j += sum_i dM_ij tok_i P_ij,
 *     dP_ij = dM_ij tok_i lr_j,  dq += dP x,  dx += dP' q.            [E24]
 * dP holds dy g' on entry. */
static void mix_backward(struct inner_grad *o, real *dP, const real *P,
                         const struct inner_dense *d)
{
    for (int i = 0; i < d->r; i++)
        for (int j = 0; j < d->r; j++) {
            const real dM = j <= i ? -dP[i * d->r + j] : 0, p = P[i * d->r + j];
            o->dtok[i] += dM * d->lr[j] * p;
            o->dlr[j] += dM * d->tok[i] * p;
            dP[i * d->r + j] = dM * d->tok[i] * d->lr[j];
        }
}

void inner_dense_backward(struct inner_grad *o, real *dq, real *dx, real *dg, real *dW, real *db,
                          const real *dy, const real *P, const real *W, const real *q,
                          const real *x, const real *g, int complete,
                          const struct inner_dense *d, real *work)
{
    const int r = d->r, I = d->I, O = d->O;
    real *M = inner_take(&work, (int64_t)r * r), *MT = inner_take(&work, (int64_t)r * r);

    memset(dg, 0, (size_t)r * (size_t)O * sizeof *dg);
    if (complete) step_backward(o, dg, dx, dW, db, x, g, d, work);

    real *T = inner_take(&work, (int64_t)r * O), *qT = inner_take(&work, (int64_t)r * I);
    smm_transpose(T, dy, r, O);
    add_times_transpose(dq, W, T, d, work);                     /* dq += dy W'  */
    smm_transpose(qT, q, r, I);
    smm(dW, qT, dy, I, O, r, 1);                                /* dW += q' dy  */
    add_rows(db, dy, NULL, r, O);
    mix(M, P, d, -1);
    smm_transpose(MT, M, r, r);
    smm(dg, MT, dy, r, O, r, 1);                                /* dg -= M' dy  */
    smm_transpose(T, g, r, O);
    smm(M, dy, T, r, r, O, 0);
    mix_backward(o, M, P, d);                                   /* M is dP now  */
    smm(dq, M, x, r, I, r, 1);
    smm_transpose(MT, M, r, r);
    smm(dx, MT, q, r, I, r, 1);
}

/* --- one token -------------------------------------------------------------- */

void inner_dense_row(real *y, const real *W, const real *b, const real *G, const real *Gb,
                     const real *q, real tok, int I, int O, real *work)
{
    smm_row(y, q, W, O, I, 0);
    smm_row(work, q, G, O, I, 0);
    if (b) {
        inner_add(y, b, O);
        inner_add(work, Gb, O);
    }
    inner_step_by(y, work, tok, O);
}

CLONES
void inner_dense_row_grad(real *G, real *Gb, const real *x, const real *g, real lr, int I, int O)
{
    for (int i = 0; i < I; i++)
        for (int k = 0; k < O; k++) G[i * O + k] += lr * x[i] * g[k];
    for (int k = 0; Gb && k < O; k++) Gb[k] += lr * g[k];
}
