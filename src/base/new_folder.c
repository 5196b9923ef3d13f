/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/new_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/failpoint.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#define MARK "ttt-unfinished"
#define NEW "new"

static int failed(const char *what, const char *path)
{
    return fail(ERR_IO, "%s: %s: %s", path, what, strerror(errno));
}

/* Without slashes at the end, and through a link: rename() replaces what is really there. */
static char *real_path(const char *path)
{
    char *there = realpath(path, NULL), *copy = mem_string(there ? there : path);
    size_t n = strlen(copy);

    free(there);
    while (n > 1 && copy[n - 1] == '/') copy[--n] = '\0';
    return copy;
}

static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return mem_string(".");
    return mem_format("%.*s", slash == path ? 1 : (int)(slash - path), path);
}

/* rename() puts a folder only where there is nothing, or an empty one.  Who stands in the old one
 * would not see the new one. */
static int check_free(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    struct stat there, here;
    char **names = NULL;
    int count = 0, rc;

    if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
        return fail(ERR_USAGE, "'%s' is not the name of a new folder", path);
    if (stat(path, &there) != 0) return OK;
    if (!S_ISDIR(there.st_mode)) return fail(ERR_USAGE, "%s: exists and is not a folder", path);
    if (stat(".", &here) == 0 && here.st_dev == there.st_dev && here.st_ino == there.st_ino)
        return fail(ERR_USAGE, "%s: is the current folder; name a new one", path);
    rc = dir_list(&names, &count, path);
    if (rc == OK && count)
        rc = fail(ERR_USAGE, "%s: already holds files (%s); name a new folder", path, names[0]);
    mem_free(names);
    return rc;
}

/* Lock PATH.part; another process may have put it into its place in the meantime. */
static int lock_part(struct new_folder *f, int made)
{
    struct stat ours, there;

    f->fd = open(f->part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (f->fd < 0) return failed("can't open folder", f->part);
    const int locked = flock(f->fd, LOCK_EX | LOCK_NB) == 0;
    if (!locked && errno == EWOULDBLOCK)
        return fail(ERR_OWNER, "%s: another process is writing it now", f->path);
    /* A file system without locks: who made the folder owns it. */
    if (!locked && !made)
        return fail(ERR_OWNER, "%s: a process is writing %s, or was killed while it did; this file "
                    "system has no locks that could tell (%s). Remove the folder if no process is "
                    "writing it", f->part, f->path, strerror(errno));
    if (fstat(f->fd, &ours) != 0 || stat(f->part, &there) != 0 || ours.st_ino != there.st_ino ||
        ours.st_dev != there.st_dev)
        return fail(ERR_OWNER, "%s: another process has just written it", f->path);
    return OK;
}

/* Empty what a killed process left; nothing is touched unless all of it is ours. */
static int clear_part(const struct new_folder *f)
{
    char **names = NULL;
    int count = 0, marked = 0, filled = 0, rc = OK;

    TRY(dir_list(&names, &count, f->part));
    for (int i = 0; i < count; i++) {
        marked |= !strcmp(names[i], MARK);
        filled |= !strcmp(names[i], NEW);
    }
    if (count != marked + filled || (count && !marked))
        TRY(fail(ERR_USAGE, "%s: was not made by this program, which needs this name while it "
                 "writes %s; rename or remove it", f->part, f->path));
    if (filled) TRY(dir_remove(f->dir));
out:
    mem_free(names);
    return rc;
}

/* Say whose it is, before anything else is in it. */
static int mark(const struct new_folder *f)
{
    static const char text[] = "unfinished folder of ttt: may be removed if no ttt is writing\n";
    char *path = mem_format("%s/" MARK, f->part);
    int fd = -1, rc = OK;

    if (path_exists(path)) goto out;
    TRY(file_create(&fd, path));
    rc = file_write(fd, text, sizeof text - 1, path);
    file_close(fd);
out:
    mem_free(path);
    return rc;
}

static void remove_part(const struct new_folder *f)
{
    char *name = mem_format("%s/" MARK, f->part);

    if (path_is_dir(f->dir)) (void)dir_remove(f->dir);
    if ((unlink(name) != 0 && errno != ENOENT) || rmdir(f->part) != 0)
        (void)failed("can't remove", f->part);
    mem_free(name);
}

static void release(struct new_folder *f)
{
    if (f->fd >= 0) close(f->fd);
    mem_free(f->dir);
    mem_free(f->part);
    mem_free(f->path);
    *f = (struct new_folder){ .fd = -1 };
}

int new_folder_begin(struct new_folder *f, const char *path)
{
    char *parent;
    int rc = OK, made, ours = 0;

    *f = (struct new_folder){ .path = real_path(path), .fd = -1 };
    f->part = mem_format("%s.part", f->path);
    f->dir = mem_format("%s/" NEW, f->part);
    parent = parent_of(f->path);
    if (!path_exists(f->part)) TRY(check_free(f->path));  /* before anything is made */
    TRY(dir_make(parent));
    made = mkdir(f->part, 0777) == 0;
    if (!made && errno != EEXIST) TRY(failed("can't make folder", f->part));
    TRY(lock_part(f, made));
    TRY(clear_part(f));
    ours = 1;
    TRY(check_free(f->path));
    TRY(mark(f));
    TRY(FAILPOINT("folder.begin"));
    if (mkdir(f->dir, 0777) != 0) TRY(failed("can't make folder", f->dir));
out:
    if (rc != OK && ours) remove_part(f);
    if (rc != OK) release(f);
    mem_free(parent);
    return rc;
}

/* A server may rename and lose the reply. */
static int renamed(const struct new_folder *f)
{
    struct stat ours, there;

    if (stat(f->dir, &ours) != 0) return 0;
    if (stat(f->path, &there) == 0) (void)chmod(f->dir, there.st_mode & 07777);  /* its mode */
    if (rename(f->dir, f->path) == 0) return 1;
    const int why = errno;
    const int same = stat(f->path, &there) == 0 && there.st_ino == ours.st_ino &&
                     there.st_dev == ours.st_dev;
    errno = why;
    return same;
}

int new_folder_end(struct new_folder *f, int rc)
{
    char *parent = parent_of(f->path);

    if (rc == OK) rc = dir_sync(f->dir);
    if (rc == OK) rc = FAILPOINT("folder.before_rename");
    if (rc == OK && !renamed(f)) rc = failed("can't rename to it", f->path);
    if (rc == OK) rc = FAILPOINT("folder.after_rename");
    if (rc == OK) rc = dir_sync(parent);
    remove_part(f);
    release(f);
    mem_free(parent);
    return rc;
}
