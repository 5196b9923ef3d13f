/* SPDX-License-Identifier: Apache-2.0 */
/* One training step on every grid of this many ranks is, bit for bit, the step of a rank alone:
 * gradients, loss, inner losses; and the owners' runs together are all of the gradient. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/step/reduce.h"
#include "mpi/step/step_exec.h"
#include "src/base/part.h"
#include "src/base/rng.h"
#include "src/kernels/gemm.h"
#include "src/kernels/inner.h"
#include "src/layers/ttt.h"
#include "src/model/pass.h"
#include "src/model/stage.h"
#include "tests/lib/inner_gated.h"
#include "tests/lib/inner_momentum.h"
#include "tests/mpi/mpitest.h"

enum { CONTEXT = 44, SLICE = 8, SEQUENCES = 5, MASK = 1 };

enum backbone { TRANSFORMER, MAMBA };

static struct dims dims_of(const char *layer, enum backbone backbone, int heads, int taps)
{
    const int mamba = backbone == MAMBA;
    struct dims d = { .V = 37, .L = 5, .C = 12, .H = heads, .E = 10, .K = 4,
                      .conv_width = taps, .gate = mamba, .share_qk = mamba, .pre_conv = mamba,
                      .tied = mamba, .rope_theta = 1e4, .rms_eps = 1e-6, .ln_eps = 1e-6,
                      .init_std = 0.3, .inner_lr = 1 };
    snprintf(d.layer, sizeof d.layer, "%s", layer);
    return d;
}

static void fill_tokens(int32_t *tok, int64_t n, int V)
{
    const uint64_t key = rng_key(5, "tokens");
    for (int64_t i = 0; i < n; i++) tok[i] = (int32_t)(rng_u64(key, (uint64_t)i) % (uint64_t)V);
}

/* What a step gives: on one rank, or on a grid. */
struct outcome {
    struct grad      g;
    struct pass_sums sums;
    struct fixed     inner[3][8];
};

static void outcome_init(struct outcome *o, const struct model *m, enum reduction how, int units)
{
    memset(o, 0, sizeof *o);
    grad_init(&o->g, &m->params, how);
    /* What a step before may have left counts nothing. */
    if (o->g.fixed) memset(o->g.fixed, 0x5a, (size_t)m->params.total * sizeof *o->g.fixed);
    grad_begin(&o->g, (int64_t)SEQUENCES * units);
    o->sums.inner_w0 = o->inner[0];
    o->sums.inner_before = o->inner[1];
    o->sums.inner_after = o->inner[2];
}

static void alone(struct outcome *o, const struct model *m, const struct pass_opts *po,
                  const int32_t *windows)
{
    struct pass_opts one = *po;
    one.micro_batch = 1;
    struct pass *p = pass_new(m, &one);
    for (int q = 0; q < SEQUENCES; q++)
        pass_run(p, &o->g, &o->sums, windows + (int64_t)q * (CONTEXT + 1), 1);
    pass_free(p);
}

static void on_grid(struct outcome *o, const struct grid *g, const struct model *m,
                    const struct pass_opts *po, const int32_t *windows, struct reducer *red)
{
    struct step_exec *e = step_exec_new(g, m, po, SEQUENCES);
    const struct share *a = step_exec_share(e);
    int64_t valid[SEQUENCES];

    for (int q = a->q0; q < a->q1; q++)
        valid[q - a->q0] = stage_count_targets(windows + (int64_t)q * (CONTEXT + 1), CONTEXT, MASK);
    reducer_attach(red, &o->g);
    step_exec_run(e, windows + (int64_t)a->q0 * (CONTEXT + 1) + a->u0 * SLICE, CONTEXT + 1, valid,
                  &o->g, red, &o->sums, NULL);
    reducer_end(red);
    step_exec_free(e);
}

static struct fixed sum_of(struct fixed x)
{
    int64_t part[2] = { x.hi, x.lo };
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, part, 2, MPI_INT64_T, MPI_SUM, world.comm));
    return (struct fixed){ part[0], part[1] };
}

/* A sum over ranks has not carried yet. */
static int same_fixed(struct fixed a, struct fixed b)
{
    a = fixed_carry(a);
    b = fixed_carry(b);
    return a.hi == b.hi && a.lo == b.lo;
}

/* Are our own runs of the sum the bits of the whole? */
static int own_equal(const struct reducer *red, const struct grad *a, const struct grad *b)
{
    const struct span *own;
    const int n = reducer_spans(red, &own);
    int good = 1;
    for (int i = 0; i < n; i++)
        good &= !memcmp(a->fixed + own[i].begin, b->fixed + own[i].begin,
                        (size_t)(own[i].end - own[i].begin) * sizeof *a->fixed);
    return good;
}

/* A Transformer: heads in groups with common keys and values. */
static struct dims attention(int heads, int groups)
{
    struct dims d = dims_of("attention", TRANSFORMER, heads, 4);
    d.C = 4 * heads;
    d.Hkv = groups;
    d.K = 1;
    return d;
}

/* The same as public models have it: wider heads, biases, a scaled rotation. */
static struct dims of_public(int heads, int groups)
{
    struct dims d = attention(heads, groups);
    d.F = 6;
    d.qkv_bias = 1;
    d.rope_scaling = ROPE_LLAMA3;
    d.rope_factor = 4;
    d.rope_low = 1;
    d.rope_high = 4;
    d.rope_original = 100;
    return d;
}

/* What starts at zero could hide an error. */
static void roughen(struct model *m)
{
    for (int i = 0; i < m->params.count; i++)
        for (int64_t k = 0; m->params.p[i].init == INIT_ZERO && k < m->params.p[i].n; k++)
            m->w[m->params.p[i].offset + k] = (real)(k % 7 - 3) / 16;
}

/* A state space: no heads, no mini-batches, no feed-forward. */
static struct dims mamba(int taps)
{
    struct dims d = dims_of("mamba", TRANSFORMER, 1, taps);
    d.K = 1;
    d.E = 0;
    d.tied = 1;
    d.state = 5;
    d.expand = 2;
    d.dt_rank = 3;
    return d;
}

/* Blocks that differ: the sizes are the union of what their layers use. */
static struct dims mixture(const char *layers, enum backbone backbone, int heads)
{
    struct dims d = dims_of(layers, backbone, heads, 4);
    d.state = 5;
    d.expand = 2;
    d.dt_rank = 3;
    return d;
}

/* One step, to be compared. */
struct trial {
    struct dims        dims;
    int                micro_batch;
    enum remat         remat;
    enum sequence_mode mode;
};

static struct pass_opts opts_of(const struct trial *t)
{
    return (struct pass_opts){ .context = CONTEXT, .slice_tokens = SLICE,
                               .micro_batch = t->micro_batch, .inner_group = 2,
                               .remat = t->remat, .mask_token = MASK, .sequence_mode = t->mode };
}

static void compare(const struct grid *g, const struct trial *t)
{
    int32_t windows[SEQUENCES * (CONTEXT + 1)];
    const struct pass_opts po = opts_of(t);
    const struct dims d = t->dims;
    struct model *m;
    struct outcome one, many;

    all_true(&world, model_new(&m, &d) == OK);
    model_init(m, 3);
    roughen(m);
    fill_tokens(windows, SEQUENCES * (CONTEXT + 1), d.V);
    struct reducer *red = reducer_new(g, m);
    outcome_init(&one, m, REDUCE_EXACT, pass_units(&po));
    outcome_init(&many, m, REDUCE_EXACT, pass_units(&po));
    alone(&one, m, &po, windows);
    on_grid(&many, g, m, &po, windows, red);

    all_true(&world, own_equal(red, &many.g, &one.g));
    all_true(&world, many.g.bad == INT64_MAX && !many.sums.bad);
    all_true(&world, same_fixed(sum_of(many.sums.loss), one.sums.loss));
    for (int i = 0; i < 3; i++)
        for (int l = 0; l < d.L; l++)
            all_true(&world, same_fixed(sum_of(many.inner[i][l]), one.inner[i][l]));

    /* Squared norm: the owners' parts make the whole. */
    const struct span *own;
    const int n = reducer_spans(red, &own);
    struct fixed part;
    all_true(&world, grad_sumsq_part(&many.g, own, n, &part));
    all_true(&world, fixed_value(sum_of(part)) == grad_sumsq(&one.g));

    /* The comparison can fail: another weight, another gradient. */
    m->w[m->params.p[2].offset] += (real)1e-3;
    struct outcome other;
    outcome_init(&other, m, REDUCE_EXACT, pass_units(&po));
    alone(&other, m, &po, windows);
    int differ = !own_equal(red, &many.g, &other.g);
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &differ, 1, MPI_INT, MPI_MAX, world.comm));
    all_true(&world, differ);

    grad_done(&one.g);
    grad_done(&many.g);
    grad_done(&other.g);
    reducer_free(red);
    model_free(m);
}

/* An inner loop without a fused body, whose step has momenta and a rate of its own. */
static const struct inner gated = { .name = "gated", .model = &inner_gated,
                                    .step = &inner_momentum };

/* Heads that S divides and does not, fewer heads than ranks, units shorter than a halo, layers
 * without heads next to such with them. */
static void compare_heads(const struct grid *g)
{
    static const char hybrid[] = "ttt_linear, ttt_linear, ttt_linear, attention";
    struct dims mixed = attention(4, 2);
    mixed.pre_conv = 1;
    const struct trial trials[] = {
        { attention(4, 4), 1, REMAT_NONE, SEQ_HEADS },
        { mixed, 2, REMAT_BLOCK, SEQ_HEADS },
        { attention(3, 1), 2, REMAT_NONE, SEQ_HEADS },
        { of_public(6, 3), 2, REMAT_BLOCK, SEQ_HEADS },
        { dims_of("ttt_linear", MAMBA, 2, 4), 1, REMAT_NONE, SEQ_HEADS },
        { dims_of("ttt_linear", TRANSFORMER, 3, 4), 2, REMAT_BLOCK, SEQ_HEADS },
        { dims_of("ttt_mlp", MAMBA, 3, SLICE + 3), 2, REMAT_BLOCK, SEQ_HEADS },
        { dims_of("ttt_linear", MAMBA, 1, SLICE + 1), 2, REMAT_NONE, SEQ_HEADS },
        { dims_of("ttt_gated", MAMBA, 3, 4), 2, REMAT_BLOCK, SEQ_HEADS },
        { mixture(hybrid, MAMBA, 2), 1, REMAT_NONE, SEQ_HEADS },
        { mixture(hybrid, TRANSFORMER, 3), 2, REMAT_BLOCK, SEQ_HEADS },
        { mixture("mamba, attention", TRANSFORMER, 3), 2, REMAT_NONE, SEQ_HEADS },
        { mixture("attention, mamba", TRANSFORMER, 2), 1, REMAT_BLOCK, SEQ_HEADS },
    };
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) compare(g, &trials[i]);
}

static void compare_wavefront(const struct grid *g)
{
    const struct trial trials[] = {
        { dims_of("ttt_linear", MAMBA, 2, 4), 1, REMAT_NONE, SEQ_WAVEFRONT },
        { dims_of("ttt_linear", TRANSFORMER, 2, 4), 2, REMAT_BLOCK, SEQ_WAVEFRONT },
        { dims_of("ttt_mlp", MAMBA, 2, 4), 1, REMAT_NONE, SEQ_WAVEFRONT },
        { dims_of("ttt_mlp", TRANSFORMER, 2, 4), 2, REMAT_BLOCK, SEQ_WAVEFRONT },
        { dims_of("ttt_gated", MAMBA, 2, 4), 2, REMAT_BLOCK, SEQ_WAVEFRONT },
        { attention(4, 2), 1, REMAT_NONE, SEQ_WAVEFRONT },
        { attention(2, 2), 2, REMAT_BLOCK, SEQ_WAVEFRONT },
        { of_public(4, 2), 2, REMAT_NONE, SEQ_WAVEFRONT },
        { mamba(4), 1, REMAT_NONE, SEQ_WAVEFRONT },
        { mamba(SLICE + 3), 2, REMAT_BLOCK, SEQ_WAVEFRONT },
        { mixture("ttt_linear, ttt_linear, ttt_linear, attention", MAMBA, 2), 2, REMAT_BLOCK,
          SEQ_WAVEFRONT },
        { mixture("mamba, attention", TRANSFORMER, 3), 1, REMAT_NONE, SEQ_WAVEFRONT },
        { mixture("ttt_mlp, mamba", MAMBA, 2), 2, REMAT_NONE, SEQ_WAVEFRONT },
    };
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) compare(g, &trials[i]);
}

/* Largest difference of our own runs, as a share of the largest entry of the parameter. */
static double own_off(const struct reducer *red, const struct grad *a, const struct grad *b)
{
    const struct param_table *t = a->table;
    const struct span *own;
    const int n = reducer_spans(red, &own);
    double worst = 0;

    for (int i = 0; i < n; i++)
        for (int64_t k = own[i].begin; k < own[i].end; k++) {
            const struct param *p = &t->p[param_at(t, k)];
            double most = 0;
            for (int64_t j = p->offset; j < p->offset + p->n; j++)
                most = fmax(most, fabs((double)b->fixed[j]));
            worst = fmax(worst, fabs((double)(a->fixed[k] - b->fixed[k])) / fmax(most, 1));
        }
    return worst;
}

/* Scan mode is the wavefront to rounding: gradients and loss within 1e-5. */
static void compare_scan(const struct grid *g, const struct trial *t)
{
    int32_t windows[SEQUENCES * (CONTEXT + 1)];
    const struct dims d = t->dims;
    const struct pass_opts po = opts_of(t);
    struct model *m;
    struct outcome one, many, other;

    all_true(&world, model_new(&m, &d) == OK);
    model_init(m, 3);
    fill_tokens(windows, SEQUENCES * (CONTEXT + 1), d.V);
    struct reducer *red = reducer_new(g, m);
    outcome_init(&one, m, REDUCE_EXACT, pass_units(&po));
    outcome_init(&many, m, REDUCE_EXACT, pass_units(&po));
    alone(&one, m, &po, windows);
    on_grid(&many, g, m, &po, windows, red);
    all_true(&world, many.g.bad == INT64_MAX && !many.sums.bad);
    all_true(&world, own_off(red, &many.g, &one.g) < (sizeof(real) == 8 ? 1e-11 : 1e-5));
    const double loss = fixed_value(sum_of(many.sums.loss)), want = fixed_value(one.sums.loss);
    all_true(&world, fabs(loss - want) < 1e-6 * fabs(want));

    /* The comparison can fail: one decay a little slower. */
    m->w[m->params.p[2].offset] += (real)0.1;
    outcome_init(&other, m, REDUCE_EXACT, pass_units(&po));
    alone(&other, m, &po, windows);
    double off = own_off(red, &many.g, &other.g);
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &off, 1, MPI_DOUBLE, MPI_MAX, world.comm));
    all_true(&world, off > 1e-3);
    grad_done(&one.g);
    grad_done(&many.g);
    grad_done(&other.g);
    reducer_free(red);
    model_free(m);
}

static void every_grid_is_one_rank_bitwise(void **state)
{
    (void)state;
    ttt_add("ttt_gated", &gated);
    for (int P = 1; P <= 5 && P <= world.size; P++)
        for (int S = 1; S <= 6 && P * S <= world.size; S++) {
            if (world.size % (P * S)) continue;
            const struct grid_shape shape = { world.size / (P * S), P, S };
            struct grid g;
            all_true(&world, grid_init(&g, &world, &shape) == OK);
            compare_wavefront(&g);
            if (S > 1) {
                compare_heads(&g);
                compare_scan(&g, &(struct trial){ mamba(4), 1, REMAT_NONE, SEQ_SCAN });
                compare_scan(&g, &(struct trial){ mamba(SLICE + 3), 2, REMAT_BLOCK, SEQ_SCAN });
            }
            grid_done(&g);
        }
}

/* Bytes of all ranks after a step on S ranks of one sequence. */
static struct exec_bytes bytes_of_step(const struct dims *d, enum sequence_mode mode,
                                       enum remat remat)
{
    int32_t windows[SEQUENCES * (CONTEXT + 1)];
    const struct grid_shape shape = { 1, 1, world.size };
    const struct pass_opts po = { .context = CONTEXT, .slice_tokens = SLICE, .micro_batch = 2,
                                  .inner_group = 1, .mask_token = MASK, .sequence_mode = mode,
                                  .remat = remat };
    int64_t valid[SEQUENCES] = { CONTEXT, CONTEXT, CONTEXT, CONTEXT, CONTEXT };
    struct grid g;
    struct model *m;
    struct outcome o;

    all_true(&world, grid_init(&g, &world, &shape) == OK);
    all_true(&world, model_new(&m, d) == OK);
    model_init(m, 3);
    fill_tokens(windows, SEQUENCES * (CONTEXT + 1), d->V);
    struct reducer *red = reducer_new(&g, m);
    outcome_init(&o, m, REDUCE_EXACT, pass_units(&po));
    reducer_attach(red, &o.g);
    struct step_exec *e = step_exec_new(&g, m, &po, SEQUENCES);
    step_exec_run(e, windows + step_exec_share(e)->u0 * SLICE, CONTEXT + 1, valid, &o.g, red,
                  &o.sums, NULL);
    reducer_end(red);
    const struct exec_bytes b = step_exec_bytes(e);
    int64_t sum[2] = { b.carries, b.heads };
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, sum, 2, MPI_INT64_T, MPI_SUM, world.comm));
    step_exec_free(e);
    reducer_free(red);
    grad_done(&o.g);
    model_free(m);
    grid_done(&g);
    return (struct exec_bytes){ .carries = sum[0], .heads = sum[1] };
}

/* What one rank sends along S in forward and backward of one sequence: twice
 *     (S - 1) L (state + 2 (w - 1) d) floats over all ranks,
 * state = H (F F + F) of TTT-Linear, H (8 F F + 5 F) of TTT-MLP: reference volume of the hand-off. */
static void carries_have_the_promised_volume(void **state)
{
    (void)state;
    if (world.size > 6) return;
    for (int mlp = 0; mlp < 2; mlp++) {
        const struct dims d = dims_of(mlp ? "ttt_mlp" : "ttt_linear", MAMBA, 2, 4);
        const int64_t F = head_width(&d), fast = mlp ? 8 * F * F + 5 * F : F * F + F;
        const int64_t each = d.H * fast + 2 * (d.conv_width - 1) * d.C;
        const struct exec_bytes b = bytes_of_step(&d, SEQ_WAVEFRONT, REMAT_NONE);
        all_true(&world, b.carries == 2 * SEQUENCES * (world.size - 1) * d.L * each *
                                      (int64_t)sizeof(real));
        all_true(&world, b.heads == 0);
    }
}

/* Attention: keys and values of all tokens before a boundary, and their gradients back. */
static void a_past_has_the_promised_volume(void **state)
{
    (void)state;
    const struct dims d = of_public(4, 2);
    const int S = world.size, units = (CONTEXT + SLICE - 1) / SLICE;
    int64_t tokens = 0;

    if (S > 6) return;
    for (int s = 1; s < S; s++) tokens += part_begin(units, S, s) * SLICE;
    const struct exec_bytes b = bytes_of_step(&d, SEQ_WAVEFRONT, REMAT_NONE);
    all_true(&world, b.carries == 2 * SEQUENCES * d.L * tokens * 2 * d.Hkv * head_width(&d) *
                                  (int64_t)sizeof(real));
}

/* Heads mode: forward and backward of one sequence each  L (4 C + H) N (S - 1) / S  over all ranks,
 * scheme E of the reference with its gate; forward once more when blocks are computed twice.
 * Halos go to neighbours. */
static void heads_have_the_promised_volume(void **state)
{
    (void)state;
    const int S = world.size;

    if (S < 2 || S > 6) return;
    struct dims d = dims_of("ttt_linear", MAMBA, S, 4);
    d.C = 4 * S;
    const int64_t layer = (4 * d.C + d.H) * (int64_t)CONTEXT * (S - 1) / S;
    const int64_t halos = 2 * (d.conv_width - 1) * d.C * (S - 1);
    for (int remat = REMAT_NONE; remat <= REMAT_BLOCK; remat++) {
        const int64_t n = SEQUENCES * d.L * (remat == REMAT_BLOCK ? 3 : 2) * (int64_t)sizeof(real);
        const struct exec_bytes b = bytes_of_step(&d, SEQ_HEADS, (enum remat)remat);
        all_true(&world, b.heads == n * layer);
        all_true(&world, b.carries == n * halos);
    }
}

/* Scan mode: from rank to rank the halo and the map of the state, 2 numbers for each of its, there
 * and back; forward once more when blocks are computed twice. */
static void a_scan_has_the_promised_volume(void **state)
{
    (void)state;
    const struct dims d = mamba(4);
    const int64_t D = d.expand * d.C, each = (d.conv_width - 1) * D + 2 * d.state * D;

    if (world.size > 6) return;
    for (int remat = REMAT_NONE; remat <= REMAT_BLOCK; remat++) {
        const struct exec_bytes b = bytes_of_step(&d, SEQ_SCAN, (enum remat)remat);
        const int ways = world.size == 1 ? 0 : remat == REMAT_BLOCK ? 3 : 2;
        all_true(&world, b.carries == ways * SEQUENCES * (world.size - 1) * d.L * each *
                                      (int64_t)sizeof(real));
        all_true(&world, b.heads == 0);
    }
}

/* Owners' new weights reach every holder. */
static void gathered_weights_are_the_owners(void **state)
{
    (void)state;
    const struct grid_shape shape = { world.size, 1, 1 };
    const struct dims d = dims_of("ttt_linear", MAMBA, 2, 4);
    const struct span *own, *held;
    struct grid g;
    struct model *m;

    all_true(&world, grid_init(&g, &world, &shape) == OK);
    all_true(&world, model_new(&m, &d) == OK);
    struct reducer *red = reducer_new(&g, m);
    const int n = reducer_spans(red, &own), h = reducer_holds(red, &held);
    all_true(&world, h == 1 && held[0].begin == 0 && held[0].end == m->params.total);
    for (int i = 0; i < n; i++)
        for (int64_t k = own[i].begin; k < own[i].end; k++) m->w[k] = (real)(k % 8191 + 1);
    reducer_gather(red, m->w);
    int good = 1;
    for (int64_t k = 0; k < m->params.total; k++) good &= m->w[k] == (real)(k % 8191 + 1);
    all_true(&world, good);
    reducer_free(red);
    model_free(m);
    grid_done(&g);
}

static void wrong_products_are_refused(void **state)
{
    (void)state;
    const struct grid_shape shape = { world.size, 2, 1 };
    struct grid g;
    struct grid_shape parsed;
    all_true(&world, grid_init(&g, &world, &shape) == ERR_CONFIG);
    all_true(&world, grid_parse(&parsed, "2x3x4") == OK && parsed.D == 2 && parsed.P == 3 &&
                     parsed.S == 4);
    all_true(&world, grid_parse(&parsed, "2x3") == ERR_CONFIG);
    all_true(&world, grid_parse(&parsed, "2x3x4x") == ERR_CONFIG);
    all_true(&world, grid_parse(&parsed, "0x3x4") == ERR_CONFIG);
}

static const struct CMUnitTest tests[] = {
    mpi_test(every_grid_is_one_rank_bitwise),
    mpi_test(carries_have_the_promised_volume),
    mpi_test(a_past_has_the_promised_volume),
    mpi_test(heads_have_the_promised_volume),
    mpi_test(a_scan_has_the_promised_volume),
    mpi_test(gathered_weights_are_the_owners),
    mpi_test(wrong_products_are_refused),
};

MPITEST_MAIN(tests)
