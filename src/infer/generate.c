/* SPDX-License-Identifier: Apache-2.0 */
#include "src/infer/generate.h"

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/status.h"

static int check_prompt(const struct model *m, const int32_t *prompt, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (prompt[i] < 0 || prompt[i] >= m->dims.V)
            return fail(ERR_CONFIG, "token %lld of the prompt is %d, the model knows 0 to %d",
                        (long long)i, (int)prompt[i], m->dims.V - 1);
    return OK;
}

/* logits (V) of what follows the prompt. */
static void read_prompt(const struct model *m, struct stream *s, real *logits, real *x,
                        const int32_t *prompt, int64_t n, int slice)
{
    int T = 0;
    for (int64_t i = 0; i < n; i += T) {
        T = n - i < slice ? (int)(n - i) : slice;
        stream_read(s, x, prompt + i, T, NULL);
    }
    model_next_logits(m, logits, x + (int64_t)(T - 1) * m->dims.C);
}

int generate_run(const struct model *m, const int32_t *prompt, int64_t n,
                 const struct generate_opts *o, generate_emit *emit, void *ctx,
                 struct generate_stats *stats)
{
    const int slice = n < o->slice ? (int)n : o->slice, V = m->dims.V;
    const int64_t more = o->tokens > 0 ? o->tokens - 1 : 0;  /* the last one is not read */
    struct sampler *sampler = NULL;
    struct stream *s = NULL;
    real *x = NULL, *logits = NULL;
    int rc = OK;

    check(n >= 1 && o->slice >= 1);
    *stats = (struct generate_stats){ .written = 0 };
    TRY(check_prompt(m, prompt, n));
    TRY(model_check_window(&m->dims, more > INT64_MAX - n ? INT64_MAX : n + more));
    TRY(sampler_new(&sampler, &o->sampler, o->vocab > 0 && o->vocab < V ? o->vocab : V));
    s = stream_new(m, 1, slice);
    x = mem_new((int64_t)slice * m->dims.C, sizeof *x, "hidden states");
    logits = mem_new(V, sizeof *logits, "logits");

    const double start = clock_s();
    read_prompt(m, s, logits, x, prompt, n, slice);
    stats->read_s = clock_s() - start;

    while (stats->written < o->tokens) {
        int32_t token;
        TRY(sampler_next(sampler, &token, logits, stream_pos(s)));
        stats->ended = token == o->eos;
        if (stats->ended) break;
        TRY(emit(ctx, token));
        if (++stats->written == o->tokens) break;
        stream_next(s, x, &token);
        model_next_logits(m, logits, x);
    }
    stats->write_s = clock_s() - start - stats->read_s;
out:
    sampler_free(sampler);
    stream_free(s);
    mem_free(x);
    mem_free(logits);
    return rc;
}
