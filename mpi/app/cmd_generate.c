/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_generate.c -- `ttt generate`: continue a text. */
#include <errno.h>
#include <limits.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/openmp.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/base/text_file.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"
#include "src/data/token.h"
#include "src/infer/detoken.h"
#include "src/infer/generate.h"
#include "src/infer/load.h"

#define PROMPT_BYTES (1 << 30)

struct options {
    const char *prompt, *prompt_file, *tokenizer, *precision;
    int         ids, ignore_eos;
    struct generate_opts g;
};

static const char about[] =
    "Continue a text: the prompt is read (prefill), then tokens are written one by one (decode).\n"
    "The cost of a token does not depend on how much was read, except with attention. The same\n"
    "seed gives the same text. MODEL is a run folder, a checkpoint or a Hugging Face folder. With\n"
    "--ids, prompt and output are token ids, none is added, and no tokenizer is needed.\n"
    "\n"
    "example\n"
    "  ttt generate logs/my --prompt \"In the beginning\" --tokens 100";

/* Where tokens go. */
struct sink { struct detoken *detoken; /* NULL: ids */ };

static int print(const char *text)
{
    if (fputs(text, stdout) < 0 || fflush(stdout) != 0)
        return fail(ERR_IO, "writing to standard output: %s", strerror(errno));
    return OK;
}

static int emit(void *ctx, int32_t token)
{
    struct sink *s = ctx;
    const char *text = NULL;
    char number[16];

    if (!s->detoken) {
        snprintf(number, sizeof number, "%d\n", (int)token);
        return print(number);
    }
    const int rc = detoken_add(s->detoken, token, &text);
    return rc == OK ? print(text) : rc;
}

/* "17 4 255" -> ids, a counted block. */
static int parse_ids(const char *text, int32_t **ids, int64_t *count)
{
    *ids = mem_new((int64_t)strlen(text) / 2 + 1, sizeof **ids, "prompt");
    *count = 0;
    for (const char *p = text; *(p += strspn(p, " \t\r\n,")); ) {
        int64_t v;
        const char *end = text_whole(&v, p);
        if (!end || v < 0 || v > INT_MAX || (*end && !strchr(" \t\r\n,", *end)))
            return fail(ERR_USAGE, "the prompt is not a list of token ids at '%.20s'", p);
        (*ids)[(*count)++] = (int32_t)v;
        p = end;
    }
    return *count ? OK : fail(ERR_USAGE, "--ids needs a prompt of at least one token");
}

/* <s> and the text's tokens, a counted block. */
static int encode(const struct tokenizer *t, const char *text, size_t n, int32_t **ids,
                  int64_t *count)
{
    struct hidden hidden;
    char shown[HIDDEN_TEXT];
    int32_t *body = NULL;
    int64_t k = 0;
    const int rc = tokenizer_encode(t, text, (int64_t)n, &body, &k);

    if (rc != OK) return rc;
    *ids = mem_new(k + 1, sizeof **ids, "prompt");
    (*ids)[0] = tokenizer_bos(t);
    memcpy(*ids + 1, body, (size_t)k * sizeof *body);
    *count = k + 1;
    const int hidden_rc = tokenizer_hidden(t, text, 0, (int64_t)n, body, k, &hidden);
    if (hidden.tokens)
        log_warn("the tokenizer can't represent %lld of %zu bytes of the prompt, and the model reads "
                 "<unk> instead, first of '%s'", (long long)hidden.bytes, n,
                 hidden_text(shown, text, &hidden));
    mem_free(body);
    return hidden_rc;
}

static int run(const struct model *m, const struct tokenizer *t, const char *text, size_t n,
               struct options *o)
{
    struct sink sink = { NULL };
    struct generate_stats stats;
    int32_t *ids = NULL;
    int64_t count = 0;
    const char *rest;
    int rc = OK;

    if (o->ids) TRY(parse_ids(text, &ids, &count));
    else TRY(encode(t, text, n, &ids, &count));
    if (!o->ids) {
        sink.detoken = detoken_new(t, ids, count);
        TRY(print(text));
    }
    TRY(generate_run(m, ids, count, &o->g, emit, &sink, &stats));
    if (!o->ids) {
        TRY(detoken_end(sink.detoken, &rest));
        TRY(print(rest));
        TRY(print("\n"));
    }
    log_phase("read %lld tokens (%.0f/s), wrote %lld (%.1f/s)%s", (long long)count,
              (double)count / (stats.read_s + 1e-9), (long long)stats.written,
              (double)stats.written / (stats.write_s + 1e-9),
              stats.ended ? ", to the end of the text" : "");
out:
    detoken_free(sink.detoken);
    mem_free(ids);
    return rc;
}

static int generate(const char *model, struct options *o)
{
    struct load_info info = { .step = -1 };
    struct tokenizer *t = NULL;
    struct model *m = NULL;
    char *text = NULL;
    size_t n = 0;
    int rc = OK;

    if (o->prompt_file) TRY(text_file_read(&text, &n, o->prompt_file, PROMPT_BYTES));
    else text = mem_string(o->prompt ? o->prompt : "");
    if (!o->prompt_file) n = strlen(text);
    if (strlen(text) != n)
        TRY(fail(ERR_DATA, "%s: a zero byte at offset %zu", o->prompt_file, strlen(text)));
    TRY(load_model(&m, &info, model));
    TRY(load_precision(m, o->precision, 0));
    if (!o->ids) {
        TRY(load_tokenizer(&t, &info, m, o->tokenizer));
        if (!o->ignore_eos) o->g.eos = tokenizer_eos(t);
        o->g.vocab = tokenizer_vocab(t);  /* a model may have more rows than there are tokens */
    }
    TRY(run(m, t, text, n, o));
out:
    mem_free(text);
    tokenizer_close(t);
    load_done(&info);
    model_free(m);
    return rc;
}

int cmd_generate(int argc, char **argv)
{
    struct options o = { .g = { .sampler = { .temperature = 0.8, .top_p = 1 }, .tokens = 256,
                                .eos = -1 } };
    int64_t seed = 0, slice = 1024, threads = 0;
    const struct arg args[] = {
        { "prompt", ARG_TEXT, &o.prompt, "TEXT", "text to continue (default: none)" },
        { "prompt-file", ARG_TEXT, &o.prompt_file, "FILE", "file with the text to continue" },
        { "tokens", ARG_INT, &o.g.tokens, "N", "write at most N tokens (default 256)" },
        { "temperature", ARG_DOUBLE, &o.g.sampler.temperature, "X",
          "softmax temperature; 0: greedy (default 0.8)" },
        { "top-k", ARG_INT, &o.g.sampler.top_k, "N",
          "top-k sampling: only the N most probable tokens (0: all)" },
        { "top-p", ARG_DOUBLE, &o.g.sampler.top_p, "X",
          "nucleus sampling: the most probable tokens that together reach X (default 1: all)" },
        { "seed", ARG_INT, &seed, "N", "seed of the random numbers (default 0)" },
        { "ignore-eos", ARG_FLAG, &o.ignore_eos, NULL, "continue after the end-of-text token" },
        { "ids", ARG_FLAG, &o.ids, NULL, "prompt and output are token ids" },
        { "tokenizer", ARG_TEXT, &o.tokenizer, "FILE",
          "SentencePiece model, or \"bytes\" (default: the model's own)" },
        { "slice", ARG_INT, &slice, "N", "read the prompt in slices of N tokens (default 1024)" },
        { "precision", ARG_TEXT, &o.precision, "P",
          "mixed precision, operands of matrix products: fp32 (default) or bf16" },
        { "threads", ARG_INT, &threads, "N",
          "number of threads (default: OMP_NUM_THREADS, else all cores)" },
    };
    struct arg_rest rest;
    int rc;

    rc = args_parse(&rest, argc, argv, args, sizeof args / sizeof *args,
                    "ttt generate MODEL [--prompt TEXT]", about);
    if (rc != OK || rest.n < 0) return rc;
    if (rest.n != 1) return fail(ERR_USAGE, "ttt generate takes one MODEL; found %d", rest.n);
    if (o.prompt && o.prompt_file)
        return fail(ERR_USAGE, "--prompt and --prompt-file exclude each other");
    if (o.g.tokens < 0 || slice < 1 || slice > INT_MAX || threads < 0 || threads > OPENMP_THREADS)
        return fail(ERR_USAGE, "--tokens, --slice or --threads is out of range");
    o.g.slice = (int)slice;
    o.g.sampler.seed = (uint64_t)seed;
    if (threads) omp_set_num_threads((int)threads);
    return generate(rest.v[0], &o);
}
