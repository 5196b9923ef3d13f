/* SPDX-License-Identifier: Apache-2.0 */
/* weight_kind.h -- files of weights that are not safetensors, named as what they are.
 *
 * They are not read: a pickle is a program that Python runs.
 */
#ifndef WEIGHT_KIND_H
#define WEIGHT_KIND_H

/* Look at the first bytes of the file at `path`: ERR_DATA, reported with what it is and what to do;
 * OK if it is none of the known ones, or cannot be read. */
int weight_kind_file(const char *path);

/* Look at the names in a folder without safetensors, in the same way. */
int weight_kind_folder(const char *folder);

#endif
