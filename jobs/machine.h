/* machine.h -- cores and memory of this machine, as far as we may use them. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdint.h>

struct machine {
    int     cores;     /* without hyper-threads, those that this process may use */
    int     numa;      /* NUMA nodes they are in, >= 1                            */
    int64_t memory;    /* bytes that we may use (base/limit.h)                    */
    int64_t installed; /* bytes there are                                         */
};

void machine_read(struct machine *m);

/* Threads of each of n processes on one machine, >= 1: processes do not share cores, and where
 * each has a NUMA node of its own or less, none crosses one. */
int machine_threads(const struct machine *m, int n);

#endif
