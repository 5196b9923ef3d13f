/* SPDX-License-Identifier: Apache-2.0 */
/* hf_files.h -- the files that come with a model in a Hugging Face folder and are not its numbers:
 * tokenizer, generation_config.json, model card, licence.  They are kept next to checkpoints, which
 * share them:
 *
 *     DIR/step-000000000000.a0001/    a checkpoint; its info has
 *         "hf_files": { "folder": "hf-0123456789abcdef",
 *                       "files": { "tokenizer.json": "<XXH3-128>", ... } }
 *     DIR/hf-0123456789abcdef/        the files; the name is a hash of their names and hashes
 */
#ifndef HF_FILES_H
#define HF_FILES_H

#include <jansson.h>

#define HF_FILES "hf_files"  /* key of a checkpoint's info */

enum hf_role { HF_TOKENIZER = 1, HF_GENERATION = 2, HF_LICENCE = 4, HF_CARD = 8, HF_ALL = 15 };

/* Find these files in a folder.
 *
 * Local.  Reads every file, at most 256 MiB each.
 *
 * files    [out] object name -> hash, the caller's reference
 * left     [out] may be NULL; a counted string with the names of all other files, except
 *          config.json, weights and hidden files; NULL if there are none
 * returns  OK; ERR_MISSING, ERR_DATA, ERR_IO
 */
int hf_files_find(json_t **files, char **left, const char *folder);

/* Remove entries whose role is not in `roles` (a sum of enum hf_role). */
void hf_files_only(json_t *files, int roles);

/* Copy files from one folder into another.  ERR_DATA if one has another hash.  Local. */
int hf_files_copy(const json_t *files, const char *from, const char *to);

/* Copy files of `folder` into DIR/hf-..., unless they are there already.
 *
 * Local.
 *
 * note  [out] value of the key HF_FILES for info, the caller's reference; NULL: there are no files
 */
int hf_files_keep(json_t **note, const json_t *files, const char *dir, const char *folder);

/* Read HF_FILES of a checkpoint's info.
 *
 * Local.
 *
 * files    [out] object name -> hash, borrowed from info; NULL if there are none
 * folder   [out] path of the folder that holds them, a counted string; NULL if there are none
 * path     of the checkpoint
 * returns  OK; ERR_DATA if the key is damaged
 */
int hf_files_of(const json_t **files, char **folder, const json_t *info, const char *path);

#endif
