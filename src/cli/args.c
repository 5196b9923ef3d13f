/* SPDX-License-Identifier: Apache-2.0 */
#include "src/cli/args.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/status.h"
#include "src/base/text.h"

/* An option as it was written: --name VALUE, --name=VALUE, -x VALUE or -xVALUE. */
struct given {
    const char *dashes, *name, *value;  /* value: NULL if it is the next word */
    size_t      length;                 /* of the name                        */
};

static const char *dashes(const struct arg *a) { return a->name[1] ? "--" : "-"; }

static struct given split(const char *word)
{
    struct given g = { 0 };
    if (word[1] != '-') {
        g = (struct given){ "-", word + 1, word[2] ? word + 2 : NULL, 1 };
        return g;
    }
    const char *equals = strchr(word, '=');
    g.dashes = "--";
    g.name = word + 2;
    g.value = equals ? equals + 1 : NULL;
    g.length = equals ? (size_t)(equals - g.name) : strlen(g.name);
    return g;
}

static const struct arg *find(const struct arg *args, int count, const struct given *g)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(dashes(&args[i]), g->dashes) && strlen(args[i].name) == g->length &&
            !strncmp(args[i].name, g->name, g->length))
            return &args[i];
    return NULL;
}

static int unknown(const struct arg *args, int count, const struct given *g)
{
    char name[64];
    struct nearest n = { .to = name };

    snprintf(name, sizeof name, "%.*s", (int)(g->length < 63 ? g->length : 63), g->name);
    for (int i = 0; i < count; i++) nearest_try(&n, args[i].name);
    if (!n.best)
        return fail(ERR_USAGE, "%s%s is not an option; --help lists the options", g->dashes, name);
    return fail(ERR_USAGE, "%s%s is not an option (did you mean %s%s?)", g->dashes, name,
                n.best[1] ? "--" : "-", n.best);
}

static int store(const struct arg *a, char *text)
{
    struct arg_list *list = a->value;

    switch (a->kind) {
    case ARG_INT:
        if (text_int(a->value, text)) return OK;
        return fail(ERR_USAGE, "%s%s: expected a whole number, found '%s'", dashes(a), a->name,
                    text);
    case ARG_DOUBLE:
        if (text_double(a->value, text)) return OK;
        return fail(ERR_USAGE, "%s%s: expected a number, found '%s'", dashes(a), a->name, text);
    case ARG_TEXT:
        *(const char **)a->value = text;
        return OK;
    case ARG_TARGET:
        *(const char **)a->value = text;
        return file_target(text);
    case ARG_LIST:
        if (list->n == (int)(sizeof list->v / sizeof *list->v))
            return fail(ERR_USAGE, "%s%s: given more than %d times", dashes(a), a->name, list->n);
        list->v[list->n++] = text;
        return OK;
    case ARG_FLAG: break;
    }
    *(int *)a->value = 1;
    return OK;
}

/* Options without a repeated meaning may be given once: the second would
 * silently win over the first. */
static int once(uint64_t *seen, const struct arg *args, const struct arg *a)
{
    const uint64_t bit = (uint64_t)1 << (a - args);
    if (*seen & bit && a->kind != ARG_LIST)
        return fail(ERR_USAGE, "%s%s is given twice", dashes(a), a->name);
    *seen |= bit;
    return OK;
}

int args_parse(struct arg_rest *rest, int argc, char **argv, const struct arg *args, int count,
               const char *usage, const char *about)
{
    int rc = OK, options = 1, kept = 1;
    uint64_t seen = 0;

    check(count <= 64);
    *rest = (struct arg_rest){ .v = argv + 1, .args = args };
    for (int i = 1; i < argc; i++) {
        char *word = argv[i];
        if (!options || word[0] != '-' || !word[1]) {
            argv[kept++] = word;
            continue;
        }
        if (!strcmp(word, "--")) {
            options = 0;
            continue;
        }
        if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
            args_help(args, count, usage, about);
            rest->n = -1;
            return OK;
        }
        const struct given g = split(word);
        const struct arg *a = find(args, count, &g);
        if (!a) TRY(unknown(args, count, &g));
        TRY(once(&seen, args, a));
        if (a->kind == ARG_FLAG && g.value)
            TRY(fail(ERR_USAGE, "%s%s takes no value", dashes(a), a->name));
        if (a->kind != ARG_FLAG && !g.value && i + 1 == argc)
            TRY(fail(ERR_USAGE, "%s%s: %s is missing", dashes(a), a->name,
                     a->meta ? a->meta : "its value"));
        TRY(store(a, a->kind == ARG_FLAG ? NULL : g.value ? (char *)g.value : argv[++i]));
    }
    rest->n = kept - 1;
    rest->given = seen;
out:
    return rc;
}

int args_given(const struct arg_rest *rest, const char *name)
{
    for (int i = 0; i < 64; i++)
        if (rest->given >> i & 1 && !strcmp(rest->args[i].name, name)) return 1;
    return 0;
}

static int among(const char *names, const char *name)
{
    const size_t n = strlen(name);
    for (const char *p = names; (p = strstr(p, name)); p += n)
        if ((p == names || p[-1] == ' ') && (p[n] == ' ' || !p[n])) return 1;
    return 0;
}

int args_only(const struct arg_rest *rest, const char *what, const char *names)
{
    for (int i = 0; i < 64; i++) {
        if (!(rest->given >> i & 1) || among(names, rest->args[i].name)) continue;
        return fail(ERR_USAGE, "%s does not read %s%s", what, dashes(&rest->args[i]),
                    rest->args[i].name);
    }
    return OK;
}
