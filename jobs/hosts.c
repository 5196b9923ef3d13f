/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of hosts: "a:2,b" of a command line, lines of a hostfile, "node[01-04]" of a scheduler. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/launch.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/base/text_file.h"

#define MAX_FILE ((size_t)1 << 20)
#define MAX_SLOTS 65536
#define DIGITS "0123456789"

/* Letters, digits, '.', '-', '_', first a letter or digit, because mpirun and ssh read it. */
static int is_name(const char *s)
{
    const size_t n = strlen(s);
    static const char usual[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "._-";
    return n > 0 && n < sizeof((struct host *)0)->name && strspn(s, usual) == n &&
           !strchr("._-", s[0]);
}

static struct host *find(struct host *list, int n, const char *name)
{
    /* From the end: lists with a line for each slot name a host in lines that follow each other. */
    for (int i = n - 1; i >= 0; i--)
        if (!strcmp(list[i].name, name)) return &list[i];
    return NULL;
}

int hosts_add(struct host **list, int *n, const char *name, int64_t slots, const char *where)
{
    struct host *h = find(*list, *n, name);

    if (!is_name(name)) return fail(ERR_CONFIG, "%s: '%s' is not a valid host name", where, name);
    if (slots < 1 || slots > MAX_SLOTS - (h ? h->slots : 0))
        return fail(ERR_CONFIG, "%s: %s: expected 1 to %d slots", where, name, MAX_SLOTS);
    if (!h) {
        *list = mem_resize(*list, *n + 1, sizeof **list, "hosts");
        h = &(*list)[(*n)++];
        *h = (struct host){ .slots = 0 };
        snprintf(h->name, sizeof h->name, "%s", name);
    }
    h->slots += (int)slots;
    return OK;
}

/* One host of a user's list. */
static int add(struct host **list, int *n, const char *name, const char *slots, const char *where)
{
    int64_t count = 1;

    if (slots && (!text_int(&count, slots) || count < 1 || count > MAX_SLOTS))
        return fail(ERR_CONFIG, "%s: %s: '%s' is not a number of slots", where, name, slots);
    if (find(*list, *n, name))
        return fail(ERR_CONFIG, "%s: host %s is named twice", where, name);
    return hosts_add(list, n, name, count, where);
}

static int give(int rc, struct host **list, int *n)
{
    if (rc == OK) return OK;
    mem_free(*list);
    *list = NULL;
    *n = 0;
    return rc;
}

int hosts_parse(struct host **out, int *n, const char *list)
{
    char *text = mem_string(list), *rest = text;
    int rc = OK;

    *out = NULL;
    *n = 0;
    for (char *word; rc == OK && (word = strsep(&rest, ",")) != NULL;) {
        char *colon = strchr(word, ':');
        if (colon) *colon++ = '\0';
        rc = add(out, n, word, colon, "hosts");
    }
    mem_free(text);
    return give(rc, out, n);
}

int hosts_read(struct host **out, int *n, const char *file)
{
    char *text = NULL, *rest;
    size_t bytes;
    int rc = text_file_read(&text, &bytes, file, MAX_FILE);

    *out = NULL;
    *n = 0;
    rest = text;
    for (char *line; rc == OK && (line = strsep(&rest, "\n")) != NULL;) {
        char name[256] = "", slots[32] = "", more;
        line[strcspn(line, "#")] = '\0';
        const int k = sscanf(line, " %255s slots=%31s %c", name, slots, &more);
        if (k < 1) continue;
        if (k == 3 || (k == 1 && sscanf(line, " %*s %c", &more) == 1))
            rc = fail(ERR_CONFIG, "%s: expected NAME slots=N, found '%.100s'", file, line);
        else rc = add(out, n, name, k == 2 ? slots : NULL, file);
    }
    if (rc == OK && *n == 0)
        rc = fail(ERR_CONFIG, "%s: expected lines NAME slots=N, found no host", file);
    mem_free(text);
    return give(rc, out, n);
}

/* "01-03" or "7", the next range in brackets; zeros in front are part of the names.
 * returns what follows it, or NULL */
static const char *next_range(int64_t *lo, int64_t *hi, int *width, const char *p)
{
    *width = (int)strspn(p, DIGITS);
    if (!*width || *width > 9) return NULL;
    *lo = *hi = strtoll(p, NULL, 10);
    p += *width;
    if (*p == '-') {
        const size_t n = strspn(p + 1, DIGITS);
        if (!n || n > 9) return NULL;
        *hi = strtoll(p + 1, NULL, 10);
        p += 1 + n;
    }
    return *hi >= *lo && *hi - *lo < MAX_SLOTS ? p : NULL;
}

/* The hosts of "node[01-03,7]x": `head` is what stands before the bracket.
 * returns what follows the bracket and the tail, or NULL */
static const char *add_ranges(struct host **out, int *n, const char *head, int length,
                              const char *p, const char *where)
{
    const char *close = strchr(p, ']');
    if (!close) return NULL;
    const int tail = (int)strcspn(close + 1, ",[");
    int64_t lo, hi;
    int width;

    for (; p && p < close; p += p && *p == ',') {
        p = next_range(&lo, &hi, &width, p);
        if (!p || (*p != ',' && p != close)) return NULL;
        for (int64_t k = lo; k <= hi; k++) {
            char *name = mem_format("%.*s%0*lld%.*s", length, head, width, (long long)k, tail,
                                    close + 1);
            const int rc = hosts_add(out, n, name, 1, where);
            mem_free(name);
            if (rc != OK) return NULL;
        }
    }
    return close + 1 + tail;
}

int hosts_expand(struct host **out, int *n, const char *list, const char *where)
{
    const char *p = list;

    *out = NULL;
    *n = 0;
    while (p && *p) {
        const int length = (int)strcspn(p, ",[");
        const char *head = p;
        p += length;
        if (*p == '[') p = add_ranges(out, n, head, length, p + 1, where);
        else {
            char *name = mem_format("%.*s", length, head);
            if (hosts_add(out, n, name, 1, where) != OK) p = NULL;
            mem_free(name);
        }
        if (p && *p && (*p++ != ',' || !*p)) p = NULL;
    }
    if (p && *n) return OK;
    return give(fail(ERR_CONFIG, "%s: expected hosts as node[1-4],other, found '%.100s'", where,
                     list), out, n);
}
