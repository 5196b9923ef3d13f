/* SPDX-License-Identifier: Apache-2.0 */
/* The runs of many folders, shown: ttt status, ttt series --status. */
#include <stdio.h>

#include "jobs/run_state.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"

struct runs { struct run_state *v; int n; };

static void add(struct runs *r, const char *dir)
{
    r->v = mem_resize(r->v, r->n + 1, sizeof *r->v, "runs");
    run_state_read(&r->v[r->n++], dir);
}

/* All runs in a folder, or a row that tells why they are not known. */
static void add_all(struct runs *r, const char *dir)
{
    char **names = NULL;
    int count = 0;
    const int before = r->n;

    log_speaker(0);
    const int rc = dir_list(&names, &count, dir);
    log_speaker(1);
    if (rc != OK) {
        add(r, dir);
        struct run_state *s = &r->v[r->n - 1];
        mem_free(s->error);
        s->error = mem_string(log_last_error());
        s->rc = rc;
        s->facts.unreadable = 1;
    }
    for (int i = 0; i < count; i++) {
        char *run = mem_format("%s/%s", dir, names[i]);
        if (run_is_there(run)) add(r, run);
        mem_free(run);
    }
    if (r->n == before) log_warn("%s: there is no run in this folder", dir);
    mem_free(names);
}

/* The first run that could not be read in full decides the exit code. */
static int verdict(const struct runs *r)
{
    int rc = OK, bad = 0, first = 0;

    for (int i = 0; i < r->n; i++) {
        if (r->v[i].rc == OK) continue;
        if (!bad++) first = i;
    }
    if (bad) rc = r->v[first].rc;
    if (bad == 1) return fail(rc, "%s", r->v[first].error);
    return bad ? fail(rc, "%d of %d runs can't be read in full; the first: %s", bad, r->n,
                      r->v[first].error) : OK;
}

int run_states_show(char **dirs, int count, int json)
{
    struct runs r = { NULL, 0 };

    for (int i = 0; i < count; i++) {
        if (path_is_dir(dirs[i]) && !run_is_there(dirs[i])) add_all(&r, dirs[i]);
        else add(&r, dirs[i]);
    }
    run_states_judge(r.v, r.n);
    if (json) {
        json_t *all = json_array();
        for (int i = 0; i < r.n; i++) json_array_append_new(all, run_state_json(&r.v[i]));
        json_dumpf(all, stdout, JSON_INDENT(2));
        printf("\n");
        json_decref(all);
    } else run_state_print(r.v, r.n);
    const int rc = verdict(&r);
    for (int i = 0; i < r.n; i++) run_state_done(&r.v[i]);
    mem_free(r.v);
    return rc;
}
