/* SPDX-License-Identifier: Apache-2.0 */
/* ckpt_dir.h -- the folder of a run's checkpoints: names, order, removal. */
#ifndef CKPT_DIR_H
#define CKPT_DIR_H

#include "src/store/ckpt.h"

/* "step-000000012000.a0001" */
void ckpt_name(char name[64], int64_t step, int64_t attempt);

/* Remember that this process has made the folder dir/name (see ckpt_retain()). */
void ckpt_made(const char *dir, const char *name);

/* Remove a checkpoint's folder: first its MANIFEST, durably, then the rest, so that there
 * is never a MANIFEST without data.  Files of others stay, and so does the folder then; a
 * symbolic link is not followed.  A failure is reported and returned. */
int ckpt_remove(const char *dir, const char *name);

/* Remove the checkpoints that retention (opts) does not keep; `own`, the one just written, always
 * stays.  Only checkpoints that can be opened count as kept.  Failures are warnings.  A folder that
 * is a symbolic link is never removed; where `dir` is one, only checkpoints that this process made
 * are. */
void ckpt_retain(const char *dir, const struct ckpt_opts *opts, const char *own);

#endif
