/* SPDX-License-Identifier: Apache-2.0 */
#include "src/forecast/memory.h"

#include <omp.h>

#include "src/base/human.h"
#include "src/base/mem.h"
#include "src/base/part.h"
#include "src/base/status.h"
#include "src/infer/eval.h"
#include "src/infer/eval_pass.h"
#include "src/model/bucket.h"
#include "src/plan/step_plan.h"

/* Open MPI 4.1: each rank that has others on its node makes a segment of shared memory
 * (`ompi_info --all`: btl_vader_segment_size), in which are its small messages.  A run of 8 ranks
 * touched 1 to 3 MiB of it (RssShmem); large messages go straight from array to array. */
#define MESSAGES ((int64_t)4 << 20)

/* A model of a million parameters on one rank, resident bytes less what it allocated: code of
 * program and libraries 18 MiB, their data, threads and lists 16 MiB. */
#define PROGRAM ((int64_t)34 << 20)

static int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }

int memory_plan_init(struct memory_plan *p, const struct run_shape *run)
{
    const struct pass_opts *o = &run->pass;
    const int L = run->dims.L;
    int rc;

    *p = (struct memory_plan){ .run = *run };
    TRY(model_shape(&p->shape, &run->dims));
    TRY(stage_plan(&(struct pass_bytes){ 0 }, &run->dims, o,
                   &(struct stage_part){ .u1 = pass_units(o), .l1 = L, .slots = 1 }));
    if ((double)run->sequences / o->micro_batch * L * pass_units(o) > STEP_OPERATIONS)
        TRY(fail(ERR_CONFIG, "a step of %lld sequences, each of %d units in %d layers, has more "
                 "operations than can be planned", (long long)run->sequences, pass_units(o), L));
    p->work = (struct step_shape){ .L = L, .cost = p->shape->cost, .U = pass_units(o),
                                   .sequences = (int)run->sequences,
                                   .micro_batch = o->micro_batch, .mode = o->sequence_mode };
    p->cut = mem_new(L + 2, sizeof *p->cut, "cuts");
    p->longest = mem_new(L + 2, sizeof *p->longest, "cuts");
out:
    return rc;
}

void memory_plan_done(struct memory_plan *p)
{
    model_free(p->shape);
    mem_free(p->cut);
    mem_free(p->longest);
    mem_free(p->cuts);
    soap_plan_done(&p->soap);
    mem_free(p->known);
    *p = (struct memory_plan){ .shape = NULL };
}

/* Where the elements of bucket b are cut over its holders. */
static void cut_bucket(struct memory_plan *p, int b)
{
    const struct grid_shape *g = &p->grid;
    int n = 0, place;

    for (int stage = 0; stage < g->P && !n; stage++) {
        struct share first;
        share_of(&first, g, &p->work, grid_rank(g, 0, stage, 0));
        n = bucket_holders(g, p->work.L, p->run.dims.tied, b, &first, &place);
    }
    bucket_cut(p->cut[b], p->shape, b, n);
    p->longest[b] = 0;
    if (n > 1)
        for (int i = 0; i < n; i++)
            p->longest[b] = max(p->longest[b], p->cut[b][i + 1] - p->cut[b][i]);
}

int memory_plan_grid(struct memory_plan *p, const struct grid_shape *g)
{
    const int buckets = p->work.L + 2, most = 2 * g->D * g->S;
    const int rc = share_check(g, &p->work);

    if (rc != OK) return rc;
    p->grid = *g;
    mem_free(p->cuts);
    p->cuts = mem_new((int64_t)buckets * (most + 1), sizeof *p->cuts, "cuts");
    for (int b = 0; b < buckets; b++) {
        p->cut[b] = p->cuts + (int64_t)b * (most + 1);
        cut_bucket(p, b);
    }
    soap_plan_done(&p->soap);
    if (p->run.soap.every) soap_plan_init(&p->soap, p->shape, &p->run.soap, g);
    return OK;
}

/* --- what a rank holds and owns ------------------------------------------------- */

/* Elements, padding included. */
struct elements {
    int64_t      held, own;   /* of its buckets, of its share of them     */
    int64_t      sums;        /* that arrive from others at once          */
    int64_t      operands;    /* bytes of bf16 operands                   */
};

static struct elements elements_of(const struct memory_plan *p, int rank)
{
    const int L = p->work.L;
    struct span *held = mem_new(L + 2, sizeof *held, "buckets");
    struct elements e = { 0 };
    struct share a;
    int spans = 0, place;

    share_of(&a, &p->grid, &p->work, rank);
    for (int b = 0; b < L + 2; b++) {
        const int64_t *cut = p->cut[b];
        const int n = bucket_holders(&p->grid, L, p->run.dims.tied, b, &a, &place);
        if (!n) continue;
        e.held += cut[n] - cut[0];
        e.own += cut[place + 1] - cut[place];
        e.sums += p->longest[b];
        held[spans++] = (struct span){ cut[0], cut[n] };
    }
    if (p->run.pass.bf16)
        e.operands = bf16_weights_bytes(&p->shape->params, held, spans, 1);
    mem_free(held);
    return e;
}

/* Bytes of weights and moments that a rank owns; moments [out] those of them, scratch [out]. */
static int64_t state_of(int64_t *moments, int64_t *scratch, const struct memory_plan *p, int rank,
                        int64_t own)
{
    const int64_t each = p->run.pass.bf16_moments ? sizeof(bf16) : sizeof(real);

    *moments = 2 * own * each;
    *scratch = 0;
    if (p->run.soap.every)
        soap_bytes(moments, scratch, &p->soap, rank, own, omp_get_max_threads());
    return own * (int64_t)sizeof(real) + *moments;
}

/* What a save copies: a rank its own state, which it must where it sends it and may (own_copy)
 * where it writes it, and then that of the others whose file it writes. */
static void add_copies(struct memory *m, const struct memory_plan *p, int rank)
{
    const int ranks = grid_ranks(&p->grid);
    const int files = p->run.writers < ranks ? p->run.writers : ranks;
    int64_t *snapshot = &m->line[MEMORY_SNAPSHOT], moments, scratch;
    int file = 0;

    if (!files) return;
    while (part_begin(ranks, files, file + 1) <= rank) file++;
    if (rank > part_begin(ranks, files, file)) {
        *snapshot = m->state;
        return;
    }
    if (p->run.background) m->own_copy = m->state;
    *snapshot = m->own_copy;
    for (int i = rank + 1; i < part_begin(ranks, files, file + 1); i++)
        *snapshot += state_of(&moments, &scratch, p, i, elements_of(p, i).own);
}

/* --- what a rank computes with ---------------------------------------------------- */

static int same_part(const struct stage_part *a, const struct stage_part *b)
{
    return a->l0 == b->l0 && a->l1 == b->l1 && a->u0 == b->u0 && a->u1 == b->u1 &&
           a->slots == b->slots && a->s == b->s && a->S == b->S &&
           a->forward_only == b->forward_only;
}

static int same_pass(const struct pass_opts *a, const struct pass_opts *b)
{
    return a->context == b->context && a->slice_tokens == b->slice_tokens &&
           a->micro_batch == b->micro_batch && a->remat == b->remat;
}

static int has_past(const struct model *m)
{
    for (int l = 0; l < m->kinds && l < m->dims.L; l++)
        if (block_past_reals(&m->blocks[l])) return 1;
    return 0;
}

/* Bytes of a stage; few of them differ, because only the last stage has more than its layers,
 * and a chunk of the wavefront is like every other of its length. */
static struct pass_bytes stage_bytes(struct memory_plan *p, const struct pass_opts *o,
                                     struct stage_part part)
{
    const int kinds = p->shape->kinds, before = part.l0 / kinds * kinds;

    if (part.l1 < p->work.L) part.l1 -= before, part.l0 -= before;
    /* A past has room for all that is before, too. */
    if (!part.S && !has_past(p->shape)) part.u1 -= part.u0, part.u0 = 0;
    for (int i = 0; i < p->n_known; i++)
        if (same_part(&p->known[i].part, &part) && same_pass(&p->known[i].pass, o))
            return p->known[i].bytes;
    if (p->n_known == p->room) {
        p->room = 2 * p->room + 16;
        p->known = mem_resize(p->known, p->room, sizeof *p->known, "stages");
    }
    struct stage_bytes *k = &p->known[p->n_known++];
    *k = (struct stage_bytes){ .part = part, .pass = *o };
    check(stage_plan(&k->bytes, &p->run.dims, o, &part) == OK);
    return k->bytes;
}

/* A forward-only pass over B windows at a time, on this rank. */
static int64_t forward_bytes(struct memory_plan *p, struct pass_opts *o, int rank)
{
    const struct step_shape work = { .L = p->work.L, .cost = p->work.cost, .U = pass_units(o),
                                     .sequences = p->grid.D,
                                     .micro_batch = o->micro_batch };
    struct share a;

    o->bf16 = p->run.pass.bf16;
    share_of(&a, &p->grid, &work, rank);
    const struct stage_part part = { .l0 = a.l0, .l1 = a.l1, .u0 = a.u0, .u1 = a.u1, .slots = 1,
                                     .forward_only = 1 };
    const struct pass_bytes b = stage_bytes(p, o, part);
    return b.tape + b.logits + b.scratch;
}

/* Of an evaluation, or of the probe of a save. */
static int64_t evaluation_bytes(struct memory_plan *p, int rank)
{
    const struct run_shape *r = &p->run;
    const struct grid_shape *g = &p->grid;
    const struct eval_opts e = { .context = r->eval_context, .mask_token = -1 };
    struct pass_opts o = canary_pass(&r->dims, &r->pass);
    int64_t bytes = r->writers ? forward_bytes(p, &o, rank) : 0;

    if (!r->evaluates) return bytes;
    if (grid_ranks(g) == 1) return max(bytes, eval_memory(&r->dims, r->pass.bf16, &e));
    const int64_t windows = r->eval_tokens ? (r->eval_tokens + e.context - 1) / e.context
                                           : INT32_MAX;
    if (eval_pass(&o, r->dims.K, e.context, windows, g->D, g->S) == OK)
        bytes = max(bytes, forward_bytes(p, &o, rank));
    return bytes;
}

void memory_of(struct memory *m, struct memory_plan *p, int rank)
{
    const struct elements e = elements_of(p, rank);
    const int64_t each = p->run.reduction == REDUCE_EXACT ? sizeof(int64_t) : sizeof(real);
    int64_t soap, *line = m->line;
    struct step_plan plan = { .count = 0 };

    *m = (struct memory){ .total = 0 };
    share_of(&plan.share, &p->grid, &p->work, rank);
    plan.slots = step_slots(&p->grid, &p->work, &plan.share);
    const struct pass_bytes pass =
        stage_bytes(p, &p->run.pass, stage_part_of(&plan, &p->grid, &p->run.pass));
    m->state = state_of(&line[MEMORY_MOMENTS], &soap, p, rank, e.own);
    line[MEMORY_WEIGHTS] = e.held * (int64_t)sizeof(real) + e.operands;
    line[MEMORY_GRADIENTS] = e.held * each;
    line[MEMORY_SUMS] = e.sums * (int64_t)sizeof(int64_t);
    line[MEMORY_TAPE] = pass.tape;
    line[MEMORY_LOGITS] = pass.logits;
    line[MEMORY_SCRATCH] = pass.scratch + soap;
    line[MEMORY_EVALUATION] = evaluation_bytes(p, rank);
    add_copies(m, p, rank);
    for (int i = 0; i < MEMORY_MESSAGES; i++) m->allocated += line[i];
    line[MEMORY_MESSAGES] = grid_ranks(&p->grid) > 1 ? MESSAGES : 0;
    line[MEMORY_PROGRAM] = PROGRAM;
    m->total = m->allocated + line[MEMORY_MESSAGES] + line[MEMORY_PROGRAM];
}

int memory_most(struct memory *m, struct memory_plan *p)
{
    int most = 0;

    memory_of(m, p, 0);
    for (int i = 1; i < grid_ranks(&p->grid); i++) {
        struct memory other;
        memory_of(&other, p, i);
        if (other.total <= m->total) continue;
        *m = other;
        most = i;
    }
    return most;
}

void memory_in_place(struct memory *m)
{
    m->total -= m->own_copy;
    m->allocated -= m->own_copy;
    m->line[MEMORY_SNAPSHOT] -= m->own_copy;
    m->own_copy = 0;
}

int64_t memory_room(int64_t machine) { return machine - machine / 16; }

const char *memory_name(enum memory_line line)
{
    static const char *const names[MEMORY_LINES] = {
        "weights", "gradients", "sums", "moments", "tape", "logits", "scratch", "evaluation",
        "snapshot", "messages", "program",
    };
    return names[line];
}

char *memory_text(const struct memory *m, int64_t n_params)
{
    char size[HUMAN_TEXT];
    char *text = mem_format("  parameters %12lld", (long long)n_params);

    for (int i = 0; i <= MEMORY_LINES; i++) {
        const int64_t bytes = i < MEMORY_LINES ? m->line[i] : m->total;
        char *more = mem_format("%s\n  %-10s %12s", text, i < MEMORY_LINES ? memory_name(i) : "sum",
                                human_bytes(size, bytes));
        mem_free(text);
        text = more;
    }
    return text;
}
