#include "src/layers/ttt_params.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/status.h"
#include "src/layers/ttt_heads.h"

static int has(const struct dims *d, enum without part) { return !(d->without & part); }

/* Is a part of the state learned?  A bias is one row. */
static int learned(const struct dims *d, int rows)
{
    return has(d, WITHOUT_INIT) && (rows > 1 || has(d, WITHOUT_BIAS));
}

struct ttt_places ttt_places(const struct dims *d)
{
    struct ttt_places p = { .k = -1, .g = -1, .conv_q = -1, .conv_k = -1, .lr = -1,
                            .token_idx = -1, .norm = -1 };
    const char *name;
    int n = 0, rows, cols;

    p.q = n++;
    if (!d->share_qk) p.k = n++;
    p.v = n++;
    p.o = n++;
    if (d->gate) p.g = n++;
    if (d->share_qk) {
        p.conv_q = n, n += 2;
        p.conv_k = n, n += 2;
    }
    if (has(d, WITHOUT_GATE)) p.lr = n, n += 2;
    if (has(d, WITHOUT_TOKEN_IDX)) p.token_idx = n++;
    if (has(d, WITHOUT_NORM)) p.norm = n, n += 2;
    for (; ttt_inner(d)->part(p.parts, head_width(d), &name, &rows, &cols); p.parts++) {
        check(p.parts < TTT_PARTS);
        p.state[p.parts] = learned(d, rows) ? n++ : -1;
    }
    p.post = n;
    return p;
}

int ttt_fits(const struct dims *d)
{
    if (d->C % d->H)
        return fail(ERR_CONFIG, "model.heads %d does not divide model.width %d", d->H, d->C);
    if (head_groups(d) != d->H)
        return fail(ERR_CONFIG, "model.kv_heads %d: in a TTT layer every head has its own keys and "
                    "values", d->Hkv);
    if (head_width(d) % 2)
        return fail(ERR_CONFIG, "head width %d (model.width / model.heads) must be even for RoPE",
                    head_width(d));
    if (d->without < 0 || d->without >= 2 * WITHOUT_MEAN)
        return fail(ERR_CONFIG, "this model lacks parts of the TTT layer that are not known here");
    if (!has(d, WITHOUT_INIT) && !ttt_inner(d)->learns_from_zero)
        return fail(ERR_CONFIG, "model.learn_init false: the inner model of %s would stay zero",
                    d->layer);
    return OK;
}

void ttt_params(struct param_table *t, const struct dims *d, const char *prefix)
{
    const int C = d->C, H = d->H, F = head_width(d), W = d->conv_width;
    const double std = d->init_std;
    /* nn.Conv1d's default: U(-1/sqrt(fan_in), +), fan_in = taps */
    const double conv = 1 / sqrt(W);
    const char *name;
    int rows, cols;
    char own[PARAM_NAME];

    snprintf(own, sizeof own, "%sseq_modeling_block.", prefix);
    param_add_product(t, own, "q_proj.weight", INIT_NORMAL, std, PARAM_SHAPE(C, C));
    if (!d->share_qk)
        param_add_product(t, own, "k_proj.weight", INIT_NORMAL, std, PARAM_SHAPE(C, C));
    param_add_product(t, own, "v_proj.weight", INIT_NORMAL, std, PARAM_SHAPE(C, C));
    param_add_product(t, own, "o_proj.weight", INIT_NORMAL, std, PARAM_SHAPE(C, C));
    if (d->gate) param_add_product(t, own, "g_proj.weight", INIT_NORMAL, std, PARAM_SHAPE(C, C));
    if (d->share_qk) {
        param_add(t, own, "conv_q.weight", INIT_UNIFORM, conv, PARAM_SHAPE(C, 1, W));
        param_add(t, own, "conv_q.bias", INIT_UNIFORM, conv, PARAM_SHAPE(C));
        param_add(t, own, "conv_k.weight", INIT_UNIFORM, conv, PARAM_SHAPE(C, 1, W));
        param_add(t, own, "conv_k.bias", INIT_UNIFORM, conv, PARAM_SHAPE(C));
    }
    if (has(d, WITHOUT_GATE)) {
        param_add_product(t, own, "learnable_ttt_lr_weight", INIT_NORMAL, std,
                          PARAM_SHAPE(H, 1, C));
        param_add(t, own, "learnable_ttt_lr_bias", INIT_ZERO, 0, PARAM_SHAPE(H, 1));
    }
    if (has(d, WITHOUT_TOKEN_IDX))
        param_add(t, own, "learnable_token_idx", INIT_ZERO, 0, PARAM_SHAPE(d->K));
    if (has(d, WITHOUT_NORM)) {
        param_add(t, own, "ttt_norm_weight", INIT_ONE, 0, PARAM_SHAPE(H, F));
        param_add(t, own, "ttt_norm_bias", INIT_ZERO, 0, PARAM_SHAPE(H, F));
    }
    for (int i = 0; ttt_inner(d)->part(i, F, &name, &rows, &cols); i++)
        if (learned(d, rows))
            param_add(t, own, name, rows > 1 ? INIT_NORMAL : INIT_ZERO, std,
                      PARAM_SHAPE(H, rows, cols));
    param_add(t, own, "post_norm.weight", INIT_ONE, 0, PARAM_SHAPE(C));
    param_add(t, own, "post_norm.bias", INIT_ZERO, 0, PARAM_SHAPE(C));
}

/* --- carry ---------------------------------------------------------------- */

int64_t ttt_halo_reals(const struct dims *d)
{
    return d->share_qk ? align_reals((int64_t)(d->conv_width - 1) * d->C) : 0;
}

int64_t ttt_carry_reals(const struct dims *d)
{
    return ttt_halo_reals(d) + d->H * heads_stride(ttt_inner(d), head_width(d));
}

/* The halo, then the state of each head; the inner gradients are zero at boundaries. */
int ttt_carry_part(const struct dims *d, int i, int64_t *offset, int64_t *n)
{
    const struct inner *f = ttt_inner(d);
    const int h = d->share_qk ? i - 1 : i;

    *offset = h < 0 ? 0 : ttt_halo_reals(d) + h * heads_stride(f, head_width(d));
    *n = h < 0 ? (int64_t)(d->conv_width - 1) * d->C : f->state_reals(head_width(d));
    return h < d->H;
}

/* Part i of the fast weights: where it is in the carry, and from head to head. */
static int fast_weight(const struct dims *d, int i, const char **name, int *rows, int *cols,
                       int64_t *offset, int64_t *stride)
{
    const struct inner *f = ttt_inner(d);
    *offset = ttt_halo_reals(d);
    *stride = heads_stride(f, head_width(d));
    for (int j = 0; f->part(j, head_width(d), name, rows, cols); j++) {
        if (j == i) return 1;
        *offset += (int64_t)*rows * *cols;
    }
    return 0;
}

/* Fast weights, their inner gradients half a stride behind, the halo of Q and K. */
int ttt_state(const struct dims *d, int i, const char **name, int shape[3], int64_t *offset,
                 int64_t *stride)
{
    static char igrad[TTT_PARTS][24];  /* one inner model is probed at a time */
    const int parts = ttt_places(d).parts, part = i < parts ? i : i - parts;

    if (part < parts) {
        if (!fast_weight(d, part, name, &shape[1], &shape[2], offset, stride)) return 0;
        shape[0] = d->H;
        if (i < parts) return 1;
        check(part < TTT_PARTS);
        snprintf(igrad[part], sizeof igrad[part], "igrad.%s", *name);
        *name = igrad[part];
        *offset += *stride / 2;
        return 1;
    }
    if (part > parts || !d->share_qk) return 0;
    *name = "conv_state.ttt_conv_q";
    shape[0] = 1;
    shape[1] = d->conv_width - 1;
    shape[2] = d->C;
    *offset = *stride = 0;
    return 1;
}

/* out (H,SA): the initial states of all heads, each in one piece. */
void ttt_initial_states(const struct layer_call *c, real *out, int64_t stride)
{
    const struct ttt_places p = ttt_places(c->d);
    const char *name;
    int rows, cols;
    int64_t at = 0;

    for (int i = 0; ttt_inner(c->d)->part(i, head_width(c->d), &name, &rows, &cols); i++) {
        const int64_t n = (int64_t)rows * cols;
        for (int h = 0; h < c->d->H; h++) {
            real *to = out + h * stride + at;
            if (p.state[i] < 0) memset(to, 0, (size_t)n * sizeof *to);
            else memcpy(to, call_w(c, p.state[i]) + h * n, (size_t)n * sizeof *to);
        }
        at += n;
    }
}

void ttt_carry_start(const struct layer_call *c, real *carry)
{
    const int64_t reals = ttt_carry_reals(c->d);
    memset(carry, 0, (size_t)(c->B * reals) * sizeof *carry);
    for (int b = 0; b < c->B; b++)
        ttt_initial_states(c, carry + b * reals + ttt_halo_reals(c->d),
                       heads_stride(ttt_inner(c->d), head_width(c->d)));
}

void ttt_carry_start_backward(const struct layer_call *c, const real *dcarry)
{
    const int64_t reals = ttt_carry_reals(c->d);
    const struct ttt_places p = ttt_places(c->d);
    const char *name;
    int rows, cols;
    int64_t offset, stride;

    for (int b = 0; b < c->B; b++)
        for (int i = 0; fast_weight(c->d, i, &name, &rows, &cols, &offset, &stride); i++)
            for (int h = 0; p.state[i] >= 0 && h < c->d->H; h++) {
                const int64_t n = (int64_t)rows * cols;
                grad_add(c->grad, call_at(c, p.state[i]) + h * n,
                         dcarry + b * reals + offset + h * stride, n);
            }
}
