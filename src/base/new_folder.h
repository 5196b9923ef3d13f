/* SPDX-License-Identifier: Apache-2.0 */
/* new_folder.h -- a folder that appears complete, or not at all.
 *
 *     PATH.part/              made first; the process that writes it holds a lock (flock) on it
 *         ttt-unfinished      marks it as a folder of this program
 *         new/                filled by the caller
 *     PATH                    is new/, renamed when everything is on disk
 *
 * A process that is killed leaves PATH.part.  The next process that writes PATH takes it over
 * and empties it.  A folder of that name without the mark, or with other files, was made by
 * somebody else and is not touched.
 */
#ifndef NEW_FOLDER_H
#define NEW_FOLDER_H

struct new_folder {
    char *dir;           /* the caller puts files here, no folders; each on disk before end() */
    char *path, *part;
    int   fd;            /* of part, holds the lock */
};

/* Begin the folder `path`, which must not exist, or be empty.
 *
 * Local.  After OK the caller must call new_folder_end().
 *
 * returns  OK; ERR_USAGE if `path` holds files, or if PATH.part is somebody else's; ERR_OWNER if
 *          another process writes it; ERR_IO
 */
int new_folder_begin(struct new_folder *f, const char *path);

/* Put the folder in its place, durably, if rc is OK; else, or if that fails, remove it.
 *
 * Local.
 *
 * returns  rc, or the error because of which the folder is not in its place
 */
int new_folder_end(struct new_folder *f, int rc);

#endif
