/* SPDX-License-Identifier: Apache-2.0 */
/* load_files.h -- the files that came with a model (store/hf_files.h), found for everything that
 * load_model() reads. */
#ifndef LOAD_FILES_H
#define LOAD_FILES_H

#include "src/infer/load.h"
#include "src/store/hf_files.h"

struct load_files {
    json_t *config;   /* config.json of the public model that this one is, or NULL       */
    json_t *files;    /* name -> hash; NULL: none                                          */
    char   *folder;   /* that holds them, a counted string                                 */
};

#define HF_CONFIG "hf_config"  /* key of a checkpoint's info for `config` */

/* Find them; release with load_files_done(), also after an error.  Local. */
int load_files(struct load_files *f, const struct load_info *info);
void load_files_done(struct load_files *f);

/* Keep files of the model `from` for a run that begins with its weights.
 *
 * Local.  Licences are kept; tokenizer files and generation_config.json only if the run's data was
 * made with the same tokenizer; the model card is not, since it describes another model.
 *
 * info       [in,out] of the run's checkpoints; gets the key HF_FILES
 * dir        folder of the run's checkpoints, where the files are copied to
 * tokenizer  hash of the tokenizer of the run's data
 */
int load_files_follow(json_t *info, const char *dir, const struct load_info *from,
                      struct hash tokenizer);

/* Take the key HF_FILES from the info of the checkpoint that a run resumes from. */
void load_files_inherit(json_t *info, const json_t *checkpoint);

#endif
