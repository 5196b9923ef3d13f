/* SPDX-License-Identifier: Apache-2.0 */
/* ckpt_cmd.h -- the parts of `ttt ckpt` that have a file of their own. */
#ifndef CKPT_CMD_H
#define CKPT_CMD_H

struct ckpt;

#define CKPT_DIFFER (-1)  /* exit code 1: two checkpoints are not equal */

/* Print what a checkpoint holds.  all: also the optimizer's tensors. */
int ckpt_show(const char *path, int json, int all);

/* Print how two checkpoints differ.  returns OK if they do not, CKPT_DIFFER, or a status */
int ckpt_compare(const char *a, const char *b, int json);

/* "2026-01-31 12:00:00", UTC. */
#define CKPT_TIME 32
const char *ckpt_time(char text[CKPT_TIME], const struct ckpt *c);

#endif
