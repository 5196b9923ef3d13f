/* SPDX-License-Identifier: Apache-2.0 */
/* share_dir.h -- the files that `make install` puts next to the program: configurations to start from
 * and templates of series. */
#ifndef SHARE_DIR_H
#define SHARE_DIR_H

/* Their folder: $TTT_SHARE if that is set; else share/ttt of the prefix whose bin/ holds the
 * running program, so that an installation can be moved; else share/ttt of the PREFIX that it was
 * built for.  Local.
 * returns  a counted string; there need not be such a folder */
char *share_dir(void);

#endif
