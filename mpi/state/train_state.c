/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/state/train_state.h"

#include <math.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/tiling.h"
#include "src/store/state_tensors.h"

static size_t moment_bytes(const struct train_state *s)
{
    return s->bf16 ? sizeof(bf16) : sizeof(real);
}

/* Zero moments of n elements. */
static void new_moments(struct train_state *s, int64_t n)
{
    mem_free(s->m);
    mem_free(s->v);
    s->m = mem_new(n, moment_bytes(s), "first moments");
    s->v = mem_new(n, moment_bytes(s), "second moments");
}

int train_state_new(struct train_state *s, const struct dims *d, int64_t seed,
                    const struct grid *g)
{
    *s = (struct train_state){ .seed = seed, .grid = g };
    const int rc = model_new(&s->model, d);
    if (rc != OK) return rc;
    s->reducer = reducer_new(g, s->model);
    new_moments(s, reducer_own(s->reducer));
    return OK;
}

void train_state_changed(struct train_state *s)
{
    const struct span *held;
    const int n = reducer_holds(s->reducer, &held);
    model_weights_changed(s->model, held, n);
}

int train_state_adam(const struct train_state *s, const struct span **spans)
{
    return s->soap ? soap_rest(s->soap, spans) : reducer_spans(s->reducer, spans);
}

void train_state_optim(struct train_state *s, const struct optim_opts *o)
{
    const struct span *adam;
    int64_t n = 0;

    if (o->state == MOMENTS_BF16) {
        s->bf16 = 1;
        new_moments(s, reducer_own(s->reducer));
    }
    if (o->kind != OPTIM_SOAP) return;
    s->soap = soap_new(s->grid, s->model, s->reducer, o);
    for (int i = train_state_adam(s, &adam) - 1; i >= 0; i--) n += adam[i].end - adam[i].begin;
    new_moments(s, n);
}

void train_state_update(struct train_state *s, const struct optim_opts *o, const struct grad *g,
                        double factor)
{
    const struct span *adam;
    const int n = train_state_adam(s, &adam);
    int64_t at = 0;

    for (int i = 0; i < n; i++) {
        const struct adamw u = { .opts = o, .grad = g, .w = s->model->w, .begin = adam[i].begin,
                                 .end = adam[i].end, .t = s->step, .factor = factor };
        if (s->bf16)
            adamw_update_bf16(&u, (bf16 *)s->m + at, (bf16 *)s->v + at, (uint64_t)s->seed);
        else
            adamw_update(&u, (real *)s->m + at, (real *)s->v + at);
        at += adam[i].end - adam[i].begin;
    }
    if (s->soap) soap_step(s->soap, g, s->model->w, s->step, factor);
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
    soap_free(s->soap);
    reducer_free(s->reducer);
    model_free(s->model);
    mem_free(s->m);
    mem_free(s->v);
    *s = (struct train_state){ 0 };
}

struct tensor *train_state_tensors(const struct train_state *s, int *count)
{
    struct tensor *list = state_tensors(count, &s->model->params, s->bf16,
                                        s->soap ? soap_max_dim(s->soap) : 0);
    check(list);  /* conf_limits.c has refused more */
    return list;
}

/* Tiles of kind `kind` (0: weights, 1, 2: moments) in spans of the flat array, appended to places,
 * which may be NULL.  base: elements of `each` bytes; compact: span after span, and nothing between
 * them. */
static int64_t add_places(struct place *places, const struct param_table *t, int kind, void *base,
                          size_t each, const struct span *span, int spans, int compact)
{
    int64_t n = 0, before = 0;
    int i = 0;

    for (int k = 0; k < spans; before += span[k].end - span[k].begin, k++) {
        for (; i < t->count && t->p[i].offset + t->p[i].n <= span[k].begin; i++) { }
        for (int j = i; j < t->count && t->p[j].offset < span[k].end; j++) {
            const struct tiling c = tiling_of(t->p[j].shape, t->p[j].ndim);
            for (int64_t tile = 0; tile < tiling_count(&c); tile++) {
                int64_t at, size;
                tiling_at(&c, tile, &at, &size);
                at += t->p[j].offset;
                if (at < span[k].begin || at >= span[k].end) continue;
                if (places)
                    places[n] = (struct place){
                        .tensor = kind * t->count + j, .tile = tile,
                        .raw = (char *)base + (int64_t)each *
                                              (compact ? before + at - span[k].begin : at),
                    };
                n++;
            }
        }
    }
    return n;
}

struct place *train_state_places(const struct train_state *s, int held, int64_t *count)
{
    const struct param_table *t = &s->model->params;
    const struct span *adam, *mine;
    const int n_adam = train_state_adam(s, &adam);
    const int n_mine = held ? reducer_holds(s->reducer, &mine) : reducer_spans(s->reducer, &mine);
    struct place *list = NULL;

    for (int fill = 0; fill < 2; fill++) {
        int64_t n = add_places(list, t, 0, s->model->w, sizeof(real), mine, n_mine, 0);
        n += add_places(list ? list + n : NULL, t, 1, s->m, moment_bytes(s), adam, n_adam,
                        1);
        n += add_places(list ? list + n : NULL, t, 2, s->v, moment_bytes(s), adam, n_adam,
                        1);
        if (s->soap) n += soap_places(s->soap, list ? list + n : NULL);
        *count = n;
        if (!fill) list = mem_new(n, sizeof *list, "tiles of a state");
    }
    return list;
}

void train_state_leave_out(struct train_state *s, const char *samples)
{
    struct ranges out;
    check(ranges_parse(&out, samples));
    for (int i = 0; i < out.n; i++) check(ranges_add(&s->skip, out.r[i].lo, out.r[i].hi));
}

json_t *train_state_scalars(const struct train_state *s)
{
    char skip[RANGES_TEXT];
    json_t *o = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "step", s->step, "sample", s->sample,
                          "tokens", s->tokens, "skipped", s->skipped, "bad_run", s->bad_run,
                          "seed", s->seed);
    check(o);
    if (s->soap) json_object_set_new(o, "soap_updates", json_integer(*soap_updates(s->soap)));
    /* Runs without these have the roots that they always had. */
    if (s->skip.n) json_object_set_new(o, "skip", json_string(ranges_show(skip, &s->skip)));
    if (s->spike.n)
        json_object_set_new(o, "spike", json_pack("{s:I,s:f,s:f}", "n", s->spike.n, "mean",
                                                  s->spike.mean, "dev", s->spike.dev));
    return o;
}

static int scalar(int64_t *x, const struct ckpt *c, const char *name)
{
    const json_t *v = json_object_get(ckpt_scalars(c), name);
    if (!json_is_integer(v))
        return fail(ERR_CONFIG, "%s is not the state of a training run: no counter '%s'",
                    ckpt_path(c), name);
    *x = json_integer_value(v);
    return OK;
}

/* What a run has that leaves samples out or watches its loss. */
static int optional_scalars(struct train_state *s, const struct ckpt *c)
{
    const json_t *skip = json_object_get(ckpt_scalars(c), "skip");
    const json_t *spike = json_object_get(ckpt_scalars(c), "spike");

    s->skip.n = 0;
    s->spike = (struct spike){ .n = json_integer_value(json_object_get(spike, "n")),
                               .mean = json_number_value(json_object_get(spike, "mean")),
                               .dev = json_number_value(json_object_get(spike, "dev")) };
    if (!skip || (json_is_string(skip) && ranges_parse(&s->skip, json_string_value(skip))))
        return OK;
    return fail(ERR_CONFIG, "%s is not the state of a training run: its list of samples to leave "
                "out can't be read", ckpt_path(c));
}

/* Samples that are left out before the next one. */
static int64_t left_out(const struct train_state *s)
{
    int64_t n = 0;
    for (int i = 0; i < s->skip.n && s->skip.r[i].lo < s->sample; i++)
        n += (s->skip.r[i].hi < s->sample ? s->skip.r[i].hi : s->sample) - s->skip.r[i].lo;
    return n;
}

static int outside(int64_t x, int64_t lo, int64_t hi) { return x < lo || x > hi; }

/* Could a run have come to these counters?  Every step reads a sample or more, a sample has a token
 * or more.  Whoever counts on from here must not overflow. */
static int check_scalars(const struct train_state *s, const struct ckpt *c)
{
    const int64_t updates = s->soap ? *soap_updates(s->soap) : 0;
    const struct spike *p = &s->spike;
    const char *wrong = NULL;

    if (s->step != ckpt_step(c)) wrong = "step";
    else if (outside(s->tokens, s->step, CKPT_COUNTER - 1)) wrong = "tokens";
    else if (outside(s->sample, s->step, CKPT_COUNTER - 1) || s->sample - left_out(s) > s->tokens)
        wrong = "sample";
    else if (outside(s->skipped, 0, s->step)) wrong = "skipped";
    else if (outside(s->bad_run, 0, s->skipped)) wrong = "bad_run";
    else if (s->seed < 0) wrong = "seed";
    else if (outside(updates, 0, s->step)) wrong = "soap_updates";
    else if (outside(p->n, 0, CKPT_COUNTER - 1) || !isfinite(p->mean) || !(p->dev >= 0) ||
             !isfinite(p->dev))
        wrong = "spike";
    if (!wrong) return OK;
    return fail(ERR_DATA, "%s: its counters don't fit each other: no run has this '%s' (step %lld, "
                "sample %lld, tokens %lld, skipped %lld, bad_run %lld)", ckpt_path(c), wrong,
                (long long)s->step, (long long)s->sample, (long long)s->tokens,
                (long long)s->skipped, (long long)s->bad_run);
}

/* Number of a tensor in the checkpoint, or ERR_CONFIG. */
static int number_in(const struct tensor *want, const struct ckpt *c)
{
    char asked[TENSOR_SHAPE_TEXT], found[TENSOR_SHAPE_TEXT];
    const int k = ckpt_find(c, want->name);

    if (k < 0) return fail(ERR_CONFIG, "%s has no tensor %s", ckpt_path(c), want->name);
    const struct tensor *x = ckpt_tensor(c, k);
    if (x->dtype != want->dtype || !tensor_same_shape(x, want))
        return fail(ERR_CONFIG, "%s: %s is %s %s, this model's is %s %s", ckpt_path(c), want->name,
                    dtype_name(x->dtype), tensor_shape_text(found, x->ndim, x->shape),
                    dtype_name(want->dtype), tensor_shape_text(asked, want->ndim, want->shape));
    return k;
}

int train_state_load(struct train_state *s, struct ckpt *c)
{
    int count, rc = OK;
    int64_t n;
    struct tensor *list = train_state_tensors(s, &count);
    struct place *want = train_state_places(s, 1, &n);
    int *number = mem_new(count, sizeof *number, "tensors of a checkpoint");

    TRY(scalar(&s->step, c, "step"));
    TRY(scalar(&s->sample, c, "sample"));
    TRY(scalar(&s->tokens, c, "tokens"));
    TRY(scalar(&s->skipped, c, "skipped"));
    TRY(scalar(&s->bad_run, c, "bad_run"));
    TRY(scalar(&s->seed, c, "seed"));
    if (s->soap) TRY(scalar(soap_updates(s->soap), c, "soap_updates"));
    TRY(optional_scalars(s, c));
    TRY(check_scalars(s, c));
    for (int i = 0; i < count; i++) {
        number[i] = number_in(&list[i], c);
        if (number[i] < 0) TRY(number[i]);
    }
    for (int64_t k = 0; k < n; k++) want[k].tensor = number[want[k].tensor];
    TRY(ckpt_read_tiles(c, want, n));
out:
    mem_free(number);
    mem_free(want);
    mem_free(list);
    return rc;
}
