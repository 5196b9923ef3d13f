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

/* Scratch: gradients, SUM of a sequence's convolution, SMALL of all sequences' scan.  DY is that of
 * y, then of x. */
enum { W_SCAN, W_DU, W_DRAW, W_DP, W_DDT, W_SUM, W_SMALL, W_DY, W_DZ, W_DHALO };

static void tape_of_group(struct tape *t, struct arena *a, const struct layer_call *c)
{
    const struct dims *d = c->d;
    const int64_t N = (int64_t)c->B * c->T;
    for (int i = T_X; i <= T_Y; i++) t->v[i] = arena_reals(a, N * channels(d));
    t->v[T_P] = arena_reals(a, N * shared(d));
    t->v[T_DT] = arena_reals(a, N * d->dt_rank);
    t->v[T_HALO] = arena_reals(a, c->B * halo_reals(d));
    t->v[T_KEPT] = c->group ? arena_reals(a, c->B * scan_groups(c->T) * state_size(d)) : NULL;
}

/* In parts everything stays with its tokens. */
static void tape_of_tokens(struct tape *t, struct arena *a, const struct layer_call *c)
{
    struct layer_call kept = *c;
    kept.group = 1;
    tape_of_group(t, a, &kept);
}

static void passing(struct tape *t, struct arena *a, const struct layer_call *c)
{
    (void)t, (void)a, (void)c;
}

static int64_t kept_reals(const struct dims *d, int B, int T, int H, int group)
{
    (void)d, (void)B, (void)T, (void)H, (void)group;
    return 0;
}

/* Gradients that wait for other slices. */
static void held(struct tape *w, struct arena *a, const struct layer_call *c)
{
    const int64_t N = (int64_t)c->B * c->T;
    w->v[W_DY] = arena_reals(a, N * channels(c->d));
    w->v[W_DZ] = arena_reals(a, N * channels(c->d));
    w->v[W_DHALO] = arena_reals(a, c->B * halo_reals(c->d));
}

static void work(struct tape *w, struct arena *a, const struct layer_call *c, int backward)
{
    const struct dims *d = c->d;
    const int D = channels(d), threads = omp_get_max_threads();
    const int64_t N = (int64_t)c->B * c->T;
    w->v[W_SCAN] = arena_reals(a, scan_scratch(c->B, c->T, D, d->state, threads, backward));
    if (!backward) return;
    w->v[W_DU] = arena_reals(a, N * D);
    w->v[W_DRAW] = arena_reals(a, N * D);
    w->v[W_DP] = arena_reals(a, N * shared(d));
    w->v[W_DDT] = arena_reals(a, N * d->dt_rank);
    w->v[W_SUM] = arena_reals(a, align_reals((int64_t)D * d->conv_width) + D);
    w->v[W_SMALL] = arena_reals(a, c->B * (2 * (int64_t)D + state_size(d)));
    held(w, a, c);
}

/* What the middle takes and gives; the order of in[]. */
enum { IN_U, IN_RAW, IN_Z, IN_P };

static struct head_share all(struct tape *t, struct tape *w)
{
    return (struct head_share){
        .H = 1, .in = { t->v[T_U], t->v[T_RAW], t->v[T_Z], t->v[T_P] }, .out = t->v[T_Y],
        .din = { w->v[W_DU], w->v[W_DRAW], w->v[W_DZ], w->v[W_DP] }, .dout = w->v[W_DY],
        .kept = t->v[T_KEPT],
    };
}

/* --- forward -------------------------------------------------------------- */

static struct scan scan_of(const struct layer_call *c, const struct head_share *s, struct tape *w)
{
    const struct dims *d = c->d;
    return (struct scan){
        .B = c->B, .T = c->T, .C = channels(d), .N = d->state, .ld = shared(d), .u = s->in[IN_U],
        .raw = s->in[IN_RAW], .z = s->in[IN_Z], .Bn = s->in[IN_P] + d->dt_rank,
        .Cn = s->in[IN_P] + d->dt_rank + d->state, .bias = call_w(c, DT_B), .D = call_w(c, SKIP),
        .A_log = call_w(c, A_LOG), .kept = s->kept, .scratch = w->v[W_SCAN],
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

static void project(const struct layer_call *c, const real *h, struct tape *t)
{
    linear_part_forward(c, IN, 0, channels(c->d), t->v[T_X], reals(h));       /* [E53] */
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
        conv1d_forward(t->v[T_A] + b * TD, &(struct conv1d){
            .T = c->T, .C = D, .W = d->conv_width, .x = x, .halo = before,
            .w = call_w(c, CONV_W), .b = call_w(c, CONV_B),
        });
        conv1d_halo(before, x, c->T, D, d->conv_width);
    }
}

static void mix(const struct layer_call *c, const real *h, real *carry, struct tape *t)
{
    const struct dims *d = c->d;
    const int D = channels(d), N = c->B * c->T;

    linear_part_forward(c, IN, D, D, t->v[T_Z], reals(h));
    convolve(c, carry, t);
    silu_forward(t->v[T_U], t->v[T_A], (int64_t)N * D);
    linear_forward(c, X, t->v[T_P], reals(t->v[T_U]));
    first_columns(t->v[T_DT], t->v[T_P], N, d->dt_rank, shared(d));
    linear_forward(c, DT_W, t->v[T_RAW], reals(t->v[T_DT]));
}

static void inner(const struct layer_call *c, const struct head_share *share, real *carry,
                  struct tape *w)
{
    const struct scan s = scan_of(c, share, w);
    poke();
    scan_forward(share->out, carry + halo_reals(c->d), carry_reals(c->d), &s);
}

static void finish(const struct layer_call *c, real *y, struct tape *t)
{
    linear_forward(c, OUT, y, reals(t->v[T_Y]));
}

static void forward(const struct layer_call *c, real *y, const real *h, real *carry,
                    struct tape *t, struct tape *w)
{
    const struct head_share whole = all(t, w);
    project(c, h, t);
    mix(c, h, carry, t);
    inner(c, &whole, carry, w);
    finish(c, y, t);
}

/* --- backward ------------------------------------------------------------- */

static void finish_backward(const struct layer_call *c, real *dh, const real *dy, const real *h,
                            struct tape *t, struct tape *w)
{
    (void)dh, (void)h;
    linear_backward(c, OUT, w->v[W_DY], reals(dy), reals(t->v[T_Y]), 0);
}

static void inner_backward(const struct layer_call *c, const struct head_share *share,
                           real *dcarry, struct tape *w)
{
    const struct dims *d = c->d;
    const int D = channels(d);
    const int64_t DN = state_size(d);
    const struct scan s = scan_of(c, share, w);
    real *small = w->v[W_SMALL], *dp = share->din[IN_P] + d->dt_rank;
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

/* Without the gradient of the halo that the slice left behind: DU -> that of a -> DY, of x. */
static void mix_backward(const struct layer_call *c, struct tape *t, struct tape *w)
{
    const struct dims *d = c->d;
    const int D = channels(d), N = c->B * c->T, W = d->conv_width;
    const int64_t TD = (int64_t)c->T * D, halo = halo_reals(d);
    real *dw = w->v[W_SUM], *db = dw + align_reals((int64_t)D * W);

    linear_backward(c, DT_W, w->v[W_DDT], reals(w->v[W_DRAW]), reals(t->v[T_DT]), 0);
    to_first_columns(w->v[W_DP], w->v[W_DDT], N, d->dt_rank, shared(d));
    linear_backward(c, X, w->v[W_DU], reals(w->v[W_DP]), reals(t->v[T_U]), 1);
    silu_backward(w->v[W_DU], w->v[W_DU], t->v[T_A], (int64_t)N * D);
    for (int b = 0; b < c->B; b++) {
        memset(dw, 0, (size_t)(align_reals((int64_t)D * W) + D) * sizeof *dw);
        conv1d_backward(&(struct conv1d_grad){ .dx = w->v[W_DY] + b * TD,
                                               .dhalo = w->v[W_DHALO] + b * halo,
                                               .dw = dw, .db = db },
                        w->v[W_DU] + b * TD,
                        &(struct conv1d){ .T = c->T, .C = D, .W = W, .x = t->v[T_X] + b * TD,
                                          .halo = t->v[T_HALO] + b * halo,
                                          .w = call_w(c, CONV_W) });
        grad_add(c->grad, call_at(c, CONV_W), dw, (int64_t)D * W);
        grad_add(c->grad, call_at(c, CONV_B), db, D);
    }
}

static void halo_backward(const struct layer_call *c, real *dcarry, struct tape *w)
{
    const struct dims *d = c->d;
    const int D = channels(d);
    const int64_t TD = (int64_t)c->T * D, halo = halo_reals(d);

    for (int b = 0; b < c->B; b++) {
        real *prev = w->v[W_DHALO] + b * halo, *next = dcarry + b * carry_reals(d);
        conv1d_halo_backward(w->v[W_DY] + b * TD, prev, next, c->T, D, d->conv_width);
        memcpy(next, prev, (size_t)halo_size(d) * sizeof *next);
    }
}

static void project_backward(const struct layer_call *c, real *dh, const real *h, struct tape *t,
                             struct tape *w)
{
    const int D = channels(c->d);
    (void)t;
    linear_share(c, reals(h));
    linear_part_backward(c, IN, 0, D, dh, reals(w->v[W_DY]), reals(h), 0);
    linear_part_backward(c, IN, D, D, dh, reals(w->v[W_DZ]), reals(h), 1);
}

static void backward(const struct layer_call *c, real *dh, const real *dy, const real *h,
                     real *dcarry, struct tape *t, struct tape *w)
{
    const struct head_share whole = all(t, w);
    finish_backward(c, dh, dy, h, t, w);
    inner_backward(c, &whole, dcarry, w);
    mix_backward(c, t, w);
    halo_backward(c, dcarry, w);
    project_backward(c, dh, h, t, w);
}

/* --- scan mode ---------------------------------------------------------------- */

static struct scan_map map_of(const struct layer_call *c, real *map)
{
    const int64_t n = state_size(c->d);
    return (struct scan_map){ map, map + c->B * n, n };
}

static void map(const struct layer_call *c, const struct head_share *share, real *m,
                struct tape *w)
{
    const struct scan s = scan_of(c, share, w);
    const struct scan_map to = map_of(c, m);
    poke();
    scan_compose(&to, &s);
}

static void map_backward(const struct layer_call *c, const struct head_share *share, real *m,
                         struct tape *w)
{
    const struct scan s = scan_of(c, share, w);
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

static const struct layer_split split = {
    .in = { { T_U, W_DU, WIDE_ONE }, { T_RAW, W_DRAW, WIDE_ONE }, { T_Z, W_DZ, WIDE_ONE },
            { T_P, W_DP, WIDE_ONE } },
    .n_in = 4, .out = { T_Y, W_DY, WIDE_ONE }, .halo_reals = halo_reals, .halo = T_X,
    .dhalo = W_DHALO, .halo_width = channels, .passing = passing, .tape = tape_of_tokens,
    .held = held, .kept_reals = kept_reals, .project = project, .mix = mix, .inner = inner,
    .finish = finish, .finish_backward = finish_backward, .inner_backward = inner_backward,
    .mix_backward = mix_backward, .halo_backward = halo_backward,
    .project_backward = project_backward, .state = 1, .kept = T_KEPT, .map = map,
    .map_backward = map_backward,
};

const struct layer layer_mamba = {
    .name = "mamba", .family = &family_mamba, .has = HAS_STATE, .fits = fits, .params = params,
    .carry_reals = carry_reals, .carry_part = carry_part, .carry_start = carry_start,
    .carry_start_backward = carry_start_backward, .tape = tape_of_group, .work = work,
    .forward = forward, .backward = backward, .state = state, .flops = flops, .split = &split,
};
