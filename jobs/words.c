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
