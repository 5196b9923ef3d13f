/* beacon.h -- what this process is doing right now, on a page that a watchdog can read.
 *
 *     process  stores   phase, step, operation, "in this call"      a few stores, never a lock
 *     watchdog reads    every half second, from the same file in /dev/shm
 *
 * A page has two lanes: the main thread, and the thread that writes a checkpoint.  Other threads,
 * and processes that opened no page, pay one branch.  Texts are passed as distances from a place in
 * the program, so that another process of the same program finds them at its own address.
 *
 * All users of a machine share /dev/shm.  So a page is made new and belongs to its user alone, and
 * beacon_read() takes no other; what is in a page is a claim all the same, process.h proves it.
 */
#ifndef BEACON_H
#define BEACON_H

#include <stdint.h>

enum beacon_phase { BEACON_SETUP, BEACON_DATA, BEACON_STEP, BEACON_SAVE, BEACON_EVAL, BEACON_END };
enum beacon_kind { BEACON_OUTSIDE, BEACON_MESSAGE, BEACON_FILE };
enum { BEACON_MAIN, BEACON_SAVER, BEACON_LANES };

#define BEACON_BYTES 4096
#define BEACON_PATH 1024

struct beacon_lane {
    int64_t calls;                /* entered and left so far: changes with both      */
    int64_t site;                 /* text of the call; beacon_text()                 */
    int32_t kind;                 /* enum beacon_kind                                */
    char    path[BEACON_PATH];    /* of a file                                       */
};

struct beacon {
    char    magic[8];
    int32_t pid, rank;
    int64_t born;                 /* process_born(): the number alone may mean another one */
    char    host[64];
    int64_t beat;                 /* counts on as long as any thread of it runs      */
    int64_t progress;             /* counts operations, phases, steps                */
    int64_t step;                 /* finished                                        */
    int32_t phase;                /* enum beacon_phase                               */
    int32_t layer, unit, peer;    /* of the operation; -1: none                      */
    int64_t op;                   /* its name; beacon_text()                         */
    double  step_s, save_s;       /* slow ones of late; 0: none yet                  */
    struct beacon_lane lane[BEACON_LANES];
};

/* Share a page as process `rank` of the job called `job`, written from now on by this thread, with a
 * thread for the beat.  What a process before us left under that name is removed.
 * why      [out] if there is none: what is in the way.  That is no reason to end
 * returns  OK or ERR_IO, not reported */
#define BEACON_WHY 160
int beacon_open(const char *job, int rank, char why[BEACON_WHY]);
void beacon_close(void);

/* The page of process `rank`: a regular file of one page that is ours and that nobody else can write.
 * returns 1, or 0 if there is no such page */
int beacon_read(struct beacon *out, const char *job, int rank);

/* Which lane does this thread write?  -1: none. */
void beacon_use(int lane);

void beacon_phase(enum beacon_phase p);
void beacon_step(int64_t step, double seconds);
void beacon_saved(double seconds);
void beacon_op(const char *name, int layer, int unit, int peer);

/* Around a call that may not return.  site: a text of the program, not of its memory. */
void beacon_enter(enum beacon_kind kind, const char *site, const char *path);
void beacon_leave(void);

/* The text behind a number on a page, "" if there is none. */
const char *beacon_text(int64_t number);

/* Files of a job's pages are PREFIX and the rank.  job: at most LAUNCH_NAME bytes count. */
#define BEACON_PREFIX 64
char *beacon_prefix(char text[BEACON_PREFIX], const char *job);

#endif
