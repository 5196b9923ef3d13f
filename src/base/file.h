/* file.h -- files that are whole or not there.
 *
 * Data files are made new (O_EXCL), written by a loop that survives short
 * writes and EINTR, fsynced once and closed; every call's result counts, and a
 * failed fsync is final.  Small files are replaced by rename.  Every failure
 * is said with path and reason, and returned as ERR_IO (ERR_MISSING where the
 * file is not there).
 */
#ifndef FILE_H
#define FILE_H

#include <stddef.h>
#include <stdint.h>

/* A new file for writing; it must not exist.  fd [out]. */
int file_create(int *fd, const char *path);

/* An existing regular file for reading; file_open_there(): one that is not there is ERR_MISSING
 * without a word.
 * size [out] bytes, may be NULL. */
int file_open(int *fd, int64_t *size, const char *path);
int file_open_there(int *fd, int64_t *size, const char *path);

/* Wait until a file or folder that another process made, and told us of, can be opened here: a
 * client of a network file system remembers for up to a minute what was not there (ENOENT), or
 * holds on to what is gone (ESTALE).  ERR_IO after `seconds`, and at once for other reasons. */
#define FILE_PATIENCE_S 65.0
int file_await(const char *path, double seconds);

int file_write(int fd, const void *data, size_t n, const char *path);

/* Exactly n bytes from `offset`; a shorter file is ERR_DATA. */
int file_read_at(int fd, void *data, size_t n, int64_t offset, const char *path);

/* What will replace `path` is written under this name next to it; a counted string. */
#define FILE_TMP ".tmp"
char *file_tmp(const char *path);

/* Remove what a writer of `path` left that was killed.  Only for whoever alone may write it now:
 * nobody else's file, that he may be writing, is touched. */
void file_sweep(const char *path);

/* A new file next to the one that it will replace; one that a crash left there is
 * removed first.  fd [out]. */
int file_temporary(int *fd, const char *tmp);

/* Could a file be put at `path`?  Its folder is there, and nothing but a regular file would be
 * replaced: a rename would put a file where a device, a pipe or /dev/stdout was. */
int file_target(const char *path);

/* Put a temporary file in its place: fsync, close, rename tmp -> path, fsync the folder.
 * rc is the outcome of writing it; if that or anything here fails, tmp is removed. */
int file_commit(int fd, int rc, const char *tmp, const char *path);

/* fsync, then close; the descriptor is gone whatever is returned. */
int file_sync_close(int fd, const char *path);
void file_close(int fd);

/* A whole file of at most `cap` bytes into a counted block (mem_free) with one
 * zero byte behind it.  Longer is ERR_DATA. */
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

/* There is nothing with this name.  What can't be looked at (no permission), and a link to nothing,
 * are not absent. */
int path_is_absent(const char *path);
int path_is_dir(const char *path);

/* Is it a symbolic link?  What it leads to is somebody else's: nothing is removed through it. */
int path_is_link(const char *path);

#endif
