/* SPDX-License-Identifier: Apache-2.0 */
/* limit.h -- the memory that this process may use together with those it shares a limit with, and
 * how often the kernel has killed one of them for lack of it.
 *
 * TTT_CGROUPS=DIR, for tests: DIR/cgroup takes the place of /proc/self/cgroup, DIR that of
 * /sys/fs/cgroup. */
#ifndef LIMIT_H
#define LIMIT_H

#include <stdint.h>

/* Bytes that the machine has.  Local. */
int64_t limit_installed(void);

/* Bytes: the machine's, or less where a control group has a limit, as a SLURM job or a container
 * does, or where SLURM promised less.  Local. */
int64_t limit_memory(void);

/* Bytes that SLURM gave this job on this node, whether or not it enforces that (SLURM_MEM_PER_NODE,
 * or SLURM_MEM_PER_CPU and SLURM_CPUS_ON_NODE, in MiB); INT64_MAX: no limit, or no job.  Local. */
int64_t limit_job(void);

/* The same of the groups that a file like /proc/self/cgroup names, under a folder like
 * /sys/fs/cgroup: the least limit of a group and those above it; INT64_MAX: there is none. */
int64_t limit_groups(const char *file, const char *root);

/* Processes of our control group that the kernel has killed so far because memory was used up; in a
 * SLURM job those of the whole job on this machine, if the kernel counts them (control groups of
 * version 2).  0 where nothing counts.  Local. */
int64_t limit_kills(void);

/* The same of the groups that a file like /proc/self/cgroup names. */
int64_t limit_kills_in(const char *file, const char *root);

#endif
