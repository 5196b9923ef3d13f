/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_ckpt.c -- `ttt ckpt`: what checkpoints there are, what is in them, whether they are
 * whole, and how two of them differ. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/human.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/cli/args.h"
#include "src/cli/ckpt_cmd.h"
#include "src/cli/cmd.h"
#include "src/store/ckpt.h"

static const char about[] =
    "  list RUN        list all checkpoints of a run, newest first; each is read and verified\n"
    "  show CKPT       print tensors with their statistics, counters, and whether the model looks\n"
    "                  untrained\n"
    "  verify CKPT     read every tile of a checkpoint, or of all checkpoints of a run\n"
    "  diff A B        print counters, model keys and tensors that differ; exit code 0 if none\n"
    "                  does, else 1\n"
    "\n"
    "ttt ckpt spectrum MODEL prints singular values of its matrices.\n"
    "\n"
    "CKPT, A and B are folders of checkpoints, or of runs, whose newest valid one is taken.\n"
    "Equal state roots mean equal training states, bit by bit.\n"
    "\n"
    "example\n"
    "  ttt ckpt diff logs/a logs/b\n"
    "\n"
    "exit codes: 65 a checkpoint is damaged, 66 there is none";

/* "path/ckpt" if there is such a folder, else path; a counted string. */
static char *folder_of(const char *path)
{
    char *sub = mem_format("%s/ckpt", path);
    if (path_is_dir(sub)) return sub;
    mem_free(sub);
    return mem_string(path);
}

/* One line.  prove: read every tile. */
static int list_one(const char *dir, const struct ckpt_entry *e, int prove)
{
    char *path = mem_format("%s/%s", dir, e->name);
    char size[HUMAN_TEXT] = "-", when[CKPT_TIME] = "-", root[HASH_HEX] = "-";
    struct ckpt *c = NULL;
    int rc = OK, gone = 0;

    if (e->committed) {
        gone = ckpt_is_gone(path);
        if (!gone) rc = ckpt_open(&c, path);
        if (c) {
            human_bytes(size, ckpt_bytes(c));
            ckpt_time(when, c);
            hash_hex(root, ckpt_root(c));
            if (prove) rc = ckpt_verify(c);
        }
        /* A live run removes old ones while they are read here. */
        if (rc != OK) gone = ckpt_is_gone(path);
        if (gone) rc = OK;
    }
    printf("%12" PRId64 "  %7" PRId64 "  %10s  %-32s  %-13s  %s\n", e->step, e->attempt, size, root,
           !e->committed ? "not committed" : gone ? "removed" : rc != OK ? "DAMAGED" : prove ? "valid" : "opens",
           when);
    ckpt_close(c);
    mem_free(path);
    return rc;
}

/* All checkpoints of a run.  The first damage is the result. */
static int list(const char *path, int prove)
{
    char *dir = folder_of(path);
    struct ckpt_entry *entries = NULL;
    int count = 0;
    int rc = ckpt_list(&entries, &count, dir);

    if (rc == ERR_MISSING) fail(rc, "%s: no such folder", path);
    else if (rc == OK && count == 0) rc = fail(ERR_MISSING, "%s: holds no checkpoint", path);
    if (rc == OK)
        printf("%12s  %7s  %10s  %-32s  %-13s  %s\n", "step", "attempt", "size", "state root",
               "state", "saved (UTC)");
    for (int i = 0; i < count; i++) {
        const int now = list_one(dir, &entries[i], prove);
        if (rc == OK) rc = now;
    }
    mem_free(entries);
    mem_free(dir);
    return rc;
}

static int verify(const char *path)
{
    char *manifest = mem_format("%s/MANIFEST", path), root[HASH_HEX];
    struct ckpt *c = NULL;
    int rc = OK;

    if (!path_exists(manifest)) {
        rc = list(path, 1);
    } else {
        rc = ckpt_open(&c, path);
        if (rc == OK) rc = ckpt_verify(c);
        if (rc != OK && ckpt_is_gone(path))
            rc = fail(ERR_MISSING, "%s: was removed while it was being read", path);
        if (rc == OK) {
            hash_hex(root, ckpt_root(c));
            printf("%s: valid, step %" PRId64 ", root %s\n", text_visible(path),
                   ckpt_step(c), root);
        }
    }
    ckpt_close(c);
    mem_free(manifest);
    return rc;
}

const struct command ckpt_parts[] = {
    { "spectrum", cmd_ckpt_spectrum, .about = "print singular values and ranks of weights and fast weights" },
    { .name = NULL },
};

int cmd_ckpt(int argc, char **argv)
{
    int json = 0, all = 0, quick = 0;
    const struct arg args[] = {
        { "json", ARG_FLAG, &json, NULL, "show, diff: print one JSON object" },
        { "all", ARG_FLAG, &all, NULL, "show: also print the optimizer's tensors" },
        { "quick", ARG_FLAG, &quick, NULL,
          "list: verify MANIFEST and index only, do not read tiles" },
    };
    struct arg_rest rest;

    if (argc > 1 && !strcmp(argv[1], ckpt_parts->name)) return ckpt_parts->run(argc - 1, argv + 1);
    const int rc = args_parse(&rest, argc, argv, args, sizeof args / sizeof *args,
                              "ttt ckpt list|show|verify|diff CKPT [CKPT]", about);
    if (rc != OK || rest.n < 0) return rc;

    const char *what = rest.n ? rest.v[0] : "";
    const char *reads = !strcmp(what, "diff") ? "json" : !strcmp(what, "list") ? "quick"
                      : !strcmp(what, "show") ? "json all" : !strcmp(what, "verify") ? "" : NULL;
    if (reads && args_only(&rest, what, reads) != OK) return ERR_USAGE;
    if (!strcmp(what, "diff") && rest.n == 3) return ckpt_compare(rest.v[1], rest.v[2], json);
    if (!strcmp(what, "list") && rest.n == 2) return list(rest.v[1], !quick);
    if (!strcmp(what, "show") && rest.n == 2) return ckpt_show(rest.v[1], json, all);
    if (!strcmp(what, "verify") && rest.n == 2) return verify(rest.v[1]);
    return fail(ERR_USAGE, "ttt ckpt takes list RUN, show CKPT, verify CKPT, or diff A B; "
                "ttt ckpt --help tells more");
}
