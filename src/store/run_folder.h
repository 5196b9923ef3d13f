/* SPDX-License-Identifier: Apache-2.0 */
/* run_folder.h -- the folder of a run, and who owns it.
 *
 *     logs/<run>/ config.yaml  build.txt  tokenizer.model  metrics.jsonl
 *                 ckpt/  quarantine/  fence/  STOP
 *
 * One process owns a run (fence.h).  A file STOP asks it to save and end.
 */
#ifndef RUN_FOLDER_H
#define RUN_FOLDER_H

#include "src/store/fence.h"

struct run_folder {
    char *dir, *ckpt, *quarantine, *metrics;   /* paths; owned             */
    struct fence fence;                        /* number 0: not ours       */
};

/* Make the folder if needed and own it; takeover: even if another process does.
 * returns OK; ERR_OWNER if another process does; ERR_IO */
int run_open(struct run_folder *r, const char *dir, int takeover);

/* Release it.  rc: how the run ended, which is written into the fence. */
void run_close(struct run_folder *r, int rc);

/* Only the paths, for the other processes of the job. */
void run_follow(struct run_folder *r, const char *dir);

/* Is there a file STOP? */
int run_stopped(const struct run_folder *r);

/* Put a text at DIR/name, unless it is there already. */
int run_put(const struct run_folder *r, const char *name, const char *text);

/* Copy a file to DIR/name, unless a file of that name is there. */
int run_copy(const struct run_folder *r, const char *name, const char *from);

/* Program, processor, host and versions of libraries, for build.txt.  extra: lines that the
 * caller adds.  A counted string. */
char *run_build_text(const char *extra);

#endif
