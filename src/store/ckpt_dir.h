/* ckpt_dir.h -- the folder of a run's checkpoints: names, order, removal. */
#ifndef CKPT_DIR_H
#define CKPT_DIR_H

#include "src/store/ckpt.h"

/* "step-000000012000.a0001" */
void ckpt_name(char name[64], int64_t step, int64_t attempt);

/* This process has made the folder dir/name. */
void ckpt_made(const char *dir, const char *name);

/* Remove a checkpoint's folder: first its MANIFEST, durably, then the rest, so that there
 * is never a MANIFEST without data.  Files that are not ours stay, and so does the
 * folder then; a symbolic link is not followed.  A failure is reported and returned. */
int ckpt_remove(const char *dir, const char *name);

/* Let go what retention does not keep; `own`, the checkpoint just written, always stays.
 * Only checkpoints that open count as kept.  Failures are warnings.  A folder that is a symbolic
 * link is none of ours; where `dir` is one, only what this process made is. */
void ckpt_retain(const char *dir, const struct ckpt_opts *opts, const char *own);

#endif
