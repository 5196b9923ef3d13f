/* SPDX-License-Identifier: Apache-2.0 */
/* Files that begin with others: who wins, what is said of mistakes in them, and that no file makes
 * reading endless. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/build_info.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/share_dir.h"
#include "src/base/status.h"
#include "src/conf/conf.h"

#include <cmocka.h>
#undef fail

#include "tests/unit/said.h"  /* after cmocka */

static char dir[] = "/tmp/ttt-base.XXXXXX";

static void put(const char *name, const char *text)
{
    char *path = mem_format("%s/%s", dir, name);
    assert_int_equal(file_replace(path, text, strlen(text)), OK);
    mem_free(path);
}

/* conf_read() of a file in the folder, its messages caught. */
static int read_file(struct conf *c, const char *name, char *set)
{
    char *path = mem_format("%s/%s", dir, name);

    hear(1);
    const int rc = conf_read(c, path, &set, set != NULL, NULL);
    hear(0);
    mem_free(path);
    return rc;
}

static void refused(const char *text, const char *where_and_what)
{
    struct conf c;
    put("t.yaml", text);
    assert_int_equal(read_file(&c, "t.yaml", NULL), ERR_CONFIG);
    if (!strstr(said, where_and_what)) print_error("says: %s\n", said);
    assert_non_null(strstr(said, where_and_what));
}

/* The last word has the file itself, before it the last of its bases. */
static void the_nearer_file_wins(void **state)
{
    struct conf c;
    (void)state;

    put("a.yaml", "model: {layers: 1, width: 64, heads: 2}\n"
                  "launch: {slurm: {modules: [a, b]}}\n");
    put("sub/b.yaml", "base: ../a.yaml\nmodel: {layers: 2, vocab: 300}\n");
    put("d.yaml", "\xef\xbb\xbf" "train: {steps: 9}\nmodel: {vocab: 400}\n");  /* with a byte order mark */
    put("t.yaml", "base: [sub/b.yaml, d.yaml]\ndata: {train: d}\nmodel: {heads: 4}\n"
                  "launch: {slurm: {modules: [c]}}\n");
    assert_int_equal(read_file(&c, "t.yaml", NULL), OK);
    assert_true(c.model.layers == 2 && c.model.width == 64 && c.model.heads == 4);
    assert_int_equal(c.model.vocab, 400);
    assert_string_equal(c.run.name, "t");
    assert_string_equal(c.launch.slurm.modules, "c");  /* a list is replaced, not continued */

    char set[] = "model.layers=7";
    assert_int_equal(read_file(&c, "t.yaml", set), OK);
    assert_int_equal(c.model.layers, 7);

    /* What is stored is whole. */
    struct conf again;
    char *text = conf_text(&c);
    assert_null(strstr(text, "base:"));
    assert_int_equal(conf_parse(&again, text, strlen(text), "stored", NULL, 0, NULL), OK);
    assert_memory_equal(&c, &again, sizeof c);
    mem_free(text);
}

static void mistakes_have_their_place(void **state)
{
    (void)state;
    put("bad.yaml", "model:\n  widht: 8\n");
    put("range.yaml", "model: {heads: 0}\n");
    put("yaml.yaml", "model: {\n");
    put("twice.yaml", "model: {heads: 2, heads: 4}\n");
    put("bytes.yaml", "model: {}\n#\xff\n");
    refused("base: bad.yaml\ndata: {train: d}\n", "/bad.yaml:2:3: model.widht: expected a known");
    refused("base: range.yaml\ndata: {train: d}\n", "/range.yaml:1:16: model.heads: expected");
    refused("base: yaml.yaml\ndata: {train: d}\n", "/yaml.yaml:2:1: ");
    refused("base: twice.yaml\ndata: {train: d}\n", "/twice.yaml:1:19: model.heads: expected once");
    refused("base: bytes.yaml\ndata: {train: d}\n", "/bytes.yaml:2:2: expected UTF-8");
    put("wide.yaml", "\xff\xfem");
    refused("base: wide.yaml\ndata: {train: d}\n", "/wide.yaml:1:1: expected UTF-8, found UTF-16");
    refused("base: [none.yaml]\ndata: {train: d}\n", "/t.yaml:1:8: base: expected a file that");
    refused("base: \"a\\nb\"\ndata: {train: d}\n", "/t.yaml:1:7: base: expected a path, found a");
    refused("base: /tmp\ndata: {train: d}\n", "/t.yaml:1:7: base: expected a file that");
    refused("data: {train: d}\nbase: a.yaml\n", "/t.yaml:2:1: base: expected once, in front");
    refused("data: {train: d}\nbase: [a.yaml, {model: 1}]\nmodel: {widht: 1}\n", "/t.yaml:3:9: ");
    refused("base: a.yaml\nbase: a.yaml\ndata: {train: d}\n", "/t.yaml:2:1: base: expected once");
    refused("base: {a: b}\ndata: {train: d}\n", "/t.yaml:1:7: base: expected a file or a list");
    refused("base: [[a.yaml]]\ndata: {train: d}\n", "/t.yaml:1:8: base: expected a file or a list");
    refused("base:\ndata: {train: d}\n", "base: expected a file or a list of files, found nothing");
    refused("model: {base: a.yaml}\ndata: {train: d}\n", "/t.yaml:1:9: model.base: expected a known");
    /* A check between keys names the file that gave the last of them. */
    put("wide.yaml", "model: {width: 30}\n");
    refused("base: wide.yaml\ndata: {train: d}\n", "model.heads: expected a divisor");
}

static void reading_ends(void **state)
{
    struct conf c;
    char many[1024] = "base: [";
    (void)state;

    refused("base: t.yaml\ndata: {train: d}\n", "base: expected at most 8 files, each the base");
    put("a.yaml", "model: {layers: 1}\n");
    for (int i = 0; i < 33; i++) strcat(many, "a.yaml, ");
    strcat(many, "a.yaml]\ndata: {train: d}\n");
    refused(many, "base: expected at most 32 files in all");
    /* Each file twice the one below: 2^8 readings, were they not counted. */
    for (int i = 0; i < 8; i++) {
        char name[16], text[64];
        snprintf(name, sizeof name, "x%d.yaml", i);
        snprintf(text, sizeof text, "base: [x%d.yaml, x%d.yaml]\n", i + 1, i + 1);
        put(name, text);
    }
    put("x8.yaml", "model: {layers: 1}\n");
    refused("base: x1.yaml\ndata: {train: d}\n", "base: expected at most");

    /* Text out of a checkpoint reads no files. */
    static const char stored[] = "base: /etc/passwd\ndata: {train: d}\n";
    assert_int_equal(conf_parse(&c, stored, strlen(stored), "stored", NULL, 0, NULL), ERR_CONFIG);
}

static int begin(void **state)
{
    (void)state;
    if (!mkdtemp(dir)) return -1;
    char *sub = mem_format("%s/sub", dir);
    const int rc = dir_make(sub);
    mem_free(sub);
    return rc;
}

static int end(void **state)
{
    (void)state;
    char *command = mem_format("rm -rf '%s'", dir);
    const int rc = system(command);
    mem_free(command);
    return rc || mem_live_blocks() ? -1 : 0;
}

/* What is not near the file may have come with the program. */
static void installed_files_are_found(void **state)
{
    struct conf c;
    char *share = mem_format("%s/share", dir), *from = mem_format("%s/t.yaml", dir), *found;
    (void)state;

    unsetenv("TTT_SHARE");
    char *built = share_dir(), *expected = mem_format("%s/share/ttt", build_prefix());
    assert_string_equal(built, expected);  /* nothing is next to this test */
    setenv("TTT_SHARE", share, 1);
    char *deep = mem_format("%s/config/deep", share);
    assert_int_equal(dir_make(deep), OK);
    mem_free(deep);
    put("share/config/only.yaml", "base: deep/er.yaml\nmodel: {layers: 5}\n");
    put("share/config/deep/er.yaml", "model: {vocab: 500}\n");
    put("share/config/both.yaml", "model: {layers: 6}\n");
    put("both.yaml", "model: {layers: 7}\n");
    put("t.yaml", "base: only.yaml\ndata: {train: d}\n");
    assert_int_equal(read_file(&c, "t.yaml", NULL), OK);
    assert_true(c.model.layers == 5 && c.model.vocab == 500);
    put("t.yaml", "base: config/only.yaml\ndata: {train: d}\n");
    assert_int_equal(read_file(&c, "t.yaml", NULL), OK);
    assert_int_equal(c.model.layers, 5);
    put("t.yaml", "base: both.yaml\ndata: {train: d}\n");
    assert_int_equal(read_file(&c, "t.yaml", NULL), OK);
    assert_int_equal(c.model.layers, 7);
    refused("base: none.yaml\ndata: {train: d}\n", "/share/config, found '");
    found = conf_locate(from, "/none.yaml");
    assert_string_equal(found, "/none.yaml");
    unsetenv("TTT_SHARE");
    mem_free(found);
    mem_free(built);
    mem_free(expected);
    mem_free(from);
    mem_free(share);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearer_file_wins),
        cmocka_unit_test(mistakes_have_their_place),
        cmocka_unit_test(reading_ends), cmocka_unit_test(installed_files_are_found),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
