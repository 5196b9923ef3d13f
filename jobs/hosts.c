/* Lists of hosts: "a:2,b" of a command line, and the lines of a hostfile. */
#include <stdio.h>
#include <string.h>

#include "jobs/launch.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/base/text_file.h"

#define MAX_FILE ((size_t)1 << 20)
#define MAX_SLOTS 65536

/* Letters, digits, '.', '-', '_', first a letter or digit, because mpirun and ssh read it. */
static int is_name(const char *s)
{
    const size_t n = strlen(s);
    static const char usual[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "._-";
    return n > 0 && n < sizeof((struct host *)0)->name && strspn(s, usual) == n &&
           !strchr("._-", s[0]);
}

static int add(struct host **list, int *n, const char *name, const char *slots, const char *where)
{
    int64_t count = 1;

    if (!is_name(name)) return fail(ERR_CONFIG, "%s: '%s' is not a valid host name", where, name);
    if (slots && (!text_int(&count, slots) || count < 1 || count > MAX_SLOTS))
        return fail(ERR_CONFIG, "%s: %s: '%s' is not a number of slots", where, name, slots);
    for (int i = 0; i < *n; i++)
        if (!strcmp((*list)[i].name, name))
            return fail(ERR_CONFIG, "%s: host %s is named twice", where, name);
    *list = mem_resize(*list, *n + 1, sizeof **list, "hosts");
    struct host *h = &(*list)[(*n)++];
    *h = (struct host){ .slots = (int)count };
    snprintf(h->name, sizeof h->name, "%s", name);
    return OK;
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
