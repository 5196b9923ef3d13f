/* SPDX-License-Identifier: Apache-2.0 */
#include "src/infer/detoken.h"

#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/utf8.h"
#include "src/data/token.h"

#define WINDOW 16    /* tokens decoded together: a few words of context      */
#define PATIENCE 4   /* tokens without a whole character: then it is none    */

struct detoken {
    const struct tokenizer *t;
    int32_t ids[WINDOW];
    int     n;       /* tokens in ids                                        */
    int     given;   /* of them, those whose text was given out              */
    char   *text;    /* last answer                                          */
};

struct detoken *detoken_new(const struct tokenizer *t, const int32_t *context, int64_t n)
{
    struct detoken *d = mem_new(1, sizeof *d, "detokeniser");
    d->t = t;
    d->n = d->given = n < WINDOW / 2 ? (int)n : WINDOW / 2;
    if (d->n) memcpy(d->ids, context + n - d->n, (size_t)d->n * sizeof *d->ids);
    d->text = mem_string("");
    return d;
}

void detoken_free(struct detoken *d)
{
    if (d) mem_free(d->text);
    mem_free(d);
}

/* A counted copy of s, with U+FFFD for each byte that belongs to no character. */
static char *cleaned(const char *s, int64_t n)
{
    char *out = mem_new(3 * n + 1, 1, "text"), *to = out;

    while (n > 0) {
        const int64_t valid = utf8_valid(s, n);
        memcpy(to, s, (size_t)valid);
        to += valid;
        if (valid < n) to = (char *)memcpy(to, "\xef\xbf\xbd", 3) + 3;
        s += valid + 1;
        n -= valid + 1;
    }
    return out;
}

/* The text of the tokens that were not given out yet, or "" if it should wait. */
static int give(struct detoken *d, int at_end, const char **text)
{
    char *before = NULL, *now = NULL;
    int64_t n_before = 0, n_now = 0;
    int rc = OK;

    mem_free(d->text);
    d->text = mem_string("");
    *text = d->text;
    TRY(tokenizer_decode(d->t, d->ids, d->given, &before, &n_before));
    TRY(tokenizer_decode(d->t, d->ids, d->n, &now, &n_now));

    const int64_t n = n_now > n_before ? n_now - n_before : 0;
    const int wait = !at_end && d->n - d->given < PATIENCE;
    if (wait && utf8_valid(now + n_before, n) < n) goto out;
    if (n) {
        mem_free(d->text);
        d->text = cleaned(now + n_before, n);
        *text = d->text;
    }
    d->given = d->n;
out:
    mem_free(before);
    mem_free(now);
    return rc;
}

int detoken_add(struct detoken *d, int32_t token, const char **text)
{
    if (d->n == WINDOW) {  /* forget the oldest; what is held back stays */
        memmove(d->ids, d->ids + WINDOW / 2, (WINDOW - WINDOW / 2) * sizeof *d->ids);
        d->n -= WINDOW / 2;
        d->given -= WINDOW / 2;
    }
    d->ids[d->n++] = token;
    return give(d, 0, text);
}

int detoken_end(struct detoken *d, const char **text) { return give(d, 1, text); }
