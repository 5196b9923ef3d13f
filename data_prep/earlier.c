/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/earlier.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "data_prep/set.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/data/dataset.h"

/* How this command differs from the one that made x: a counted sentence, or NULL. */
static char *difference(const struct earlier *t, const struct data_index *x)
{
    const int options = !hash_equal(x->options, origin_options_hash(t->origin));
    const int inputs = !hash_equal(x->inputs, origin_inputs_hash(t->origin));
    char a[HASH_HEX], b[HASH_HEX], *found = NULL;

    if (x->format == 1)
        return mem_string("an older ttt prep made it, which did not record its inputs");
    for (int64_t i = 0; i < t->origin->in.n; i++)
        if (t->origin->in.v[i].size < 0)
            return mem_string("what comes through standard input can't be compared with what came "
                              "then, so the work can't be resumed");
    if (options || inputs) found = origin_difference(t->origin, t->out);
    if (found || (!options && !inputs && !t->tokenizer)) return found;
    if (options) return mem_string("its options were others");
    if (inputs) return mem_string("its inputs were others");
    if (hash_equal(x->tokenizer, tokenizer_hash(t->tokenizer))) return NULL;
    hash_hex(a, x->tokenizer);
    hash_hex(b, tokenizer_hash(t->tokenizer));
    return mem_format("the tokenizer was %s %.8s, and is %s %.8s now", x->kind, a,
                      tokenizer_kind(t->tokenizer), b);
}

/* An existing set must be the one that this command makes. */
static int check_same(struct earlier *t, const char *dir, enum set_state state)
{
    char *path = mem_format("%s/INDEX%s", dir, state == SET_PART ? ".part" : ""), *other = NULL;
    struct data_index x = { 0 };
    int rc = OK;

    TRY(data_index_read(&x, path, state == SET_PART));
    t->skipped = x.skipped;
    other = difference(t, &x);
    if (other && state == SET_PART)
        rc = fail(ERR_CONFIG, "%s: was begun with other inputs or options: %s; repeat the "
                  "command with those, or use --restart to start again", dir, other);
    else if (other)
        rc = fail(ERR_CONFIG, "%s: holds a complete data set made from other inputs or options: %s; "
                  "choose another folder, or use --restart to replace it", dir, other);
out:
    data_index_done(&x);
    mem_free(other);
    mem_free(path);
    return rc;
}

/* A complete set will be trained from, so all of it must be valid. */
static int check_whole(const char *dir)
{
    struct dataset *d = NULL;
    const int rc = dataset_open(&d, dir);
    dataset_close(d);
    return rc;
}

static int drop_memo(const char *dir)
{
    char *path = mem_format("%s/" ORIGIN_FILE, dir);
    int rc = OK;
    if (unlink(path) != 0 && errno != ENOENT)
        rc = fail(ERR_IO, "%s: can't remove: %s", path, strerror(errno));
    mem_free(path);
    return rc;
}

int earlier_look(struct earlier *t)
{
    char *three[3] = { mem_string(t->out), mem_format("%s/train", t->out),
                       mem_format("%s/val", t->out) };
    int rc = OK, complete = 0, parts = 0;

    for (int i = 0; i < 3 && rc == OK; i++) {
        const int ours = t->sets_n == 1 ? i == 0 : i > 0;
        const enum set_state state = set_look(three[i]);
        char *part = mem_format("%s/INDEX.part", three[i]);
        if (t->restart) rc = set_remove(three[i]);
        else if (!ours && state != SET_NONE)
            rc = fail(ERR_CONFIG, "%s: holds a data set that was made %s --val-fraction; choose "
                      "another folder, or use --restart to replace it", three[i],
                      i ? "with" : "without");
        else if (ours && state != SET_NONE) rc = check_same(t, three[i], state);
        if (ours) complete += state == SET_COMPLETE;
        if (ours) parts += path_exists(part);
        mem_free(part);
    }
    for (int i = 0; i < 3; i++) mem_free(three[i]);
    if (rc == OK && t->restart) return drop_memo(t->out);
    if (rc != OK) return rc;

    t->done = complete == t->sets_n;
    t->resuming = parts > 0;
    if (t->done)
        for (int i = 0; i < t->sets_n && rc == OK; i++) rc = check_whole(t->dirs[i]);
    if (rc == OK && complete > 0 && !t->done && parts == 0)
        rc = fail(ERR_CONFIG, "%s: one of two data sets is complete and the other is missing; choose "
                  "another folder, or use --restart to replace it", t->out);
    return rc;
}

int earlier_lock(int *fd, const char *out)
{
    const int rc = dir_make(out);

    if (rc != OK) return rc;
    *fd = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd >= 0 && flock(*fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return fail(ERR_OWNER, "%s: another ttt prep or ttt data import is writing to it", out);
    return OK;
}
