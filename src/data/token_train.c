/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/data/sentencepiece_c.h"
#include "src/data/token.h"

#define MAX_LINE ((int64_t)64 << 10)  /* longer ones are cut: merges never get that long */

/* Texts come from the caller; lines go to the library. */
struct lines {
    const char *(*next)(void *arg, int64_t *n);
    void *arg;
    const char *p;
    int64_t left;
};

static const char *next_line(void *arg, size_t *n)
{
    struct lines *s = arg;

    for (;;) {
        if (s->left == 0 && !(s->p = s->next(s->arg, &s->left))) return NULL;
        if (s->left && *s->p != '\n') break;
        if (s->left) s->p++, s->left--;
    }
    const char *newline = memchr(s->p, '\n', (size_t)s->left), *line = s->p;
    int64_t length = newline ? newline - line : s->left;
    if (length > MAX_LINE) {
        length = MAX_LINE;
        while (((unsigned char)line[length] & 0xc0) == 0x80) length--;  /* between characters */
    }
    s->p += length;
    s->left -= length;
    *n = (size_t)length;
    return line;
}

struct trained_model { char *p; size_t n; };

static void take_model(void *arg, const void *p, size_t n)
{
    struct trained_model *m = arg;
    m->p = memcpy(mem_new((int64_t)n, 1, "tokenizer model"), p, n);
    m->n = n;
}

int tokenizer_train(char **model, size_t *n, int vocab,
                    const char *(*next)(void *arg, int64_t *n), void *arg)
{
    char why[SPM_WHY] = "", size[16];
    const char *const options[] = {
        "model_type", "bpe",
        "vocab_size", size,
        "normalization_rule_name", "identity",
        "remove_extra_whitespaces", "false",
        "add_dummy_prefix", "false",
        "allow_whitespace_only_pieces", "true",
        "byte_fallback", "true",
        "user_defined_symbols", "\n",
        "max_sentence_length", "1000000",
        "num_threads", "1",      /* is stored in the model, so it can't follow -j */
        "minloglevel", "2",
        NULL,
    };
    struct lines lines = { .next = next, .arg = arg };
    struct trained_model out = { 0 };

    *model = NULL;
    *n = 0;
    snprintf(size, sizeof size, "%d", vocab);
    if (spm_train(options, next_line, &lines, take_model, &out, why) != 0) {
        const char *reason = strstr(why, "] ");  /* after "file(line) [condition] " */
        return fail(ERR_CONFIG, "can't train a tokenizer of %d pieces from this text: %s", vocab,
                    reason ? reason + 2 : why);
    }
    *model = out.p;
    *n = out.n;
    return OK;
}
