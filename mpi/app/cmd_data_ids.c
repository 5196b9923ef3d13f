/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_data_ids.c -- ttt data import | export: token ids from other programs, and for them. */
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "data_prep/token_export.h"
#include "data_prep/token_file.h"
#include "data_prep/token_import.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/new_folder.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"
#include "src/data/dataset.h"
#include "src/data/shard.h"
#include "src/data/token.h"

static const char import_about[] =
    "Turn token ids that another program made into a data set. FILE is\n"
    "  X.npy          NumPy's array of whole numbers, little-endian, 1-D or 2-D in C order\n"
    "  X.bin          ids and nothing else (nanoGPT: uint16; others: --dtype), or llm.c's file\n"
    "  X.idx, X.bin   Megatron-LM's pair: name one of the two, or X\n"
    "Ids are taken as they are; none is added. Each must be below the size of the vocabulary.\n"
    "\n"
    "Where documents end (--documents):\n"
    "  auto    Megatron: index; llm.c: bos; others: eos (default)\n"
    "  eos     after each id that ends a document\n"
    "  bos     before each id that begins one\n"
    "  index   where Megatron's index says; empty documents are left out\n"
    "  rows    after each row of a 2-D array; else it is one text, row after row\n"
    "  file    with the file\n"
    "\n"
    "With --tokenizer the data set has text. With --vocab it has ids only: models can be trained\n"
    "and evaluated on it (no bits per byte), but nothing is printed as text.\n"
    "An interrupted command resumes when it is repeated, as ttt prep does.\n"
    "\n"
    "examples\n"
    "  ttt data import pile_text_document.idx --tokenizer tokenizer.model --out data/pile\n"
    "  ttt data import train.bin --vocab 50257 --eos 50256 --out data/owt\n"
    "\n"
    "exit codes: 65 a damaged file or an id that is not in the vocabulary, 66 a file is missing,\n"
    "78 the folder has another data set";

static const char export_about[] =
    "Write the ids of the data set in DIR for other programs, into the folder NEW_DIR:\n"
    "  npy        tokens.npy, one array; numpy.load(\"tokens.npy\", mmap_mode=\"r\")\n"
    "  megatron   tokens.bin and tokens.idx, each document a sequence; data path NEW_DIR/tokens\n"
    "A tokenizer's file is copied, too. NEW_DIR must not exist, or be empty; it appears when all\n"
    "of it is written.\n"
    "\n"
    "example\n"
    "  ttt data export data/mine/train for_megatron --to megatron";

struct id_words {
    const char *documents, *dtype;
    int64_t     vocab, eos, bos;
    char        kind[TOKENIZER_IDS_KIND];
};

static int in_range(const char *name, int64_t x, int64_t min, int64_t max)
{
    if (x >= min && x <= max) return OK;
    return fail(ERR_USAGE, "--%s %lld: expected %lld to %lld", name, (long long)x, (long long)min,
                (long long)max);
}

/* The options that say what an id means. */
static int read_vocabulary(struct token_import *o, struct id_words *w, const struct arg_rest *rest)
{
    int rc = OK;

    if (!o->tokenizer == !args_given(rest, "vocab"))
        TRY(fail(ERR_USAGE, "expected either --tokenizer FILE, or --vocab N with --eos ID"));
    if (o->tokenizer) {
        if (args_given(rest, "eos") || args_given(rest, "bos"))
            TRY(fail(ERR_USAGE, "--eos and --bos go with --vocab; --tokenizer knows them"));
        goto out;
    }
    TRY(in_range("vocab", w->vocab, 1, TOKENIZER_MAX_IDS));
    if (!args_given(rest, "eos"))
        TRY(fail(ERR_USAGE, "--vocab needs --eos ID, the id that ends a document (GPT-2: 50256)"));
    if (!args_given(rest, "bos")) w->bos = w->eos;
    TRY(in_range("eos", w->eos, 0, w->vocab - 1));
    TRY(in_range("bos", w->bos, 0, w->vocab - 1));
    o->ids_kind = tokenizer_ids_kind(w->kind, (int)w->vocab, (int)w->bos, (int)w->eos);
out:
    return rc;
}

static int read_words(struct token_import *o, const struct id_words *w)
{
    int i = 0;

    if (w->dtype && !(o->type = token_type(w->dtype)))
        return fail(ERR_USAGE, "--dtype %s: expected uint8, int8, uint16, int16, uint32, int32, "
                    "uint64 or int64", w->dtype);
    while (token_ends_name(i) && strcmp(token_ends_name(i), w->documents) != 0) i++;
    o->ends = (enum token_ends)i;
    if (token_ends_name(i)) return OK;
    return fail(ERR_USAGE, "--documents %s: expected auto, eos, bos, index, rows or file",
                w->documents);
}

int cmd_data_import(int argc, char **argv)
{
    struct token_import o = { .threads = omp_get_max_threads() };
    struct id_words w = { .documents = "auto" };
    int64_t level = 3, block = 65536, shard = 100000000;
    struct arg_rest rest;
    int rc = OK;

    const struct arg args[] = {
        { "out", ARG_TEXT, &o.out, "DIR", "folder of the data set" },
        { "tokenizer", ARG_TEXT, &o.tokenizer, "T",
          "tokenizer that made the ids: bytes, or the file of a SentencePiece model" },
        { "vocab", ARG_INT, &w.vocab, "N", "without a tokenizer: ids are 0 to N - 1" },
        { "eos", ARG_INT, &w.eos, "ID", "with --vocab: the id that ends a document" },
        { "bos", ARG_INT, &w.bos, "ID", "with --vocab: the id that begins one (default: --eos)" },
        { "documents", ARG_TEXT, &w.documents, "HOW", "where documents end, see above" },
        { "dtype", ARG_TEXT, &w.dtype, "TYPE",
          "every FILE holds nothing but ids of this type: uint16, uint32, int32, int64, ..." },
        { "block-tokens", ARG_INT, &block, "N", "tokens of a block (default 65536)" },
        { "shard-tokens", ARG_INT, &shard, "N",
          "tokens after which a shard ends (default 100000000)" },
        { "level", ARG_INT, &level, "N", "zstd compression level, 1 to 19 (default 3)" },
        { "restart", ARG_FLAG, &o.restart, NULL,
          "remove the data set in DIR, complete or not, and start again" },
    };
    TRY(args_parse(&rest, argc, argv, args, sizeof args / sizeof *args,
                   "ttt data import FILE... --out DIR --tokenizer T|--vocab N [OPTION ...]",
                   import_about));
    if (rest.n < 0) goto out;
    if (rest.n == 0) TRY(fail(ERR_USAGE, "expected a file; ttt data import --help tells more"));
    if (!o.out) TRY(fail(ERR_USAGE, "--out DIR is missing"));
    TRY(in_range("block-tokens", block, 1, SHARD_MAX_BLOCK_TOKENS));
    TRY(in_range("shard-tokens", shard, 1, (int64_t)1 << 34));
    TRY(in_range("level", level, 1, 19));
    TRY(read_vocabulary(&o, &w, &rest));
    TRY(read_words(&o, &w));
    o.inputs = rest.v;
    o.inputs_n = rest.n;
    o.cut = (struct set_cut){ .block_tokens = block, .shard_tokens = shard, .level = (int)level };
    TRY(token_import_run(&o));
out:
    return rc;
}

/* The tokenizer's file, without which nobody knows what the ids mean. */
static int copy_model(const struct dataset *d, const char *dir)
{
    const char *model = NULL;
    char *bytes = NULL, *to = NULL;
    size_t n = 0;
    int rc = OK;

    dataset_tokenizer(d, &model, NULL);
    if (!model) return OK;
    TRY(file_slurp(&bytes, &n, model, TOKENIZER_MAX_BYTES));
    to = mem_format("%s/%s", dir, strrchr(model, '/') ? strrchr(model, '/') + 1 : model);
    TRY(file_replace(to, bytes, n));
out:
    mem_free(bytes);
    mem_free(to);
    return rc;
}

static int write_export(struct dataset *d, const char *dir, int megatron)
{
    const int rc = megatron ? token_export_megatron(d, dir) : token_export_npy(d, dir);
    return rc == OK ? copy_model(d, dir) : rc;
}

int cmd_data_export(int argc, char **argv)
{
    const char *form = NULL;
    struct dataset *d = NULL;
    struct arg_rest rest;
    struct new_folder f;
    int rc = OK;

    const struct arg args[] = {
        { "to", ARG_TEXT, &form, "FORM", "npy or megatron" },
    };
    TRY(args_parse(&rest, argc, argv, args, 1, "ttt data export DIR NEW_DIR --to npy|megatron",
                   export_about));
    if (rest.n < 0) goto out;
    if (rest.n != 2) TRY(fail(ERR_USAGE, "expected a data set and a new folder; ttt data export "
                              "--help tells more"));
    if (!form || (strcmp(form, "npy") != 0 && strcmp(form, "megatron") != 0))
        TRY(fail(ERR_USAGE, "--to %s: expected npy or megatron", form ? form : "is missing"));
    TRY(dataset_open(&d, rest.v[0]));
    TRY(new_folder_begin(&f, rest.v[1]));
    TRY(new_folder_end(&f, write_export(d, f.dir, !strcmp(form, "megatron"))));
    printf("%s: %lld tokens, %lld documents of %s\n", text_visible(rest.v[1]),
           (long long)dataset_tokens(d), (long long)dataset_documents(d), text_visible(rest.v[0]));
out:
    dataset_close(d);
    return rc;
}
