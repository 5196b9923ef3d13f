/* SPDX-License-Identifier: Apache-2.0 */
/* cpus.h -- the processors that this process may use: those of its affinity mask, which taskset, a
 * batch system, mpirun or a cpuset has narrowed.
 *
 * Linux counts hardware threads; a core has one or, with hyper-threading, several of them.  Two
 * threads of ours on one core are hardly faster than one, so cores are what counts.
 */
#ifndef CPUS_H
#define CPUS_H

#define CPUS_LIST 96

struct cpus {
    int  units;            /* hardware threads, >= 1                        */
    int  cores;            /* cores that at least one of them is part of    */
    int  nodes;            /* NUMA nodes that they are in, >= 1             */
    char list[CPUS_LIST];  /* "0-3,8", as Linux numbers them; "..." where it is cut */
};

/* Of this process.  Local. */
void cpus_read(struct cpus *c);

/* Of a mask like "0-3,8", on a machine whose /sys/devices/system is at `system`.  What is not known
 * there is assumed: a core for each number, one NUMA node.  Local. */
void cpus_of(struct cpus *c, const char *list, const char *system);

/* Is the mask of this process smaller than its cpuset allows?  Such a mask (taskset) is only a
 * request: a program that is asked to bind processes would leave it.  Local. */
int cpus_are_narrowed(void);

#endif
