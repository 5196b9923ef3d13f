/* run_state.h -- what a run is doing, from its folder alone. */
#ifndef RUN_STATE_H
#define RUN_STATE_H

#include <jansson.h>
#include <stdint.h>

enum run_phase {
    RUN_NEW,        /* nothing has happened                                     */
    RUN_WAITING,    /* submitted, or between a crash and the next start         */
    RUN_RUNNING,
    RUN_SILENT,     /* on another machine, and nothing was written for long     */
    RUN_HUNG,       /* a watchdog has said so, and nobody has started it again  */
    RUN_SAVED,      /* asked to stop, and did: start it again                   */
    RUN_FINISHED,
    RUN_FAILED,     /* ended with an error                                      */
    RUN_CRASHED     /* gone without a word                                      */
};

/* Numbers that are not known are -1, or NAN. */
struct run_state {
    char          *dir;                /* owned                                        */
    char           name[64];
    enum run_phase phase;
    int64_t        step, steps, committed;
    double         loss_nats, tok_per_s, step_s, left_s;
    double         committed_time;     /* seconds since 1970                           */
    int            restarts;           /* by the last launcher                         */
    int            status;             /* exit code of what has ended; -1: none        */
    long           pid;
    char           host[256], job[64];
};

/* returns OK; ERR_MISSING if there is no such folder, ERR_IO, said */
int run_state_read(struct run_state *s, const char *dir);
void run_state_done(struct run_state *s);

const char *run_phase_name(enum run_phase p);

/* A new reference. */
json_t *run_state_json(const struct run_state *s);

/* A table for people, with a line of heads. */
void run_state_print(const struct run_state *s, int n);

#endif
