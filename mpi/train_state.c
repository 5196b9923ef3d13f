#include "mpi/train_state.h"

#include <stdio.h>

#include "src/base/mem.h"
#include "src/base/status.h"

int train_state_new(struct train_state *s, const struct dims *d, int64_t seed,
                    const struct grid *g)
{
    *s = (struct train_state){ .seed = seed, .grid = g };
    const int rc = model_new(&s->model, d);
    if (rc != OK) return rc;
    s->reducer = reducer_new(g, s->model);
    s->m = mem_new(reducer_own(s->reducer), sizeof *s->m, "first moments");
    s->v = mem_new(reducer_own(s->reducer), sizeof *s->v, "second moments");
    return OK;
}

void train_state_init(struct train_state *s, int64_t seed)
{
    const struct param_table *t = &s->model->params;
    const struct span *held;
    const int n = reducer_holds(s->reducer, &held);

    for (int i = 0; i < t->count; i++)
        for (int k = 0; k < n; k++)
            if (t->p[i].offset >= held[k].begin && t->p[i].offset < held[k].end)
                param_init_one(s->model->w, &t->p[i], (uint64_t)seed);
}

void train_state_done(struct train_state *s)
{
    reducer_free(s->reducer);
    model_free(s->model);
    mem_free(s->m);
    mem_free(s->v);
    *s = (struct train_state){ 0 };
}

/* All tensors of a state: three a parameter.  A counted array. */
static struct tensor *tensors_of(const struct train_state *s)
{
    const struct param_table *t = &s->model->params;
    const struct { const char *prefix; real *data; } kind[3] = {
        { "", s->model->w }, { "adam.m/", s->m }, { "adam.v/", s->v }
    };
    struct tensor *list = mem_new(3 * (int64_t)t->count, sizeof *list, "list of tensors");

    for (int k = 0; k < 3; k++)
        for (int i = 0; i < t->count; i++) {
            const struct param *p = &t->p[i];
            struct tensor *x = &list[k * t->count + i];
            snprintf(x->name, sizeof x->name, "%s%s", kind[k].prefix, p->name);
            x->dtype = DT_REAL;
            x->ndim = p->ndim;
            for (int j = 0; j < p->ndim; j++) x->shape[j] = p->shape[j];
            x->data = kind[k].data + p->offset;
        }
    return list;
}

int train_state_save(const struct train_state *s, const char *dir, json_t *info,
                     const struct ckpt_opts *opts, struct hash *root)
{
    struct tensor *list = tensors_of(s);
    json_t *scalars = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "step", s->step, "sample", s->sample,
                                "tokens", s->tokens, "skipped", s->skipped, "bad_run", s->bad_run,
                                "seed", s->seed);
    const struct ckpt_meta meta = { .step = s->step, .scalars = scalars, .info = info };

    check(scalars);
    const int rc = ckpt_save(dir, list, 3 * s->model->params.count, &meta, opts, root);
    json_decref(scalars);
    mem_free(list);
    return rc;
}

static int scalar(int64_t *x, const struct ckpt *c, const char *name)
{
    const json_t *v = json_object_get(ckpt_scalars(c), name);
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return fail(ERR_CONFIG, "%s is not the state of a training run: no counter '%s'",
                    ckpt_path(c), name);
    *x = json_integer_value(v);
    return OK;
}

static int tensor_in(const struct tensor *want, struct ckpt *c)
{
    char asked[TENSOR_SHAPE_TEXT], found[TENSOR_SHAPE_TEXT];
    const int k = ckpt_find(c, want->name);

    if (k < 0) return fail(ERR_CONFIG, "%s has no tensor %s", ckpt_path(c), want->name);
    const struct tensor *x = ckpt_tensor(c, k);
    if (x->dtype != want->dtype || !tensor_same_shape(x, want))
        return fail(ERR_CONFIG, "%s: %s is %s %s, this model's is %s %s", ckpt_path(c), want->name,
                    dtype_name(x->dtype), tensor_shape_text(found, x->ndim, x->shape),
                    dtype_name(want->dtype), tensor_shape_text(asked, want->ndim, want->shape));
    return ckpt_read(c, k, want->data);
}

int train_state_load(struct train_state *s, struct ckpt *c)
{
    struct tensor *list = tensors_of(s);
    const int count = 3 * s->model->params.count;
    int rc = OK;

    TRY(scalar(&s->step, c, "step"));
    TRY(scalar(&s->sample, c, "sample"));
    TRY(scalar(&s->tokens, c, "tokens"));
    TRY(scalar(&s->skipped, c, "skipped"));
    TRY(scalar(&s->bad_run, c, "bad_run"));
    TRY(scalar(&s->seed, c, "seed"));
    for (int i = 0; i < count; i++) TRY(tensor_in(&list[i], c));
out:
    mem_free(list);
    return rc;
}
