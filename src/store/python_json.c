/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/python_json.h"

#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"

static const char *const words[] = { "NaN", "Infinity", "-Infinity" };
#define WORDS (sizeof words / sizeof *words)
#define MOST 32  /* bytes of what a word becomes */

/* The word at text[i, n), which no letter or digit follows; NULL: none. */
static const char *word_at(const char *text, size_t n, size_t i)
{
    for (size_t w = 0; w < WORDS; w++) {
        const size_t len = strlen(words[w]);
        if (n - i < len || memcmp(text + i, words[w], len) != 0) continue;
        const char next = i + len < n ? text[i + len] : ' ';
        if (strchr(" \t\r\n,]}", next)) return words[w];
    }
    return NULL;
}

/* With every word outside of strings replaced; a counted block of *n bytes. */
static char *without_words(const char *text, size_t *n)
{
    size_t count = 0, used = 0;
    int quoted = 0;

    for (size_t i = 0; i < *n; i++) count += text[i] == 'N' || text[i] == 'I';
    char *out = mem_new((int64_t)(*n + count * MOST + 1), 1, "JSON");
    for (size_t i = 0; i < *n; i++) {
        const char *word = quoted ? NULL : word_at(text, *n, i);
        if (word) {
            used += (size_t)snprintf(out + used, MOST, "{\"__float__\":\"%s\"}", word);
            i += strlen(word) - 1;
            continue;
        }
        if (text[i] == '"') quoted = !quoted;
        out[used++] = text[i];
        if (quoted && text[i] == '\\' && i + 1 < *n) out[used++] = text[++i];
    }
    *n = used;
    return out;
}

/* The end of `what` after the blanks at p; NULL: something else is there. */
static const char *after(const char *p, const char *what)
{
    if (!p) return NULL;
    p += strspn(p, " \t\r\n");
    return strncmp(p, what, strlen(what)) ? NULL : p + strlen(what);
}

void python_json_words(char *text)
{
    char *to = text;

    for (const char *p = text; *p; ) {
        const char *inside = after(after(after(p, "{"), "\"__float__\""), ":"), *end = NULL;
        size_t w = 0;
        for (; *p == '{' && w < WORDS && !end; w++) {
            const char *word = after(after(inside, "\""), words[w]);
            end = after(after(word, "\""), "}");
        }
        if (end) {
            to += sprintf(to, "%s", words[w - 1]);
            p = end;
        } else *to++ = *p++;
    }
    *to = '\0';
}

json_t *python_json_load(const char *text, size_t n, json_error_t *error)
{
    size_t m = n;
    char *standard = without_words(text, &m);
    json_t *value = json_loadb(standard, m, JSON_REJECT_DUPLICATES, error);

    mem_free(standard);
    return value;
}
