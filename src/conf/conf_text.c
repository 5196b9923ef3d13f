/* The table, printed: a resolved configuration, and the reference of all keys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/conf/conf_table.h"

/* Does row i begin a section?  Its name goes to `section`. */
static int begins(char section[32], const struct conf_key *keys, int i)
{
    const char *path = keys[i].path;
    const size_t n = strcspn(path, ".") + 1;
    snprintf(section, 32, "%.*s", (int)n - 1, path);
    return i == 0 || strncmp(path, keys[i - 1].path, n) != 0;
}

static const char *leaf(const struct conf_key *k) { return strchr(k->path, '.') + 1; }

char *schema_text(const struct conf_schema *s, const void *values, int help)
{
    char *text = NULL, section[32], value[3 * CONF_PATH];
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    check(out);
    for (int i = 0; i < s->count; i++) {
        const struct conf_key *k = &s->keys[i];
        if (begins(section, s->keys, i)) fprintf(out, "%s%s:\n", i ? "\n" : "", section);
        conf_show(value, sizeof value, values, k);
        if (help) fprintf(out, "  # %s%s%s\n", k->help, k->unit[0] ? ", " : "", k->unit);
        fprintf(out, "  %s: %s\n", leaf(k), value);
    }
    if (fclose(out) != 0) leave(fail(ERR_MEMORY, "out of memory: text of the configuration"));
    char *counted = mem_string(text);
    free(text);
    return counted;
}

char *conf_text(const struct conf *c) { return schema_text(&conf_run, c, 0); }

static void preset(FILE *out, const struct conf_key *k)
{
    if (!k->preset) fprintf(out, "must be given");
    else if (k->type == CONF_TEXT) fprintf(out, "`\"%s\"`", k->preset);
    else fprintf(out, "`%s`", k->preset);
}

void conf_reference(FILE *out)
{
    char section[32], expected[256];

    fprintf(out,
            "# Configuration\n\n"
            "One YAML file is one run. Below is every key; this page is printed by\n"
            "`ttt config reference` from the table the program reads files with.\n\n"
            "    ttt config check RUN.yaml      all mistakes at once, with line and column\n"
            "    ttt config show RUN.yaml       every key with its value, and the memory needed\n"
            "    ttt train RUN.yaml --set optim.lr=1e-3 --set train.steps=100\n\n"
            "A key that is absent has its default: the recipe of the TTT paper for 125M\n"
            "parameters. Only `data.train` must be given. An override (`--set`) wins over the\n"
            "file. Unknown and repeated keys, anchors, aliases and tags are mistakes; `true` and\n"
            "`false` are the only truth values; numbers are decimal (`1e-3`), without\n"
            "underscores.\n");
    for (int i = 0; i < conf_key_count; i++) {
        const struct conf_key *k = &conf_keys[i];
        if (begins(section, conf_keys, i))
            fprintf(out, "\n## %s\n\n| key | value | default | meaning |\n|---|---|---|---|\n",
                    section);
        fprintf(out, "| `%s` | %s%s%s | ", k->path, conf_expected(expected, sizeof expected, k),
                k->unit[0] ? "; " : "", k->unit);
        preset(out, k);
        fprintf(out, " | %s |\n", k->help);
    }
}
