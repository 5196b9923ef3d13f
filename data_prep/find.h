/* SPDX-License-Identifier: Apache-2.0 */
/* find.h -- the inputs that the user named: files, folders, standard input.
 *
 * Folders are searched in the order of names, through symbolic links.  Every regular file of one of
 * our formats is taken.  The rest is left out, each with its reason (enum data_left): hidden files
 * and folders, other formats, links to nothing, what is not a regular file, and what another path
 * has reached already, so that a link reads no text twice and a loop ends.
 */
#ifndef FIND_H
#define FIND_H

#include "data_prep/input.h"

/* Append a file of one of the formats, whatever the rest of its name; a folder, which is searched
 * and whose own name may be hidden; or standard input for "-".  Local.
 *
 * in         [in,out] with in->skip_bad, what can't be read in a folder is left out
 * from_stdin the format of what comes through "-"
 * returns    OK; ERR_CONFIG for a file of another format; ERR_MISSING for what does not exist, a
 *            folder that holds nothing that is read, or a link to nothing that is named like an
 *            input; ERR_IO for a folder that can't be read.  All reported. */
int inputs_add(struct inputs *in, const char *path, const struct format *from_stdin);

#endif
