/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/report.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data_prep/decoder.h"
#include "data_prep/format.h"
#include "data_prep/origin.h"
#include "src/base/human.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/text.h"

void report_hidden(struct unspelled *first, struct set *s, const struct doc *d)
{
    for (int64_t i = 0; i < d->chunk_n; i++) {
        const struct hidden *h = &d->chunks[i].hidden;
        if (h->tokens == 0) continue;
        set_hidden(s, h->tokens, h->bytes);
        if (first->where) continue;
        first->where = mem_format("%s:%lld", d->r.input->path, (long long)d->r.line);
        hidden_text(first->text, d->r.raw, h);
    }
}

void report_unk(const struct set *s, const struct unspelled *first)
{
    const int64_t tokens = set_hidden_tokens(s), bytes = set_hidden_bytes(s);
    char size[HUMAN_TEXT], *example = NULL;

    if (tokens == 0) return;
    if (first->where) example = mem_format(", first '%s' (%s)", first->text, first->where);
    log_warn("%s: the tokenizer can't represent %s of the text, %.3g %%%s: %lld tokens, %.3g %%, "
             "are <unk>, so evaluations report no bits per byte; a tokenizer with byte fallback "
             "represents all text (--train-tokenizer makes one)", set_dir(s), human_bytes(size, bytes),
             100.0 * (double)bytes / (double)set_text_bytes(s), example ? example : "",
             (long long)tokens, 100.0 * (double)tokens / (double)set_tokens(s));
    mem_free(example);
}

const char *report_skipped(char text[REPORT_SKIPPED], struct data_skipped s)
{
    char size[HUMAN_TEXT], documents[48] = "", files[48] = "";

    text[0] = '\0';
    if (s.documents)
        snprintf(documents, sizeof documents, "%lld bad document%s", (long long)s.documents,
                 s.documents == 1 ? "" : "s");
    if (s.files)
        snprintf(files, sizeof files, "%sall or the end of %lld file%s",
                 s.documents ? " and " : "", (long long)s.files, s.files == 1 ? "" : "s");
    if (s.documents || s.files)
        snprintf(text, REPORT_SKIPPED, "%s%s skipped: %s, %.3g %% of the input", documents, files,
                 human_bytes(size, s.bytes),
                 s.read_bytes ? 100.0 * (double)s.bytes / (double)s.read_bytes : 0.0);
    return text;
}

/* ---- the table */

#define ROWS 24  /* the last one takes all other kinds */

struct row { char kind[64]; struct data_files what; const char *example; };
struct table { struct row v[ROWS]; int n; };

static void count(struct table *t, const char *kind, struct data_files what, const char *example)
{
    int i = 0;
    while (i < t->n && strcmp(t->v[i].kind, kind) != 0) i++;
    if (i == ROWS) i--;
    struct row *r = t->v + i;
    if (i == t->n) {
        *r = (struct row){ .example = example };
        snprintf(r->kind, sizeof r->kind, "%s", i == ROWS - 1 ? "left out: other kinds" : kind);
        t->n++;
    }
    r->what.files += what.files;
    r->what.bytes += what.bytes;
}

/* The last ending of a name in small letters, if it looks like one. */
static const char *ending(char out[16], const char *path)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    size_t n = 0;

    if (dot)
        for (out[n++] = '.'; n < 12 && isalnum((unsigned char)dot[n]); n++)
            out[n] = (char)tolower((unsigned char)dot[n]);
    if (n < 2 || dot[n]) return "without ending";
    out[n] = '\0';
    return out;
}

static void count_left(struct table *t, const struct left *l)
{
    static const char *const why[LEFT_KINDS] = {
        [LEFT_HIDDEN] = "hidden", [LEFT_FORMAT] = "format not supported",
        [LEFT_LINK] = "link to nothing", [LEFT_SPECIAL] = "not a regular file",
        [LEFT_AGAIN] = "read already, by another path", [LEFT_UNREADABLE] = "can't be read",
    };
    char kind[64], end[16];

    if (l->why == LEFT_FORMAT)
        snprintf(kind, sizeof kind, "left out: %s, %s", why[l->why], ending(end, l->path));
    else snprintf(kind, sizeof kind, "left out: %s", why[l->why]);
    count(t, kind, l->what, l->path);
}

static int by_file(const void *a, const void *b)
{
    const struct input *x = *(const struct input *const *)a, *y = *(const struct input *const *)b;

    if (x->inode != y->inode) return x->inode < y->inode ? -1 : 1;
    if (x->changed_ns != y->changed_ns) return x->changed_ns < y->changed_ns ? -1 : 1;
    return (x->size > y->size) - (x->size < y->size);
}

/* Warn of files that the user named more than once: they are read each time. */
static void tell_twice(const struct inputs *in)
{
    const struct input **v = mem_new(in->n + 1, sizeof *v, "inputs"), *first = NULL;
    int64_t twice = 0;

    for (int64_t i = 0; i < in->n; i++) v[i] = in->v + i;
    qsort(v, (size_t)in->n, sizeof *v, by_file);
    for (int64_t i = 1; i < in->n; i++) {
        if (v[i]->size < 0 || by_file(&v[i - 1], &v[i]) != 0) continue;
        if (!twice++) first = v[i];
    }
    if (twice)
        log_warn("%s%s named more than once; the text is used each time", first->path,
                 twice == 1 ? " was" : " and others were");
    mem_free(v);
}

void report_inputs(const struct inputs *in, const char *dir)
{
    struct table t = { .n = 0 };
    char size[HUMAN_TEXT], kind[64];

    for (int64_t i = 0; i < in->n; i++) {
        const struct input *x = in->v + i;
        snprintf(kind, sizeof kind, "read: %s%s", x->format->name,
                 x->decoder ? x->decoder->ending : "");
        count(&t, kind, (struct data_files){ 1, x->size > 0 ? x->size : 0 }, x->path);
    }
    for (int64_t i = 0; i < in->left_n; i++) count_left(&t, in->left + i);
    log_phase("%-42s %8s %10s  %s", "input", "files", "bytes", "example");
    for (const struct row *r = t.v; r < t.v + t.n; r++) {
        log_phase("%-42s %8lld %10s  %s", r->kind, (long long)r->what.files,
                  human_bytes(size, r->what.bytes), r->example);
    }
    tell_twice(in);
    if (in->left_n) log_phase("the full list: %s/" ORIGIN_FILE, dir);
}
