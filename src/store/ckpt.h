/* SPDX-License-Identifier: Apache-2.0 */
/* ckpt.h -- checkpoints: named tensors as tiles, a MANIFEST as commit point,
 * one state root.
 *
 *     ckpt/step-000000012000.a0001/  w000.ttc  MANIFEST
 *
 * Format and protocol: store/FORMAT.md.  Tile hashes are taken from memory
 * before compression, and fold into the root: equal roots mean equal
 * training states, on any grid, compressed in any way.
 */
#ifndef CKPT_H
#define CKPT_H

#include <jansson.h>
#include <stdint.h>

#include "src/base/ckpt_limits.h"
#include "src/base/hash.h"
#include "src/store/tensor.h"

/* What is saved next to the tensors.  `scalars` is part of the root, `info` is not. */
struct ckpt_meta {
    int64_t step;
    json_t *scalars;      /* object: counters, cursors, seeds               */
    json_t *info;         /* object: run id, build, data set, config text   */
};

struct ckpt_opts {
    int     level;        /* zstd level                                     */
    int     keep;         /* newest that stay, >= 1; 0: all                 */
    int64_t keep_every;   /* steps that are multiples of this stay; 0: none */
};

/* Write a checkpoint into the folder `dir` (run/ckpt), commit it, read it back, and only
 * then remove old ones by the rules of opts.  Local.
 *
 * root     [out] of the state
 * returns  OK; ERR_IO: the files of this checkpoint are removed, older ones are untouched */
int ckpt_save(const char *dir, const struct tensor *tensors, int count,
              const struct ckpt_meta *meta, const struct ckpt_opts *opts, struct hash *root);

/* One checkpoint, opened: its MANIFEST is read and its hash was verified. */
struct ckpt;
int ckpt_open(struct ckpt **out, const char *path);
void ckpt_close(struct ckpt *c);

/* Is there no MANIFEST in a folder?  Then the checkpoint was never committed, or its run has
 * removed it, perhaps while it was being read. */
int ckpt_is_gone(const char *path);

const char *ckpt_path(const struct ckpt *c);
struct hash ckpt_root(const struct ckpt *c);
int64_t ckpt_step(const struct ckpt *c);
int64_t ckpt_attempt(const struct ckpt *c);
int64_t ckpt_created(const struct ckpt *c);         /* seconds since 1970        */
int64_t ckpt_bytes(const struct ckpt *c);           /* of its files              */
const json_t *ckpt_scalars(const struct ckpt *c);   /* borrowed */
const json_t *ckpt_info(const struct ckpt *c);      /* borrowed */
int ckpt_count(const struct ckpt *c);
const struct tensor *ckpt_tensor(const struct ckpt *c, int i);  /* .data is NULL */
int ckpt_find(const struct ckpt *c, const char *name);          /* index or -1   */

/* Read tensor i into data (tensor_n * dtype_bytes bytes); every tile is verified. */
int ckpt_read(struct ckpt *c, int i, void *data);

/* Read and verify every tile of every tensor, and the root. */
int ckpt_verify(struct ckpt *c);

/* Ask the system to drop its cache of the files, so that reading them again
 * measures the disk.  A failure is ignored. */
void ckpt_uncache(const struct ckpt *c);

/* Find the newest checkpoint under `dir` that opens and verifies; if one is removed meanwhile, the
 * search begins again.  Damaged ones are reported and moved to the folder `quarantine` (NULL: they
 * stay where they are, as do those that a symbolic link leads to).
 *
 * returns  OK; ERR_MISSING, without a message, if there is no checkpoint at all; ERR_DATA, reported
 *          with the list, if none is valid */
int ckpt_newest(struct ckpt **out, const char *dir, const char *quarantine);

/* Remove what interrupted saves and removals left: folders of checkpoints without a MANIFEST.
 * Only the owner of a run may call this, and no save may be under way. */
int ckpt_clean(const char *dir);

/* The checkpoint that a user means by `path`: its own folder; a run folder, or a folder of
 * checkpoints (the newest valid one; damaged ones are named and left). */
int ckpt_locate(struct ckpt **out, const char *path);

/* The checkpoints under `dir`, newest first, by the names of folders only; a counted
 * block.  ERR_MISSING, without a message, if there is no such folder. */
struct ckpt_entry {
    int64_t step, attempt;
    int     committed;      /* it has a MANIFEST         */
    char    name[64];       /* of its folder             */
};
int ckpt_list(struct ckpt_entry **out, int *count, const char *dir);

#endif
