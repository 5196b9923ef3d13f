/* SPDX-License-Identifier: Apache-2.0 */
/* text_file.h -- read a text file that a user may have written.
 *
 * Editors of other systems begin a file with a byte order mark or write UTF-16.  The mark is
 * dropped; UTF-16, UTF-32 and compressed files are errors that name the encoding.  Files of this
 * program with a hash (INDEX, MANIFEST) are read with file_slurp(): in them every byte counts.
 */
#ifndef TEXT_FILE_H
#define TEXT_FILE_H

#include <stddef.h>

/* Read at most `cap` bytes.  Other damage of UTF-8 is the caller's to find.  Local.
 *
 * text     [out] counted block that ends with a zero byte
 * n        [out] bytes, without the mark
 * returns  OK; ERR_DATA for a longer file or another encoding; as file_slurp() */
int text_file_read(char **text, size_t *n, const char *path, size_t cap);

#endif
