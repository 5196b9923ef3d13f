/* SPDX-License-Identifier: Apache-2.0 */
/* ckpt_parts.h -- saving and loading in steps, for several processes that share them.
 *
 *     one        every process        one          every process      one
 *     folder -> its writer file  ->  commit  ->  re-reads a share -> lets older ones go
 *
 * ckpt_save() is these steps in one process.  Who does what, and that all stop when one fails,
 * is the caller's: mpi/save/saver.h.
 */
#ifndef CKPT_PARTS_H
#define CKPT_PARTS_H

#include "src/store/ckpt.h"
#include "src/store/manifest.h"
#include "src/store/writer.h"

/* Make the folder of the next attempt at this step; name [out] under dir, attempt [out].
 * bytes: raw, of all tensors; too little space is a warning. */
int save_folder(char name[64], int64_t *attempt, const char *dir, int64_t step, double bytes);

/* After all writer files are durable: compute m->root from the leaves (n of all tiles, sorted in
 * place) and write the MANIFEST.  From then on the checkpoint exists. */
int save_commit(struct manifest *m, const char *dir, const char *name, struct hash *leaves,
                int64_t n);

/* Check that the disk holds what was in memory: open the checkpoint, compare the root, and read
 * share `part` of `parts` of the tiles in writer file `file` (-1: in all). */
int save_verify(const char *dir, const char *name, struct hash root, int file, int part,
                int parts);

/* Remove what a failed save made (name: "" if there is no folder yet) and report it.
 * returns what the save returns for rc: ERR_IO, ERR_CONFIG or ERR_OWNER */
int save_failed(const char *dir, const char *name, int64_t step, int rc);

/* Tiles want[k] (tensor, tile) into want[k].raw, all proved, by all threads. */
int ckpt_read_tiles(struct ckpt *c, const struct place *want, int64_t n);

/* Every tile of share `part` of `parts` of a file (-1: of all files). */
int ckpt_verify_part(struct ckpt *c, int file, int part, int parts);

/* Hash of the MANIFEST: processes that compare it read the same checkpoint. */
struct hash ckpt_proof(const struct ckpt *c);

/* ckpt_newest() with another proof than reading everything: prove(c, arg) returns OK; ERR_DATA,
 * ERR_IO: continue with an older one, as after damage or a failing disk; other statuses end it. */
int ckpt_pick(struct ckpt **out, const char *dir, const char *quarantine,
              int (*prove)(struct ckpt *c, void *arg), void *arg);

#endif
