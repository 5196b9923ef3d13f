/* SPDX-License-Identifier: Apache-2.0 */
/* file.h -- files that are complete or absent.
 *
 * Data files are created (O_EXCL), written by a loop that continues after short
 * writes and EINTR, fsynced once and closed; every call's result is checked, and a
 * failed fsync is final.  Small files are replaced by rename.  Every failure
 * is reported with path and reason, and returned as ERR_IO (ERR_MISSING where the
 * file does not exist).  All functions are Local.
 */
#ifndef FILE_H
#define FILE_H

#include <stddef.h>
#include <stdint.h>

/* A new file for writing; it must not exist.  fd [out]. */
int file_create(int *fd, const char *path);

/* Open an existing regular file for reading.  With file_open_there() a missing file is ERR_MISSING
 * without a message.
 *
 * size     [out] bytes, may be NULL */
int file_open(int *fd, int64_t *size, const char *path);
int file_open_there(int *fd, int64_t *size, const char *path);

/* Wait until a file or folder that another process has made can be opened here.  A client of a
 * network file system may cache for up to a minute that it did not exist (ENOENT), or a file that
 * is gone (ESTALE).
 *
 * returns  OK; ERR_IO after `seconds`, and at once for other reasons */
#define FILE_PATIENCE_S 65.0
int file_await(const char *path, double seconds);

int file_write(int fd, const void *data, size_t n, const char *path);

/* Exactly n bytes from `offset`; a shorter file is ERR_DATA. */
int file_read_at(int fd, void *data, size_t n, int64_t offset, const char *path);

/* The name under which the replacement of `path` is written, next to it; a counted string. */
#define FILE_TMP ".tmp"
char *file_tmp(const char *path);

/* Remove the temporary file of a writer of `path` that was killed.  Only the process that alone may
 * write `path` now can call this: else it could remove a file that another process is writing. */
void file_sweep(const char *path);

/* Create the temporary file `tmp`; one that a crash left there is removed first.  fd [out]. */
int file_temporary(int *fd, const char *tmp);

/* Check that a file can be put at `path`: its folder exists, and what is there now is a regular
 * file or nothing.  A rename would replace a device, a pipe or /dev/stdout by a file. */
int file_target(const char *path);

/* Put a temporary file in its place: fsync, close, rename tmp -> path, fsync the folder.
 * rc is the outcome of writing it; if that or anything here fails, tmp is removed. */
int file_commit(int fd, int rc, const char *tmp, const char *path);

/* fsync, then close; the descriptor is gone whatever is returned. */
int file_sync_close(int fd, const char *path);
void file_close(int fd);

/* Read a whole file of at most `cap` bytes into a counted block (mem_free), followed by one zero
 * byte.  A longer file is ERR_DATA. */
int file_slurp(char **data, size_t *n, const char *path, size_t cap);

/* Put n bytes at `path` so that a crash leaves the old or the new content:
 * write path.tmp, fsync, rename, fsync the folder. */
int file_replace(const char *path, const void *data, size_t n);

/* Make the folder's entries durable. */
int dir_sync(const char *path);

/* Make a folder and its parents, durably; an existing folder is fine. */
int dir_make(const char *path);

/* Names in a folder, sorted bytewise, without "." and "..".  names [out] is
 * one counted block (mem_free) that also holds the strings. */
int dir_list(char ***names, int *count, const char *path);

/* Unlink a folder's files, then the folder itself; no sub-folders. */
int dir_remove(const char *path);

int path_exists(const char *path);

/* Is there nothing with this name?  A path that cannot be examined (no permission), and a link to
 * nothing, are not absent. */
int path_is_absent(const char *path);
int path_is_dir(const char *path);

/* Is it a symbolic link?  Its target may belong to somebody else: nothing is removed through it. */
int path_is_link(const char *path);

#endif
