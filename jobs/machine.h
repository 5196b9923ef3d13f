/* SPDX-License-Identifier: Apache-2.0 */
/* machine.h -- cores and memory of this machine, as far as this process may use them. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdint.h>

struct machine {
    int     cores;     /* without hyper-threads, those that this process may use (base/cpus.h) */
    int     numa;      /* NUMA nodes they are in, >= 1                                         */
    int     narrowed;  /* taskset or the like has taken some away                              */
    int64_t memory;    /* bytes that this process may use (base/limit.h)                       */
    int64_t installed; /* bytes there are                                                      */
};

/* Local. */
void machine_read(struct machine *m);

/* Threads for each of n processes on one machine, >= 1.  Processes do not share cores; if there
 * is at least one process per NUMA node, none uses the cores of two nodes.  Local. */
int machine_threads(const struct machine *m, int n);

#endif
