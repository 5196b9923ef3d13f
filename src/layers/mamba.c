#include "src/layers/mamba.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "src/base/poke.h"
#include "src/base/status.h"
#include "src/kernels/act.h"
#include "src/kernels/conv1d.h"
#include "src/kernels/scan.h"
#include "src/layers/linear.h"

/* Places of the parameters after the layer's first one. */
enum { A_LOG, SKIP, CONV_B, CONV_W, DT_B, DT_W, IN, OUT, X };

static int channels(const struct dims *d) { return d->expand * d->C; }

/* Numbers of a token that are not of a channel: dt, B, C. */
static int shared(const struct dims *d) { return d->dt_rank + 2 * d->state; }

/* --- parameters and carry ----------------------------------------------------- */

static int fits(const struct dims *d)
{
    if (d->state < 1 || d->state > MAMBA_MAX_STATE)
        return fail(ERR_CONFIG, "model.state is %d, it must be from 1 to %d", d->state,
                    MAMBA_MAX_STATE);
    if (d->expand < 1 || d->expand > MAMBA_MAX_EXPAND)
        return fail(ERR_CONFIG, "model.expand is %d, it must be from 1 to %d", d->expand,
                    MAMBA_MAX_EXPAND);
    if (d->dt_rank < 1 || d->dt_rank > channels(d))
        return fail(ERR_CONFIG, "model.dt_rank is %d, it must be from 1 to expand * width, %d",
                    d->dt_rank, channels(d));
    return OK;
}

static int add(struct param_table *t, const char *prefix, const char *name, enum init_kind init,
               double arg, int ndim, int64_t d0, int64_t d1, int64_t d2)
{
    char full[2 * PARAM_NAME];
    snprintf(full, sizeof full, "%smixer.%s", prefix, name);
    return param_add(t, full, init, arg, ndim, d0, d1, d2, 0);
}

/* Matrices start as torch.nn.Linear does, uniform within 1 / sqrt(inputs), and the output's are
 * smaller the deeper the model; the order is that of the enum. */
static void params(struct param_table *t, const struct dims *d, const char *prefix)
{
    const int D = channels(d), C = d->C, R = d->dt_rank, W = d->conv_width;
    const double taps = 1 / sqrt(W), out = 1 / sqrt(D) / sqrt(d->L);

    const int A_log = add(t, prefix, "A_log", INIT_LOG_COUNT, 0, 2, D, d->state, 0);
    t->p[A_log].no_decay = 1;
    const int skip = add(t, prefix, "D", INIT_ONE, 0, 1, D, 0, 0);
    t->p[skip].no_decay = 1;
    add(t, prefix, "conv1d.bias", INIT_UNIFORM, taps, 1, D, 0, 0);
    add(t, prefix, "conv1d.weight", INIT_UNIFORM, taps, 3, D, 1, W);
    add(t, prefix, "dt_proj.bias", INIT_STEP, 0, 1, D, 0, 0);
    add(t, prefix, "dt_proj.weight", INIT_UNIFORM, 1 / sqrt(R), 2, D, R, 0);
    add(t, prefix, "in_proj.weight", INIT_UNIFORM, 1 / sqrt(C), 2, 2 * D, C, 0);
    add(t, prefix, "out_proj.weight", INIT_UNIFORM, out, 2, C, D, 0);
    add(t, prefix, "x_proj.weight", INIT_UNIFORM, 1 / sqrt(D), 2, shared(d), D, 0);
}

static int64_t halo_size(const struct dims *d) { return (int64_t)(d->conv_width - 1) * channels(d); }
static int64_t halo_reals(const struct dims *d) { return align_reals(halo_size(d)); }
static int64_t state_size(const struct dims *d) { return (int64_t)d->state * channels(d); }

static int64_t carry_reals(const struct dims *d)
{
    return halo_reals(d) + align_reals(state_size(d));
}

static int carry_part(const struct dims *d, int i, int64_t *offset, int64_t *n)
{
    *offset = i == 0 ? 0 : halo_reals(d);
    *n = i == 0 ? halo_size(d) : state_size(d);
    return i < 2;
}

/* Both parts, (rows, channels) each. */
static int state(const struct dims *d, int i, const char **name, int shape[3], int64_t *offset,
                 int64_t *stride)
{
    *name = i == 0 ? "conv_state.conv1d" : "state.ssm";
    shape[0] = 1;
    shape[1] = i == 0 ? d->conv_width - 1 : d->state;
    shape[2] = channels(d);
    *offset = i == 0 ? 0 : halo_reals(d);
    *stride = 0;
    return i < 2;
}

static void carry_start(const struct layer_call *c, real *carry)
{
    memset(carry, 0, (size_t)(c->B * carry_reals(c->d)) * sizeof *carry);
}

/* It was made of no parameter. */
static void carry_start_backward(const struct layer_call *c, const real *dcarry)
{
    (void)c;
    (void)dcarry;
}

/* --- arrays --------------------------------------------------------------- */

/* On the tape: rows of D numbers, but P (shared()) and DT (dt_rank).  a: what becomes u. */
enum { T_X, T_A, T_U, T_Z, T_RAW, T_Y, T_P, T_DT, T_HALO, T_KEPT };

/* Scratch: gradients, SUM of a sequence's convolution, SMALL of all sequences' scan. */
enum { W_SCAN, W_DY, W_DU, W_DZ, W_DRAW, W_DP, W_DDT, W_SUM, W_SMALL, W_DHALO };

static void tape(struct tape *t, struct arena *a, const struct dims *d, int B, int T, int group)
{
    const int64_t N = (int64_t)B * T;
    for (int i = T_X; i <= T_Y; i++) t->v[i] = arena_reals(a, N * channels(d));
    t->v[T_P] = arena_reals(a, N * shared(d));
    t->v[T_DT] = arena_reals(a, N * d->dt_rank);
    t->v[T_HALO] = arena_reals(a, B * halo_reals(d));
    t->v[T_KEPT] = group ? arena_reals(a, B * scan_groups(T) * state_size(d)) : NULL;
}

static void work(struct tape *w, struct arena *a, const struct dims *d, int B, int T, int group,
                 int backward)
{
    const int D = channels(d);
    const int64_t N = (int64_t)B * T;
    (void)group;
    w->v[W_SCAN] = arena_reals(a, scan_scratch(B, T, D, d->state, omp_get_max_threads(),
                                               backward));
    if (!backward) return;
    for (int i = W_DY; i <= W_DRAW; i++) w->v[i] = arena_reals(a, N * D);
    w->v[W_DP] = arena_reals(a, N * shared(d));
    w->v[W_DDT] = arena_reals(a, N * d->dt_rank);
    w->v[W_SUM] = arena_reals(a, align_reals((int64_t)D * d->conv_width) + D);
    w->v[W_SMALL] = arena_reals(a, B * (2 * (int64_t)D + state_size(d)));
    w->v[W_DHALO] = arena_reals(a, B * halo_reals(d));
}

/* --- forward -------------------------------------------------------------- */

static struct scan scan_of(const struct layer_call *c, struct tape *t, struct tape *w)
{
    const struct dims *d = c->d;
    return (struct scan){
        .B = c->B, .T = c->T, .C = channels(d), .N = d->state, .ld = shared(d), .u = t->v[T_U],
        .raw = t->v[T_RAW], .z = t->v[T_Z], .Bn = t->v[T_P] + d->dt_rank,
        .Cn = t->v[T_P] + d->dt_rank + d->state, .bias = call_w(c, DT_B), .D = call_w(c, SKIP),
        .A_log = call_w(c, A_LOG), .kept = t->v[T_KEPT], .scratch = w->v[W_SCAN],
    };
}

/* a = conv(x), sequence by sequence; carry: the whole layer's. */
static void convolve(const struct layer_call *c, real *carry, struct tape *t)
{
    const struct dims *d = c->d;
    const int D = channels(d);
    const int64_t TD = (int64_t)c->T * D, halo = halo_reals(d);

    for (int b = 0; b < c->B; b++) {
        real *before = carry + b * carry_reals(d), *x = t->v[T_X] + b * TD;
        memcpy(t->v[T_HALO] + b * halo, before, (size_t)halo * sizeof *before);
        conv1d_forward(t->v[T_A] + b * TD, x, before, call_w(c, CONV_W), call_w(c, CONV_B), c->T,
                       D, d->conv_width);
        conv1d_halo(before, x, c->T, D, d->conv_width);
    }
}

/* Columns [0, n) of rows of ld reals, to rows of n; and back. */
static void first_columns(real *to, const real *from, int64_t rows, int n, int ld)
{
    for (int64_t i = 0; i < rows; i++) memcpy(to + i * n, from + i * ld, (size_t)n * sizeof *to);
}

static void to_first_columns(real *to, const real *from, int64_t rows, int n, int ld)
{
    for (int64_t i = 0; i < rows; i++) memcpy(to + i * ld, from + i * n, (size_t)n * sizeof *to);
}

static void forward(const struct layer_call *c, real *y, const real *h, real *carry,
                    struct tape *t, struct tape *w)
{
    const struct dims *d = c->d;
    const int D = channels(d), N = c->B * c->T;

    linear_rows_forward(c, IN, 0, t->v[T_X], h, D, d->C);                       /* [E53] */
    linear_rows_forward(c, IN, D, t->v[T_Z], h, D, d->C);
    convolve(c, carry, t);
    silu_forward(t->v[T_U], t->v[T_A], (int64_t)N * D);
    linear_forward(c, X, t->v[T_P], t->v[T_U], shared(d), D);
    first_columns(t->v[T_DT], t->v[T_P], N, d->dt_rank, shared(d));
    linear_forward(c, DT_W, t->v[T_RAW], t->v[T_DT], D, d->dt_rank);
    const struct scan s = scan_of(c, t, w);
    poke();
    scan_forward(t->v[T_Y], carry + halo_reals(d), carry_reals(d), &s);
    linear_forward(c, OUT, y, t->v[T_Y], d->C, D);
}

/* --- backward ------------------------------------------------------------- */

static void scan_back(const struct layer_call *c, real *dcarry, struct tape *t, struct tape *w)
{
    const struct dims *d = c->d;
    const int D = channels(d);
    const int64_t DN = state_size(d);
    const struct scan s = scan_of(c, t, w);
    real *small = w->v[W_SMALL];
    const struct scan_grad g = {
        .dy = w->v[W_DY], .du = w->v[W_DU], .draw = w->v[W_DRAW], .dz = w->v[W_DZ],
        .dB = w->v[W_DP] + d->dt_rank, .dC = w->v[W_DP] + d->dt_rank + d->state,
        .dbias = small, .dD = small + c->B * D, .dA_log = small + 2 * c->B * (int64_t)D,
    };
    poke();
    scan_backward(&g, dcarry + halo_reals(d), carry_reals(d), &s);
    for (int b = 0; b < c->B; b++) {
        grad_add(c->grad, call_at(c, DT_B), g.dbias + b * D, D);
        grad_add(c->grad, call_at(c, SKIP), g.dD + b * D, D);
        grad_add(c->grad, call_at(c, A_LOG), g.dA_log + b * DN, DN);
    }
}

/* da, in DU -> dx, in DY. */
static void convolve_back(const struct layer_call *c, real *dcarry, struct tape *t,
                          struct tape *w)
{
    const struct dims *d = c->d;
    const int D = channels(d), W = d->conv_width;
    const int64_t TD = (int64_t)c->T * D, halo = halo_reals(d);
    real *dw = w->v[W_SUM], *db = dw + align_reals((int64_t)D * W);

    for (int b = 0; b < c->B; b++) {
        real *dx = w->v[W_DY] + b * TD, *prev = w->v[W_DHALO] + b * halo;
        real *next = dcarry + b * carry_reals(d);
        memset(dw, 0, (size_t)(align_reals((int64_t)D * W) + D) * sizeof *dw);
        conv1d_backward(dx, prev, dw, db, w->v[W_DU] + b * TD, t->v[T_X] + b * TD,
                        t->v[T_HALO] + b * halo, call_w(c, CONV_W), c->T, D, W);
        conv1d_halo_backward(dx, prev, next, c->T, D, W);
        memcpy(next, prev, (size_t)halo_size(d) * sizeof *next);
        grad_add(c->grad, call_at(c, CONV_W), dw, (int64_t)D * W);
        grad_add(c->grad, call_at(c, CONV_B), db, D);
    }
}

static void backward(const struct layer_call *c, real *dh, const real *dy, const real *h,
                     real *dcarry, struct tape *t, struct tape *w)
{
    const struct dims *d = c->d;
    const int D = channels(d), N = c->B * c->T;

    linear_backward(c, OUT, w->v[W_DY], dy, t->v[T_Y], d->C, D, 0);
    scan_back(c, dcarry, t, w);
    linear_backward(c, DT_W, w->v[W_DDT], w->v[W_DRAW], t->v[T_DT], D, d->dt_rank, 0);
    to_first_columns(w->v[W_DP], w->v[W_DDT], N, d->dt_rank, shared(d));
    linear_backward(c, X, w->v[W_DU], w->v[W_DP], t->v[T_U], shared(d), D, 1);
    silu_backward(w->v[W_DU], w->v[W_DU], t->v[T_A], (int64_t)N * D);
    convolve_back(c, dcarry, t, w);
    linear_rows_backward(c, IN, 0, dh, w->v[W_DY], h, D, d->C, 0);
    linear_rows_backward(c, IN, D, dh, w->v[W_DZ], h, D, d->C, 1);
}

/* A decay's argument and its exponential, the state's three and the output's two. */
static double flops(const struct dims *d, double keys)
{
    (void)keys;
    return 7.0 * (double)state_size(d);
}

const struct layer layer_mamba = {
    .name = "mamba", .family = &family_mamba, .has = HAS_STATE, .fits = fits, .params = params,
    .carry_reals = carry_reals, .carry_part = carry_part, .carry_start = carry_start,
    .carry_start_backward = carry_start_backward, .tape = tape, .work = work, .forward = forward,
    .backward = backward, .state = state, .flops = flops,
};
