/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/words.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"

void word(struct words *w, const char *s)
{
    const size_t n = strlen(s) + 1;
    if (w->v) w->v[w->n] = memcpy(w->text + w->bytes, s, n);
    w->n++;
    w->bytes += n;
}

void pair(struct words *w, const char *a, const char *b)
{
    word(w, a);
    word(w, b);
}

void formatted(struct words *w, const char *format, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, format);
    check(vsnprintf(text, sizeof text, format, ap) < (int)sizeof text);
    va_end(ap);
    word(w, text);
}

void word_each(struct words *w, const char *text)
{
    char *copy = mem_string(text), *rest = copy;
    for (char *s; (s = strsep(&rest, " \t")) != NULL;)
        if (*s) word(w, s);
    mem_free(copy);
}

char *word_path(const char *path)
{
    return mem_format("%s%s", path[0] == '-' || !strcmp(path, ":") ? "./" : "", path);
}

/* Is the word free of characters with a meaning in a shell?  NAME=VALUE would be an assignment. */
static int is_plain(const char *text)
{
    static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    static const char more[] = "@%+:,./-";
    const size_t n = strspn(text, name);

    if (!text[0] || (n && text[n] == '=')) return 0;
    for (; *text; text++)
        if (!strchr(name, *text) && !strchr(more, *text) && *text != '=') return 0;
    return 1;
}

char *shell_word(const char *text)
{
    char *quoted = mem_new((int64_t)(4 * strlen(text) + 3), 1, "shell word"), *p = quoted;

    if (is_plain(text)) return strcpy(quoted, text);
    *p++ = '\'';
    for (; *text; text++) {
        if (*text == '\'') p = stpcpy(p, "'\\''");
        else *p++ = *text;
    }
    *p = '\'';
    return quoted;
}

char *shell_line(char *const words[])
{
    char *line = mem_string("");

    for (int i = 0; words[i]; i++) {
        char *next = shell_word(words[i]), *longer = mem_format("%s%s%s", line, i ? " " : "", next);
        mem_free(next);
        mem_free(line);
        line = longer;
    }
    return line;
}

char **words_made(void (*all)(struct words *w, const struct launch *l), const struct launch *l)
{
    struct words w = { .n = 0 };

    all(&w, l);
    const size_t table = ((size_t)w.n + 1) * sizeof *w.v;
    char **v = mem_new((int64_t)(table + w.bytes), 1, "command line");
    w = (struct words){ .v = v, .text = (char *)v + table };
    all(&w, l);
    return v;
}
