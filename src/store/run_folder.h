/* run_folder.h -- the folder of a run, and who owns it.
 *
 *     logs/<run>/ LOCK  config.yaml  build.txt  tokenizer.model  metrics.jsonl
 *                 ckpt/  quarantine/
 *
 * One process owns a run.  The lock is the kernel's (flock), so it is gone
 * when the process is, however it ended; the text in LOCK only tells who has
 * it.  A file system without locks is warned about, not refused.
 */
#ifndef RUN_FOLDER_H
#define RUN_FOLDER_H

struct run_folder {
    char *dir, *ckpt, *quarantine, *metrics;   /* paths; owned */
    int   lock;
};

/* Make the folder if needed and own it.
 * returns OK; ERR_OWNER if another process does; ERR_IO */
int run_open(struct run_folder *r, const char *dir);
void run_close(struct run_folder *r);

/* Its paths alone, for processes that follow the owner. */
void run_follow(struct run_folder *r, const char *dir);

/* Put a text at DIR/name, unless it is there already. */
int run_put(const struct run_folder *r, const char *name, const char *text);

/* Copy a file to DIR/name, unless a file of that name is there. */
int run_copy(const struct run_folder *r, const char *name, const char *from);

/* Program, processor, host and versions of libraries, for build.txt.  extra: lines that the
 * caller adds.  A counted string. */
char *run_build_text(const char *extra);

#endif
