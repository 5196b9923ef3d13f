/* SPDX-License-Identifier: Apache-2.0 */
#include "src/model/pass.h"

#include "src/base/mem.h"
#include "src/model/stage.h"

/* One stage that has all layers and all units. */
struct pass {
    const struct dims *d;
    struct pass_opts   o;
    struct stage      *stage;
    int64_t           *valid;   /* (micro_batch) */
};

static struct stage_part all_of(const struct dims *d, const struct pass_opts *o)
{
    return (struct stage_part){ .l1 = d->L, .u1 = o->slice_tokens > 0 ? pass_units(o) : 0,
                                .slots = 1 };
}

int pass_plan(struct pass_bytes *bytes, const struct dims *d, const struct pass_opts *o)
{
    const struct stage_part all = all_of(d, o);
    return stage_plan(bytes, d, o, &all);
}

struct pass *pass_new(const struct model *m, const struct pass_opts *o)
{
    struct pass *p = mem_new(1, sizeof *p, "pass");
    const struct stage_part all = all_of(&m->dims, o);
    *p = (struct pass){ .d = &m->dims, .o = *o, .stage = stage_new(m, o, &all) };
    p->valid = mem_new(o->micro_batch, sizeof *p->valid, "pass");
    return p;
}

void pass_free(struct pass *p)
{
    if (!p) return;
    stage_free(p->stage);
    mem_free(p->valid);
    mem_free(p);
}

void pass_run(struct pass *p, struct grad *g, struct pass_sums *sums, const int32_t *windows,
              int B)
{
    const int units = pass_units(&p->o), L = p->d->L, stride = p->o.context + 1;
    struct stage *st = p->stage;

    for (int b = 0; b < B; b++) {
        p->valid[b] = stage_count_targets(windows + (int64_t)b * stride, p->o.context,
                                          p->o.mask_token);
        sums->targets += p->valid[b];
    }
    sums->sequences += B;
    stage_begin(st, 0, windows, stride, p->valid, 0, B);
    stage_start(st, 0);
    for (int u = 0; u < units; u++) {
        stage_embed(st, 0, u);
        for (int l = 0; l < L; l++) stage_forward(st, 0, l, u, sums);
        stage_head(st, 0, u, g, sums);
    }
    if (!g) return;
    for (int u = units - 1; u >= 0; u--) {
        for (int l = L - 1; l >= 0; l--) stage_backward(st, 0, l, u, g);
        stage_embed_backward(st, 0, u, g);
    }
    for (int l = L - 1; l >= 0; l--) stage_start_backward(st, 0, l, g);
    grad_end(g, 0, g->table->total);
}
