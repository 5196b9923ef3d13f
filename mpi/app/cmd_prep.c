/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_prep.c -- ttt prep: text becomes token shards. */
#include <omp.h>
#include <string.h>

#include "data_prep/format.h"
#include "data_prep/json_field.h"
#include "data_prep/prep.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"
#include "src/data/shard.h"

static const char about[] =
    "Turn text into a data set: token shards *.tts and an INDEX; with --val-fraction DIR/train\n"
    "and DIR/val.\n"
    "\n"
    "INPUT is a .txt file (one document), a .jsonl, .ndjson or .json file (an object each), a\n"
    ".csv or .tsv file (a row each), any of them\n"
    "with .zst, .gz, .xz, .bz2 or .lz4, a folder of those (searched in the order of names), or -\n"
    "for standard input.\n"
    "Other files in a folder, and hidden ones, are left out and listed at the end.\n"
    "An interrupted command resumes when it is repeated; on a complete data set it reports so\n"
    "and ends with 0. A command with other inputs or options does not change the data set (78).\n"
    "\n"
    "examples\n"
    "  ttt prep books/ --train-tokenizer 4096 --val-fraction 0.05 --out data/books\n"
    "  ssh host cat old.txt.gz | ttt prep - --tokenizer tokenizer.model --out data/old\n"
    "\n"
    "exit codes: 65 bad input (see --skip-bad), 66 an input is missing, 78 another data set";

static int in_range(const char *name, int64_t x, int64_t min, int64_t max)
{
    if (x >= min && x <= max) return OK;
    return fail(ERR_USAGE, "%s%s %lld: expected %lld to %lld", name[1] ? "--" : "-", name,
                (long long)x, (long long)min, (long long)max);
}

/* "1%" -> 0.01.  Without the sign nobody could tell a share from percents. */
static int share(double *out, const char *text)
{
    char number[32] = "";
    const size_t n = strlen(text);
    double percent = -1;

    if (n > 1 && n < sizeof number && text[n - 1] == '%') {
        memcpy(number, text, n - 1);
        if (text_double(&percent, number) && percent >= 0 && percent <= 100) {
            *out = percent / 100;
            return OK;
        }
    }
    return fail(ERR_USAGE, "--skip-bad-max %s: expected 0%% to 100%%, such as 2.5%%", text);
}

static int names_stdin(const struct arg_rest *inputs)
{
    for (int i = 0; i < inputs->n; i++)
        if (!strcmp(inputs->v[i], "-")) return 1;
    return 0;
}

/* What is text on the command line and a value in the options. */
static int read_words(struct prep_options *o, const char *from_stdin, const char *skip_bad_max)
{
    struct json_path field;
    int rc = OK;

    o->from_stdin = format_of_name(from_stdin);
    if (!o->from_stdin) {
        char *names = format_names();
        fail(ERR_USAGE, "--stdin %s: expected %s", from_stdin, names);
        mem_free(names);
        return ERR_USAGE;
    }
    TRY(json_path_init(&field, o->field));  /* here only to refuse it before anything is made */
    json_path_done(&field);
    if (skip_bad_max && !o->skip_bad)
        TRY(fail(ERR_USAGE, "--skip-bad-max needs --skip-bad"));
    TRY(share(&o->skip_bad_max, skip_bad_max ? skip_bad_max : "1%"));
    if (!o->tokenizer) o->tokenizer = "bytes";
out:
    return rc;
}

int cmd_prep(int argc, char **argv)
{
    struct prep_options o = { .tokenizer = NULL, .field = "text" };
    int64_t train = 0, threads = omp_get_max_threads(), level = 3, block = 65536;
    int64_t shard = 100000000;
    const char *from_stdin = "txt", *skip_bad_max = NULL;
    struct arg_rest rest;
    int rc = OK;

    const struct arg args[] = {
        { "out", ARG_TEXT, &o.out, "DIR", "folder of the data set" },
        { "tokenizer", ARG_TEXT, &o.tokenizer, "T",
          "bytes (default), or the file of a SentencePiece model" },
        { "train-tokenizer", ARG_INT, &train, "N",
          "train a SentencePiece BPE model of N pieces from the input" },
        { "val-fraction", ARG_DOUBLE, &o.val_fraction, "F",
          "hold out this share of the documents, chosen by hash" },
        { "field", ARG_TEXT, &o.field, "NAME",
          "JSON field or table column (default text); A.B is B in the object A" },
        { "stdin", ARG_TEXT, &from_stdin, "FORM",
          "format of standard input: txt (default), jsonl, json, csv or tsv" },
        { "j", ARG_INT, &threads, "N",
          "number of threads (default all); the result does not depend on it" },
        { "block-tokens", ARG_INT, &block, "N", "tokens of a block (default 65536)" },
        { "shard-tokens", ARG_INT, &shard, "N",
          "tokens after which a shard ends (default 100000000)" },
        { "level", ARG_INT, &level, "N", "zstd compression level, 1 to 19 (default 3)" },
        { "skip-bad", ARG_FLAG, &o.skip_bad, NULL, "leave out bad documents, and count them" },
        { "skip-bad-max", ARG_TEXT, &skip_bad_max, "P%",
          "share of the input's bytes that may be left out (default 1%)" },
        { "restart", ARG_FLAG, &o.restart, NULL,
          "remove the data set in DIR, complete or not, and start again" },
    };
    TRY(args_parse(&rest, argc, argv, args, sizeof args / sizeof *args,
                   "ttt prep INPUT... --out DIR [OPTION ...]", about));
    if (rest.n < 0) goto out;
    if (rest.n == 0) TRY(fail(ERR_USAGE, "expected an input; ttt prep --help describes them"));
    if (!o.out) TRY(fail(ERR_USAGE, "--out DIR is missing"));
    if (args_given(&rest, "train-tokenizer") && o.tokenizer)
        TRY(fail(ERR_USAGE, "--tokenizer or --train-tokenizer, not both"));
    if (!(o.val_fraction >= 0.0 && o.val_fraction < 1.0))
        TRY(fail(ERR_USAGE, "--val-fraction %g: expected 0 to less than 1", o.val_fraction));
    if (args_given(&rest, "train-tokenizer")) TRY(in_range("train-tokenizer", train, 260, 1000000));
    TRY(in_range("j", threads, 1, 1024));
    TRY(in_range("block-tokens", block, 1, SHARD_MAX_BLOCK_TOKENS));
    TRY(in_range("shard-tokens", shard, 1, (int64_t)1 << 34));
    TRY(in_range("level", level, 1, 19));
    TRY(read_words(&o, from_stdin, skip_bad_max));
    if (args_given(&rest, "stdin") && !names_stdin(&rest))
        TRY(fail(ERR_USAGE, "--stdin needs the input -, which is missing"));
    o.inputs = rest.v;
    o.inputs_n = rest.n;
    o.train_tokenizer = (int)train;
    o.threads = (int)threads;
    o.cut = (struct set_cut){ .block_tokens = block, .shard_tokens = shard, .level = (int)level };
    TRY(prep_run(&o));
out:
    return rc;
}
