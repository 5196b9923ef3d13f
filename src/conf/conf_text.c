/* SPDX-License-Identifier: Apache-2.0 */
/* The table, printed: a resolved configuration, and the reference of all keys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/roff.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/conf/conf_table.h"

static const char *leaf(const struct conf_key *k) { return strrchr(k->path, '.') + 1; }

/* Does row i begin a section?  Its name goes to `section`. */
static int begins(char section[32], const struct conf_key *keys, int i)
{
    const size_t n = (size_t)(leaf(&keys[i]) - keys[i].path);
    snprintf(section, 32, "%.*s", (int)n - 1, keys[i].path);
    return i == 0 || (size_t)(leaf(&keys[i - 1]) - keys[i - 1].path) != n ||
           strncmp(keys[i].path, keys[i - 1].path, n) != 0;
}

/* "section:", or "section:" and below it "part:"; what is open already is not repeated. */
static void heading(FILE *out, const char *section, const struct conf_key *before)
{
    const char *part = strchr(section, '.');
    const int n = (int)strcspn(section, ".");

    if (before) fputs("\n", out);
    if (!before || strncmp(before->path, section, (size_t)n + !!part) != 0)
        fprintf(out, "%.*s:\n", n, section);
    if (part) fprintf(out, "  %s:\n", part + 1);
}

char *schema_text(const struct conf_schema *s, const void *values, int help)
{
    char *text = NULL, section[32], value[3 * CONF_PATH];
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    check(out);
    for (int i = 0; i < s->count; i++) {
        const struct conf_key *k = &s->keys[i];
        if (begins(section, s->keys, i)) heading(out, section, i ? &s->keys[i - 1] : NULL);
        const char *indent = strchr(section, '.') ? "    " : "  ";
        conf_show(value, sizeof value, values, k);
        if (help) fprintf(out, "%s# %s%s%s\n", indent, k->help, k->unit[0] ? ", " : "", k->unit);
        fprintf(out, "%s%s: %s\n", indent, leaf(k), value);
    }
    if (fclose(out) != 0) leave(fail(ERR_MEMORY, "out of memory: text of the configuration"));
    char *counted = mem_string(text);
    free(text);
    return counted;
}

char *conf_text(const struct conf *c) { return schema_text(&conf_run, c, 0); }

static void preset(FILE *out, const struct conf_key *k)
{
    if (!k->preset) fprintf(out, "required");
    else if (k->type == CONF_LIST) fprintf(out, "`[]`");
    else if (conf_is_text(k)) fprintf(out, "`\"%s\"`", k->preset);
    else fprintf(out, "`%s`", k->preset);
}

/* What a value must be, where "|" ends a cell. */
static const char *cell(char *out, size_t room, const struct conf_key *k)
{
    char text[256];
    size_t n = 0;

    conf_expected(text, sizeof text, k);
    for (const char *p = text; *p && n + 2 < room; p++) {
        if (*p == '|') out[n++] = '\\';
        out[n++] = *p;
    }
    out[n] = '\0';
    return out;
}

void conf_reference(FILE *out)
{
    char section[32], expected[512];

    fprintf(out,
            "# Configuration\n\n"
            "One YAML file describes one run. This page lists every key. `ttt config reference`\n"
            "prints it from the table with which the program reads the files. [GUIDE.md](GUIDE.md)\n"
            "tells which of them matter for what.\n\n"
            "    ttt config check RUN.yaml      report all mistakes at once, with line and column\n"
            "    ttt config show RUN.yaml       print every key with its value, and the memory needed\n"
            "    ttt train RUN.yaml --set optim.lr=1e-3 --set train.steps=100\n\n"
            "A key that is absent, or `auto`, has its default: the recipe of the TTT paper for 125M\n"
            "parameters. With `train.init_from`, keys of `model` have that model's values instead. Only\n"
            "`data.train` must be given. An override (`--set`) wins over the file; a list is overridden by\n"
            "one text or a list (`'launch.slurm.source=[a.sh, b.sh]'`). Unknown and repeated keys, anchors,\n"
            "aliases and tags are mistakes. Truth values are `true` and `false` only. Numbers are decimal\n"
            "(`1e-3`; whole numbers without an exponent), without underscores and leading zeros.\n\n"
            "A file may build on other files, whose paths are relative to it, or to `share/ttt/config` of\n"
            "the installation where nothing is there: their keys are read first, and its own keys replace\n"
            "them. `ttt config show` prints the result without `base`, and every run stores it in that\n"
            "form.\n\n"
            "    base: [base/350m.yaml, base/ttt-mlp.yaml]\n"
            "    data: {train: data/mine/train}\n");
    for (int i = 0; i < conf_key_count; i++) {
        const struct conf_key *k = &conf_keys[i];
        if (begins(section, conf_keys, i))
            fprintf(out, "\n## %s\n\n| key | value | default | meaning |\n|---|---|---|---|\n",
                    section);
        fprintf(out, "| `%s` | %s%s%s | ", k->path, cell(expected, sizeof expected, k),
                k->unit[0] ? "; " : "", k->unit);
        preset(out, k);
        fprintf(out, " | %s |\n", k->help);
    }
}

void conf_manual(FILE *out)
{
    char section[32], expected[256];

    roff_head(out, "ttt run", 5, "configuration of a training run of ttt");
    fputs(".SH DESCRIPTION\n", out);
    roff_text(out,
              "One YAML file describes one run: sections with keys. A key that is absent, or auto, "
              "has its default; data.train must be given. With train.init_from, keys of model have "
              "that model's values instead. The first key may be base: a file, or a list of files, "
              "whose keys are read first. They are looked for relative to the file, then among "
              "those that came with the program (share/ttt/config):\n");
    fputs(".PP\n.nf\n", out);
    roff_text(out, "    base: [base/350m.yaml, base/ttt-mlp.yaml]\n"
                   "    data: {train: data/mine/train}\n");
    fputs(".fi\n", out);
    for (int i = 0; i < conf_key_count; i++) {
        const struct conf_key *k = &conf_keys[i];
        if (begins(section, conf_keys, i)) fprintf(out, ".SH %s\n", section);
        fprintf(out, ".TP\n\\fB%s\\fR: ", k->path);
        roff_text(out, conf_expected(expected, sizeof expected, k));
        fprintf(out, "%s%s\n", k->unit[0] ? "; " : "", k->unit);
        roff_text(out, k->help);
        if (!k->preset) fputs(" (required)\n", out);
        else if (!*k->preset) fputs("\n", out);
        else {
            fputs(" (default ", out);
            roff_text(out, k->preset);
            fputs(")\n", out);
        }
    }
    fputs(".SH SEE ALSO\nttt\\-config(1), ttt\\-train(1)\n", out);
}
