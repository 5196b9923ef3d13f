/* folder.h -- the inputs in a folder.
 *
 * Folders are searched in the order of names, through symbolic links.  Taken is every regular file
 * of one of our formats.  Left out, each with its reason (enum data_left), is the rest: hidden
 * files and folders, other formats, links to nothing, what is no file, and what was reached
 * already by another path, so that a link reads no text twice and a loop ends.
 */
#ifndef FOLDER_H
#define FOLDER_H

#include "data_prep/input.h"

/* Append what is in the folder that the user named; its own name may be hidden.
 *
 * returns OK; ERR_MISSING if nothing in it is taken, with what was left out, or for a link to
 *         nothing that is named like an input; ERR_IO for a folder that can't be read.  With
 *         in->skip_bad the last two are left out. */
int folder_add(struct inputs *in, const char *path);

#endif
