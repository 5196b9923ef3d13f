/* SPDX-License-Identifier: Apache-2.0 */
#include "src/layers/mamba.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "src/base/poke.h"
#include "src/base/status.h"
#include "src/kernels/act.h"
#include "src/kernels/scan.h"
#include "src/layers/conv.h"
#include "src/layers/linear.h"

/* Places of the parameters after the layer's first one. */
enum { A_LOG, SKIP, CONV_B, CONV_W, DT_B, DT_W, IN, OUT, X };

static int channels(const struct dims *d) { return d->expand * d->C; }

/* Numbers of a token that are not of a channel: dt, B, C. */
static int shared(const struct dims *d) { return d->dt_rank + 2 * d->state; }

/* --- parameters and carry ----------------------------------------------------- */

static void fits(struct fit *f, const struct dims *d)
{
    fit_must(f, KEYS("model.state"), d->state >= 1 && d->state <= MAMBA_MAX_STATE,
             "expected a whole number from 1 to %d, found %d", MAMBA_MAX_STATE, d->state);
    fit_must(f, KEYS("model.expand"), d->expand >= 1 && d->expand <= MAMBA_MAX_EXPAND,
             "expected a whole number from 1 to %d, found %d", MAMBA_MAX_EXPAND, d->expand);
    fit_must(f, KEYS("model.dt_rank", "model.expand", "model.width"),
             d->dt_rank >= 1 && d->dt_rank <= channels(d),
             "expected a whole number from 1 to expand * width, %d, found %d", channels(d),
             d->dt_rank);
}

/* Matrices start as torch.nn.Linear does, uniform within 1 / sqrt(inputs), and the output's are
 * smaller the deeper the model; the order is that of the enum. */
static void params(struct param_table *t, const struct dims *d, const char *prefix)
{
    const int D = channels(d), C = d->C, R = d->dt_rank, W = d->conv_width;
    const double taps = 1 / sqrt(W), out = 1 / sqrt(D) / sqrt(d->L);
    char own[PARAM_NAME];

    snprintf(own, sizeof own, "%smixer.", prefix);
    const int A_log = param_add(t, own, "A_log", INIT_LOG_COUNT, 0, PARAM_SHAPE(D, d->state));
    t->p[A_log].no_decay = 1;
    const int skip = param_add(t, own, "D", INIT_ONE, 0, PARAM_SHAPE(D));
    t->p[skip].no_decay = 1;
    param_add(t, own, "conv1d.bias", INIT_UNIFORM, taps, PARAM_SHAPE(D));
    param_add(t, own, "conv1d.weight", INIT_UNIFORM, taps, PARAM_SHAPE(D, 1, W));
    param_add(t, own, "dt_proj.bias", INIT_STEP, 0, PARAM_SHAPE(D));
    param_add_product(t, own, "dt_proj.weight", INIT_UNIFORM, 1 / sqrt(R), PARAM_SHAPE(D, R));
    param_add_product(t, own, "in_proj.weight", INIT_UNIFORM, 1 / sqrt(C), PARAM_SHAPE(2 * D, C));
    param_add_product(t, own, "out_proj.weight", INIT_UNIFORM, out, PARAM_SHAPE(C, D));
    param_add_product(t, own, "x_proj.weight", INIT_UNIFORM, 1 / sqrt(D),
                      PARAM_SHAPE(shared(d), D));
}

static int64_t halo_size(const struct dims *d)
{
    return (int64_t)(d->conv_width - 1) * channels(d);
}

static int64_t halo_reals(const struct dims *d) { return conv_halo_reals(d, channels(d)); }
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

/* --- arrays --------------------------------------------------------------- */

/* T_: from forward to backward, rows of D numbers, except P (shared()) and DT (dt_rank).  A is what
 * becomes U.  W_: scratch, gradients; SUM of a sequence's convolution, SMALL of all sequences'
 * scan.  DY is the gradient of y, then of x. */
enum { T_X = A_OWN, T_A, T_U, T_Z, T_RAW, T_Y, T_P, T_DT, T_HALO, T_KEPT,
       W_SCAN, W_DU, W_DRAW, W_DP, W_DDT, W_SUM, W_SMALL, W_DY, W_DZ, W_DHALO };

static void arrays(struct layout *l, const struct layer_call *c)
{
    const struct dims *d = c->d;
    const int D = channels(d), back = (l->lives & LIFE_BACK) != 0;
    const int64_t N = (int64_t)c->B * c->T, ND = N * D;

    layout_reals(l, LIFE_TAPE, T_X, ND);
    layout_reals(l, LIFE_TAPE, T_A, ND);
    layout_reals(l, LIFE_TAPE, T_U, ND);
    layout_reals(l, LIFE_TAPE, T_Y, ND);
    layout_reals(l, LIFE_TAPE, T_DT, N * d->dt_rank);
    layout_reals(l, LIFE_TAPE, T_HALO, c->B * halo_reals(d));
    layout_reals(l, LIFE_IN, T_Z, ND);
    layout_reals(l, LIFE_IN, T_RAW, ND);
    layout_reals(l, LIFE_IN, T_P, N * shared(d));
    layout_reals(l, LIFE_KEPT, T_KEPT, l->groups * c->B * scan_groups(c->T) * state_size(d));

    layout_reals(l, LIFE_SCRATCH, W_SCAN,
                 scan_scratch(c->B, c->T, D, d->state, omp_get_max_threads(), back));
    layout_reals(l, LIFE_BACK, W_DU, ND);
    layout_reals(l, LIFE_BACK, W_DRAW, ND);
    layout_reals(l, LIFE_BACK, W_DP, N * shared(d));
    layout_reals(l, LIFE_BACK, W_DDT, N * d->dt_rank);
    layout_reals(l, LIFE_BACK, W_SUM, conv_sum_reals(d, D));
    layout_reals(l, LIFE_BACK, W_SMALL, c->B * (2 * (int64_t)D + state_size(d)));
    layout_reals(l, LIFE_WAIT, W_DY, ND);
    layout_reals(l, LIFE_WAIT, W_DZ, ND);
    layout_reals(l, LIFE_WAIT, W_DHALO, c->B * halo_reals(d));
}

/* What inner reads: the order of in[]. */
enum { IN_U, IN_RAW, IN_Z, IN_P };

/* --- forward -------------------------------------------------------------- */

static struct scan scan_of(const struct layer_call *c, const struct head_share *s)
{
    const struct dims *d = c->d;
    return (struct scan){
        .B = c->B, .T = c->T, .C = channels(d), .N = d->state, .ld = shared(d), .u = s->in[IN_U],
        .raw = s->in[IN_RAW], .z = s->in[IN_Z], .Bn = s->in[IN_P] + d->dt_rank,
        .Cn = s->in[IN_P] + d->dt_rank + d->state, .bias = call_w(c, DT_B), .D = call_w(c, SKIP),
        .A_log = call_w(c, A_LOG), .kept = s->kept, .scratch = c->v[W_SCAN],
    };
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

static void project(const struct layer_call *c)
{
    linear_part_forward(c, IN, 0, channels(c->d), c->v[T_X], reals(c->v[A_H])); /* [E53] */
}

static struct conv conv_of(const struct layer_call *c)
{
    return (struct conv){ CONV_W, CONV_B, channels(c->d), c->v[T_X], c->v[T_HALO] };
}

static void mix(const struct layer_call *c, real *carry)
{
    const struct dims *d = c->d;
    const int D = channels(d), N = c->B * c->T;
    const struct conv a = conv_of(c);

    linear_part_forward(c, IN, D, D, c->v[T_Z], reals(c->v[A_H]));
    conv_halo(c, &a, carry, carry_reals(d));
    conv_forward(c, &a, c->v[T_A]);
    silu_forward(c->v[T_U], c->v[T_A], (int64_t)N * D);
    linear_forward(c, X, c->v[T_P], reals(c->v[T_U]));
    first_columns(c->v[T_DT], c->v[T_P], N, d->dt_rank, shared(d));
    linear_forward(c, DT_W, c->v[T_RAW], reals(c->v[T_DT]));
}

static void inner(const struct layer_call *c, const struct head_share *share, real *carry)
{
    const struct scan s = scan_of(c, share);
    poke();
    scan_forward(share->out, carry + halo_reals(c->d), carry_reals(c->d), &s);
}

static void finish(const struct layer_call *c)
{
    linear_forward(c, OUT, c->v[A_Y], reals(c->v[T_Y]));
}

/* --- backward ------------------------------------------------------------- */

static void finish_backward(const struct layer_call *c)
{
    linear_backward(c, OUT, c->v[W_DY], reals(c->v[A_DY]), reals(c->v[T_Y]), 0);
}

static void inner_backward(const struct layer_call *c, const struct head_share *share,
                           real *dcarry)
{
    const struct dims *d = c->d;
    const int D = channels(d);
    const int64_t DN = state_size(d);
    const struct scan s = scan_of(c, share);
    real *small = c->v[W_SMALL], *dp = share->din[IN_P] + d->dt_rank;
    const struct scan_grad g = {
        .dy = share->dout, .du = share->din[IN_U], .draw = share->din[IN_RAW],
        .dz = share->din[IN_Z], .dB = dp, .dC = dp + d->state, .dbias = small,
        .dD = small + c->B * D, .dA_log = small + 2 * c->B * (int64_t)D,
    };
    poke();
    scan_backward(&g, dcarry + halo_reals(d), carry_reals(d), &s);
    for (int b = 0; b < c->B; b++) {
        grad_add(c->grad, call_at(c, DT_B), g.dbias + b * D, D);
        grad_add(c->grad, call_at(c, SKIP), g.dD + b * D, D);
        grad_add(c->grad, call_at(c, A_LOG), g.dA_log + b * DN, DN);
    }
}

/* DU -> that of a -> DY, of x. */
static void mix_backward(const struct layer_call *c)
{
    const struct dims *d = c->d;
    const int D = channels(d), N = c->B * c->T;
    const struct conv a = conv_of(c);
    real **v = c->v;

    linear_backward(c, DT_W, v[W_DDT], reals(v[W_DRAW]), reals(v[T_DT]), 0);
    to_first_columns(v[W_DP], v[W_DDT], N, d->dt_rank, shared(d));
    linear_backward(c, X, v[W_DU], reals(v[W_DP]), reals(v[T_U]), 1);
    silu_backward(v[W_DU], v[W_DU], v[T_A], (int64_t)N * D);
    conv_backward(c, &a, v[W_DY], v[W_DHALO], v[W_DU], v[W_SUM]);
}

static void project_backward(const struct layer_call *c)
{
    const int D = channels(c->d);
    const struct operand h = reals(c->v[A_H]);
    linear_share(c, h);
    linear_part_backward(c, IN, 0, D, c->v[A_DH], reals(c->v[W_DY]), h, 0);
    linear_part_backward(c, IN, D, D, c->v[A_DH], reals(c->v[W_DZ]), h, 1);
}

/* --- scan mode ---------------------------------------------------------------- */

static struct scan_map map_of(const struct layer_call *c, real *map)
{
    const int64_t n = state_size(c->d);
    return (struct scan_map){ map, map + c->B * n, n };
}

static void map(const struct layer_call *c, const struct head_share *share, real *m)
{
    const struct scan s = scan_of(c, share);
    const struct scan_map to = map_of(c, m);
    poke();
    scan_compose(&to, &s);
}

static void map_backward(const struct layer_call *c, const struct head_share *share, real *m)
{
    const struct scan s = scan_of(c, share);
    const struct scan_map to = map_of(c, m);
    poke();
    scan_compose_backward(&to, share->dout, &s);
}

/* A decay's argument and its exponential, the state's three and the output's two. */
static double flops(const struct dims *d, double keys)
{
    (void)keys;
    return 7.0 * (double)state_size(d);
}

const struct layer layer_mamba = {
    .name = "mamba", .family = &family_mamba, .has = HAS_STATE, .fits = fits, .params = params,
    .flops = flops, .carry_reals = carry_reals, .carry_part = carry_part, .state = state,
    .arrays = arrays,
    .in = { { T_U, W_DU, channels }, { T_RAW, W_DRAW, channels }, { T_Z, W_DZ, channels },
            { T_P, W_DP, shared } },
    .out = { T_Y, W_DY, channels }, .kept = T_KEPT, .halo = { T_X, W_DY, W_DHALO, channels },
    .project = project, .mix = mix, .inner = inner, .finish = finish,
    .finish_backward = finish_backward, .inner_backward = inner_backward,
    .mix_backward = mix_backward, .project_backward = project_backward,
    .scanned = 1, .map = map, .map_backward = map_backward,
};
