/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/find.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data_prep/format.h"
#include "src/base/encoding.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#define MAX_DEPTH 64  /* of folders */

/* The files and folders that this search has met: a hash set with open addressing, at most half
 * full. */
struct met { struct file_id { dev_t dev; ino_t ino; int used; } *v; int64_t n, room; };

struct search { struct inputs *in; struct met met; };

static struct file_id *find(const struct met *m, dev_t dev, ino_t ino)
{
    const uint64_t id[2] = { (uint64_t)dev, (uint64_t)ino };
    uint64_t i = hash_bytes(id, sizeof id).lo;
    for (;; i++) {
        struct file_id *p = m->v + i % (uint64_t)m->room;
        if (!p->used || (p->dev == dev && p->ino == ino)) return p;
    }
}

/* Is it met for the first time?  Adds it. */
static int is_new(struct met *m, const struct stat *st)
{
    if (2 * m->n >= m->room) {
        struct met bigger = { .room = 2 * m->room + 64, .n = m->n };
        bigger.v = mem_new(bigger.room, sizeof *bigger.v, "files of a folder");
        for (int64_t i = 0; i < m->room; i++)
            if (m->v[i].used) *find(&bigger, m->v[i].dev, m->v[i].ino) = m->v[i];
        mem_free(m->v);
        *m = bigger;
    }
    struct file_id *p = find(m, st->st_dev, st->st_ino);
    if (p->used) return 0;
    *p = (struct file_id){ st->st_dev, st->st_ino, 1 };
    m->n++;
    return 1;
}

/* Count files and bytes of what is left out; links are not followed. */
static void measure(struct data_files *sum, const char *path, int depth)
{
    struct dirent *e;
    struct stat st;
    DIR *d;

    if (lstat(path, &st) != 0) return;
    if (!S_ISDIR(st.st_mode)) {
        sum->files++;
        sum->bytes += S_ISREG(st.st_mode) ? st.st_size : 0;
        return;
    }
    if (depth == MAX_DEPTH || !(d = opendir(path))) return;
    while ((e = readdir(d))) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        char *inner = mem_format("%s/%s", path, e->d_name);
        measure(sum, inner, depth + 1);
        mem_free(inner);
    }
    closedir(d);
}

static void leave_out(struct search *s, const char *path, enum data_left why)
{
    struct data_files what = { 0 };
    measure(&what, path, 0);
    if (what.files == 0) what.files = 1;  /* an empty folder, or one that can't be read */
    inputs_leave(s->in, path, why, what);
}

/* What exists but can't be reached or read. */
static int unreadable(struct search *s, const char *path, int error, enum data_left why)
{
    if (s->in->skip_bad) {
        leave_out(s, path, why);
        return OK;
    }
    return fail(why == LEFT_LINK ? ERR_MISSING : ERR_IO, "%s: %s%s (--skip-bad leaves it out)",
                path, why == LEFT_LINK ? "a link to nothing: " : "can't read: ", strerror(error));
}

static int search(struct search *s, const char *path, int depth);

static int visit(struct search *s, const char *path, const char *name, int depth)
{
    struct input x = { 0 };
    struct stat st, link;

    if (name[0] == '.') {
        leave_out(s, path, LEFT_HIDDEN);
    } else if (stat(path, &st) != 0) {
        const int error = errno, ours = input_classify(&x, name);
        const int broken = lstat(path, &link) == 0 && S_ISLNK(link.st_mode) && error != EACCES;
        if (!broken || ours)
            return unreadable(s, path, error, broken ? LEFT_LINK : LEFT_UNREADABLE);
        leave_out(s, path, LEFT_LINK);
    } else if (S_ISDIR(st.st_mode)) {
        if (is_new(&s->met, &st)) return search(s, path, depth + 1);
        inputs_leave(s->in, path, LEFT_AGAIN, (struct data_files){ 1, 0 });
    } else if (!S_ISREG(st.st_mode)) {
        inputs_leave(s->in, path, LEFT_SPECIAL, (struct data_files){ 1, 0 });
    } else if (!input_classify(&x, name) || !is_new(&s->met, &st)) {
        inputs_leave(s->in, path, input_classify(&x, name) ? LEFT_AGAIN : LEFT_FORMAT,
                     (struct data_files){ 1, st.st_size });
    } else {
        inputs_append(s->in, x, &st, path);
    }
    return OK;
}

static int search(struct search *s, const char *path, int depth)
{
    const char *slash = path[strlen(path) - 1] == '/' ? "" : "/";
    char **names = NULL;
    int count = 0, rc = OK;

    if (depth == MAX_DEPTH) TRY(fail(ERR_MISSING, "%s: folders are nested too deep", path));
    if (depth > 0 && access(path, R_OK | X_OK) != 0) {
        TRY(unreadable(s, path, errno, LEFT_UNREADABLE));
        goto out;
    }
    TRY(dir_list(&names, &count, path));
    for (int i = 0; i < count && rc == OK; i++) {
        char *inner = mem_format("%s%s%s", path, slash, names[i]);
        rc = visit(s, inner, names[i], depth);
        mem_free(inner);
    }
out:
    mem_free(names);
    return rc;
}

/* Nothing in a folder is read: report what it holds instead. */
static int nothing(const struct inputs *in, int64_t first, const char *path)
{
    struct data_files left[LEFT_KINDS] = { { 0 } };
    const struct left *other = NULL;
    char text[200] = "", *endings = input_endings();
    int n = 0;

    for (int64_t i = first; i < in->left_n; i++) {
        left[in->left[i].why].files += in->left[i].what.files;
        if (in->left[i].why == LEFT_FORMAT && !other) other = in->left + i;
    }
    for (int k = 0; k < LEFT_KINDS; k++)
        if (left[k].files)
            n += snprintf(text + n, sizeof text - (size_t)n, "%s%lld %s", n ? ", " : ": ",
                          (long long)left[k].files, data_left_name(k));
    fail(ERR_MISSING, "%s: holds no %s file%s%s%s", path, endings, text, other ? ", such as " : "",
         other ? other->path : "");
    mem_free(endings);
    return ERR_MISSING;
}

static int add_folder(struct inputs *in, const char *path)
{
    struct search s = { .in = in };
    const int64_t before = in->n, left = in->left_n;
    struct stat st;
    int rc = OK;

    if (stat(path, &st) == 0) (void)is_new(&s.met, &st);
    TRY(search(&s, path, 0));
    if (in->n == before) rc = nothing(in, left, path);
out:
    mem_free(s.met.v);
    return rc;
}

/* The name of a file has none of our endings. */
static int unknown_format(const char *path)
{
    const struct encoding *e = encoding_of_name(path);
    char *endings = input_endings(), *names = format_names();

    if (e)
        fail(ERR_CONFIG, "%s: expected a %s file, found %s; read it with: %s FILE | ttt prep - "
             "--stdin FORMAT, where FORMAT is %s", path, endings, e->name, e->command, names);
    else
        fail(ERR_CONFIG, "%s: expected a %s file; a file with another name can be read through "
             "standard input, with - and --stdin", path, endings);
    mem_free(endings);
    mem_free(names);
    return ERR_CONFIG;
}

int inputs_add(struct inputs *in, const char *path, const struct format *from_stdin)
{
    struct input x = { .format = from_stdin };
    struct stat st;

    if (!strcmp(path, "-")) {
        inputs_append(in, x, NULL, path);
        return OK;
    }
    if (stat(path, &st) != 0) return fail(ERR_MISSING, "%s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode)) return add_folder(in, path);
    if (!input_classify(&x, path)) return unknown_format(path);
    if (!S_ISREG(st.st_mode)) return fail(ERR_MISSING, "%s: not a regular file", path);
    inputs_append(in, x, &st, path);
    return OK;
}
