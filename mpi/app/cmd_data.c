/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_data.c -- ttt data info | verify | cat: what is in a data set; import and export are in
 * cmd_data_ids.c. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/human.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/cli/args.h"
#include "src/cli/cmd.h"
#include "src/data/data_index.h"
#include "src/data/dataset.h"
#include "src/data/token.h"
#include "src/store/json_name.h"

#define WINDOW 65536  /* tokens printed at a time */

static const char about[] =
    "info    print what the data set in DIR holds\n"
    "verify  read every block of every shard and check all hashes\n"
    "cat     print tokens as text, or as ids: those of a window, of a document, or all\n"
    "import  make a data set of token ids: .npy, .bin of nanoGPT and llm.c, Megatron's pair\n"
    "export  write token ids for other programs: .npy or Megatron's pair\n"
    "import and export have pages of their own: ttt data import --help\n"
    "\n"
    "examples\n"
    "  ttt data info data/mine/train\n"
    "  ttt data cat data/mine/val --doc 3\n"
    "\n"
    "exit codes: 65 a block is damaged (its file and offset are reported)";

struct data_options { int64_t from, count, doc; int json, text, ids; };

static json_t *known(int64_t x) { return x < 0 ? json_null() : json_integer(x); }

static json_t *files(struct data_files x)
{
    return json_pack("{s:I, s:I}", "files", (json_int_t)x.files, "bytes", (json_int_t)x.bytes);
}

static void add_origin(json_t *j, const struct data_index *x)
{
    json_t *left = json_object();

    for (int i = 0; i < LEFT_KINDS; i++)
        json_object_set_new(left, data_left_name(i), files(x->left[i]));
    json_object_set_new(j, "inputs", files(x->read));
    json_object_set_new(j, "left_out", left);
    json_object_set_new(j, "skipped",
                        json_pack("{s:I, s:I, s:I, s:I}", "documents",
                                  (json_int_t)x->skipped.documents, "files",
                                  (json_int_t)x->skipped.files, "bytes",
                                  (json_int_t)x->skipped.bytes, "read_bytes",
                                  (json_int_t)x->skipped.read_bytes));
}

static void print_json(const struct data_index *x, const char *dir, const char *tokenizer,
                       const char *content, int64_t size)
{
    json_t *j = json_pack(
        "{s:o, s:s, s:s, s:i, s:i, s:i, s:o, s:I, s:I, s:I, s:o, s:o, s:i, s:I, s:s}",
        "path", json_name(dir), "tokenizer", x->kind, "tokenizer_hash", tokenizer, "vocab", x->vocab,
        "bos", x->bos, "eos", x->eos, "unk", known(x->unk), "tokens", (json_int_t)x->tokens,
        "documents", (json_int_t)x->documents, "text_bytes", (json_int_t)x->text_bytes,
        "unk_tokens", known(x->unk_tokens), "unk_bytes", known(x->unk_bytes), "shards",
        x->shard_count, "stored_bytes", (json_int_t)size, "fingerprint", content);
    if (!j) die("a data set that JSON can't describe");
    if (x->format > 1) add_origin(j, x);
    json_dumpf(j, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(j);
}

/* What it was made from, and what not. */
static void print_origin(const struct data_index *x)
{
    const struct data_skipped *s = &x->skipped;
    char text[HUMAN_TEXT];
    int n = 0;

    if (x->read.files)
        printf("inputs       %lld files, %s\n", (long long)x->read.files,
               human_bytes(text, x->read.bytes));
    for (int i = 0; i < LEFT_KINDS; i++)
        if (x->left[i].files)
            printf("%s%lld %s", n++ ? ", " : "left out     ", (long long)x->left[i].files,
                   data_left_name(i));
    if (n) putchar('\n');
    if (s->documents + s->files)
        printf("skipped      %lld bad documents, %lld files or rests of files: %s, %.3g %% of the "
               "input\n", (long long)s->documents, (long long)s->files, human_bytes(text, s->bytes),
               s->read_bytes ? 100.0 * (double)s->bytes / (double)s->read_bytes : 0.0);
}

static int info(struct dataset *d, const char *dir, const struct data_options *o)
{
    const struct data_index *x = dataset_index(d);
    char tokenizer[HASH_HEX], content[HASH_HEX], text[HUMAN_TEXT], stored[HUMAN_TEXT];
    int64_t size = 0;

    for (int i = 0; i < x->shard_count; i++) size += x->shards[i].sums.size;
    hash_hex(tokenizer, x->tokenizer);
    hash_hex(content, dataset_fingerprint(d));
    if (o->json) {
        print_json(x, dir, tokenizer, content, size);
        return OK;
    }
    printf("tokens       %lld\ndocuments    %lld\n", (long long)x->tokens, (long long)x->documents);
    if (!strncmp(x->kind, "ids-", 4)) printf("text         not known: imported with --vocab\n");
    else printf("text         %s, %.3f bytes a token\n", human_bytes(text, x->text_bytes),
                (double)x->text_bytes / (double)x->tokens);
    printf("tokenizer    %s, %d pieces, <s> %d, </s> %d, hash %s\n", x->kind, x->vocab, x->bos,
           x->eos, tokenizer);
    if (x->unk_tokens > 0)
        printf("<unk>        %lld tokens, %.2f %%, hide %s of text, %.2f %%, that the tokenizer "
               "can't represent\n", (long long)x->unk_tokens,
               100.0 * (double)x->unk_tokens / (double)x->tokens, human_bytes(text, x->unk_bytes),
               100.0 * (double)x->unk_bytes / (double)x->text_bytes);
    else if (x->unk >= 0)
        printf("<unk>        %s\n", x->unk_tokens ? "not counted when it was made" : "none");
    print_origin(x);
    printf("shards       %d, %s, %.2f bits a token\n", x->shard_count, human_bytes(stored, size),
           8.0 * (double)size / (double)x->tokens);
    printf("fingerprint  %s\n", content);
    return OK;
}

static void show_progress(int64_t tokens, void *arg)
{
    const struct dataset *d = arg;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\rverified %5.1f%%%s", 100.0 * (double)tokens / (double)dataset_tokens(d),
                tokens == dataset_tokens(d) ? "\n" : "");
}

static int verify(struct dataset *d, const char *dir)
{
    const double start = clock_s();
    char took[HUMAN_TEXT];
    int rc = OK;

    TRY(dataset_verify(d, show_progress, d));
    printf("%s: intact: %lld tokens, %lld documents, %d shards (%s)\n", text_visible(dir),
           (long long)dataset_tokens(d), (long long)dataset_documents(d),
           dataset_index(d)->shard_count, human_duration(took, clock_s() - start));
out:
    return rc;
}

static int print_text(const struct tokenizer *t, const int32_t *ids, int64_t n, int more)
{
    char *text = NULL;
    int64_t bytes = 0;
    const int rc = (more ? tokenizer_decode_more : tokenizer_decode)(t, ids, n, &text, &bytes);
    if (rc == OK) fwrite(text, 1, (size_t)bytes, stdout);
    mem_free(text);
    return rc;
}

static int cat(struct dataset *d, struct data_options o)
{
    const char *model = NULL, *kind = dataset_tokenizer(d, &model, NULL);
    struct tokenizer *t = NULL;
    int32_t *ids = NULL;
    int64_t n = 0;
    int rc = OK;

    if (o.doc >= dataset_documents(d))
        TRY(fail(ERR_USAGE, "--doc %lld: there are %lld documents, the first is 0",
                 (long long)o.doc, (long long)dataset_documents(d)));
    if (o.doc >= 0) TRY(dataset_document(d, o.doc, &o.from, &n));
    if (o.doc < 0) n = o.count >= 0 ? o.count : dataset_tokens(d) - o.from;
    if (o.from < 0 || o.from > dataset_tokens(d) || n > dataset_tokens(d) - o.from)
        TRY(fail(ERR_USAGE, "%lld tokens from token %lld: there are %lld, the first is 0",
                 (long long)n, (long long)o.from, (long long)dataset_tokens(d)));
    if (!o.ids) TRY(tokenizer_open(&t, kind, model));
    ids = mem_new(WINDOW, sizeof *ids, "tokens");
    for (int64_t at = 0, k; at < n; at += k) {
        k = n - at < WINDOW ? n - at : WINDOW;
        TRY(dataset_read(d, ids, o.from + at, k));
        if (t) TRY(print_text(t, ids, k, at > 0));
        if (!t)
            for (int64_t i = 0; i < k; i++) printf("%d\n", (int)ids[i]);
    }
out:
    mem_free(ids);
    tokenizer_close(t);
    return rc;
}

const struct command data_parts[] = {
    { "import", cmd_data_import, .about = "make a data set of token ids of other programs" },
    { "export", cmd_data_export, .about = "write token ids for other programs" },
    { .name = NULL },
};

int cmd_data(int argc, char **argv)
{
    struct data_options o = { .count = -1, .doc = -1 };
    struct dataset *d = NULL;
    struct arg_rest rest;
    int rc = OK;

    for (const struct command *p = data_parts; argc > 1 && p->name; p++)
        if (!strcmp(argv[1], p->name)) return p->run(argc - 1, argv + 1);
    const struct arg args[] = {
        { "from", ARG_INT, &o.from, "TOKEN", "cat: the first token (default 0)" },
        { "count", ARG_INT, &o.count, "N", "cat: number of tokens (default all)" },
        { "doc", ARG_INT, &o.doc, "N", "cat: document N, from 0" },
        { "text", ARG_FLAG, &o.text, NULL, "cat: print text (default)" },
        { "ids", ARG_FLAG, &o.ids, NULL, "cat: print token ids, one a line" },
        { "json", ARG_FLAG, &o.json, NULL, "info: print JSON" },
    };
    TRY(args_parse(&rest, argc, argv, args, sizeof args / sizeof *args,
                   "ttt data info|verify|cat DIR [OPTION ...]", about));
    if (rest.n < 0) goto out;
    if (rest.n != 2) TRY(fail(ERR_USAGE, "expected info, verify, cat, import or export; "
                              "ttt data --help tells more"));
    const char *what = rest.v[0], *dir = rest.v[1];
    if (strcmp(what, "info") != 0 && strcmp(what, "verify") != 0 && strcmp(what, "cat") != 0)
        TRY(fail(ERR_USAGE, "'%s' is not one of info, verify, cat, import, export", what));
    TRY(args_only(&rest, what, !strcmp(what, "cat") ? "from count doc text ids"
                               : !strcmp(what, "info") ? "json" : ""));
    if ((args_given(&rest, "doc") && o.doc < 0) || (args_given(&rest, "count") && o.count < 0) ||
        o.from < 0)
        TRY(fail(ERR_USAGE, "--doc, --from and --count count from 0"));
    if (o.doc >= 0 && (args_given(&rest, "from") || args_given(&rest, "count")))
        TRY(fail(ERR_USAGE, "--doc, or --from and --count: not both"));
    if (o.text && o.ids) TRY(fail(ERR_USAGE, "--text or --ids, not both"));
    TRY(dataset_open(&d, dir));
    if (!strcmp(what, "info")) TRY(info(d, dir, &o));
    else if (!strcmp(what, "verify")) TRY(verify(d, dir));
    else TRY(cat(d, o));
out:
    dataset_close(d);
    return rc;
}
