/* SPDX-License-Identifier: Apache-2.0 */
#include "src/model/model.h"

#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/kernels/gemm_bf16.h"
#include "src/kernels/proof.h"
#include "src/kernels/xent.h"
#include "src/layers/fit.h"
#include "src/layers/pattern.h"
#include "src/model/flops.h"

static void complain(void *ctx, struct fit_keys keys, const char *what)
{
    (void)ctx;
    fail(ERR_CONFIG, "%s: %s", keys.path[0], what);
}

/* p [out] */
static int check_dims(struct pattern *p, const struct dims *d)
{
    struct fit f = { .complain = complain };

    fit_dims(&f, d);
    return f.bad ? ERR_CONFIG : pattern_of(p, d->layer);
}

int model_check_window(const struct dims *d, int64_t tokens)
{
    if (!d->window || tokens <= d->window) return OK;
    return fail(ERR_CONFIG, "sequences of %lld tokens: the attention of this model sees the last %d "
                "(model.sliding_window), and that is not supported yet for longer sequences; read at "
                "most %d tokens at once (train.context, --context, --tokens)", (long long)tokens,
                d->window, d->window);
}

/* Matrices of normal numbers, not vectors, start orthogonal instead. */
static void start_orthogonal(struct param_table *t)
{
    for (int i = 0; i < t->count; i++) {
        struct param *p = &t->p[i];
        if (p->init == INIT_NORMAL && p->ndim >= 2 && p->shape[p->ndim - 2] > 1 &&
            p->shape[p->ndim - 1] > 1)
            p->init = INIT_ORTHOGONAL;
    }
}

static void lay_out(struct model *m, const struct pattern *pattern)
{
    const struct dims *d = &m->dims;
    const struct family *f = pattern->family;
    struct param_table *t = &m->params;
    char prefix[FAMILY_PREFIX];

    m->i_embed = param_add(t, "", f->embed, INIT_NORMAL, d->init_std, PARAM_SHAPE(d->V, d->C));
    t->p[m->i_embed].vocabulary = 1;
    for (int l = 0; l < d->L; l++) {
        const struct dims own = pattern_dims(pattern, d, l % pattern->n);
        block_params(&m->blocks[l], t, &own, pattern_layer(pattern, l), family_block(f, prefix, l));
    }
    m->i_norm = param_add(t, "", f->norm, INIT_ONE, 0, PARAM_SHAPE(d->C));
    m->i_head = m->i_embed;
    if (!d->tied)
        m->i_head = param_add(t, "", f->head, INIT_NORMAL, d->init_std, PARAM_SHAPE(d->V, d->C));
    t->p[m->i_head].vocabulary = 1;
    if (d->orthogonal) start_orthogonal(t);
}

/* FLOPs of a token of each block.  The context is the same for all runs: who holds which block
 * depends only on model and grid, so that training, evaluation and generation agree. */
static int64_t *block_costs(const struct model *m)
{
    int64_t *cost = mem_new(m->dims.L, sizeof *cost, "costs of blocks");
    for (int l = 0; l < m->dims.L; l++) cost[l] = 1 + (int64_t)flops_block(m, l, 2048);
    return cost;
}

int model_shape(struct model **out, const struct dims *d)
{
    struct pattern pattern;
    const int rc = check_dims(&pattern, d);

    *out = NULL;
    if (rc != OK) return rc;
    struct model *m = mem_new(1, sizeof *m, "model");
    m->dims = *d;
    m->kinds = pattern.n;
    m->has = pattern.has;
    m->blocks = mem_new(d->L, sizeof *m->blocks, "blocks");
    lay_out(m, &pattern);
    if (m->kinds > 1) m->cost = block_costs(m);
    *out = m;
    return OK;
}

int model_new(struct model **out, const struct dims *d)
{
    const int rc = model_shape(out, d);
    gemm_start();
    if (rc == OK)
        (*out)->w = mem_new((*out)->params.total, sizeof(real), "weights");
    return rc;
}

int model_layout(struct param_table *t, const struct dims *d)
{
    struct model *m;
    const int rc = model_shape(&m, d);
    *t = (struct param_table){ 0 };
    if (rc != OK) return rc;
    *t = m->params;
    m->params = (struct param_table){ 0 };
    model_free(m);
    return OK;
}

void model_free(struct model *m)
{
    if (!m) return;
    bf16_weights_free(m->bf16);
    param_done(&m->params);
    mem_free(m->blocks);
    mem_free(m->cost);
    mem_free(m->w);
    mem_free(m);
}

void model_init(struct model *m, uint64_t seed) { param_init(m->w, &m->params, seed); }

double model_flops(const struct model *m, int context)
{
    return 3 * (flops_blocks(m, context) + flops_head(m));
}

/* Rows of logits that are held at once. */
#define LOGIT_ROWS 256

void model_proof(struct proof_of *p, const struct dims *d, int in_bf16)
{
    struct pattern list;
    int i = 0;

    check(pattern_of(&list, d->layer) == OK);
    while (i < list.n && !(list.layer[i]->has & HAS_INNER)) i++;
    const struct dims own = pattern_dims(&list, d, i < list.n ? i : 0);
    *p = (struct proof_of){ .bf16 = in_bf16, .K = own.K, .F = head_width(&own) };
}

void model_use_bf16(struct model *m, int way_back)
{
    if (!m->bf16) m->bf16 = bf16_weights_new(&m->params, way_back);
}

void model_weights_changed(struct model *m, const struct span *spans, int n)
{
    if (m->bf16) bf16_weights_make(m->bf16, m->w, spans, n);
}

void model_all_weights_changed(struct model *m)
{
    model_weights_changed(m, &(struct span){ 0, m->params.total }, 1);
}

void model_logits(const struct model *m, real *logits, const real *x, int n, bf16 *rows)
{
    const int V = m->dims.V, C = m->dims.C;

    if (!m->bf16) {
        gemm(&(struct gemm){ .C = logits, .A = x, .B = m->w + m->params.p[m->i_head].offset,
                             .transpose_B = 1, .N = n, .M = V, .K = C });
        return;
    }
    bf16_rows(rows, x, C, n, C);
    gemm_bf16(&(struct gemm_bf16){ .C = logits, .rows = rows,
                                   .panels = m->bf16->w[m->i_head].forward,
                                   .N = n, .M = V, .K = C });
}

void model_next_logits(const struct model *m, real *logits, const real *x)
{
    const int V = m->dims.V, C = m->dims.C;
    if (m->bf16) gemm_bf16_row(logits, x, m->bf16->w[m->i_head].forward, V, C);
    else gemm_row(logits, x, m->w + m->params.p[m->i_head].offset, V, C);
}

static int rows_at_once(int n) { return n < LOGIT_ROWS ? n : LOGIT_ROWS; }

int64_t model_nll_bytes(const struct model *m, int n)
{
    const int most = rows_at_once(n);
    return (int64_t)most * m->dims.V * (int64_t)sizeof(real) +
           (m->bf16 ? bf16_rows_size(most, m->dims.C) * (int64_t)sizeof(bf16) : 0);
}

void model_nll(const struct model *m, double *nll, const real *x, const int32_t *target, int n)
{
    const struct dims *d = &m->dims;
    const int most = rows_at_once(n);
    real *logits = mem_new((int64_t)most * d->V, sizeof *logits, "logits");
    bf16 *rounded = mem_new(m->bf16 ? bf16_rows_size(most, d->C) : 0, sizeof *rounded, "logits");

    for (int i = 0, rows; i < n; i += rows) {
        rows = rows_at_once(n - i);
        model_logits(m, logits, x + (int64_t)i * d->C, rows, rounded);
        xent_forward(nll + i, logits, target + i, rows, d->V);
    }
    mem_free(rounded);
    mem_free(logits);
}
