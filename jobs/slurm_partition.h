/* SPDX-License-Identifier: Apache-2.0 */
/* slurm_partition.h -- what a cluster says of its partitions.
 *
 * As in slurm_ask.h nothing is trusted: where a program fails or prints something else, there is no
 * answer, and the caller continues without one.  All functions are local.
 */
#ifndef SLURM_PARTITION_H
#define SLURM_PARTITION_H

#include <stdint.h>

#include "src/conf/conf.h"

/* Nodes of a partition that are alike. */
struct node_group {
    char    partition[128];
    int     preset;          /* it is SLURM's default partition      */
    int     down;            /* they are down or drained             */
    int64_t nodes, cpus;     /* how many, CPUs of each               */
    int64_t memory;          /* bytes of each; 0: not known          */
    int64_t limit_s;         /* longest job; -1: no limit            */
    char    limit[32];       /* the same as SLURM shows it           */
};

/* Ask sinfo.
 *
 * out      [out] a counted block of `count`
 * returns  1, or 0 if there is no answer */
int slurm_nodes(struct node_group **out, int *count);

/* How its output is parsed: lines "PARTITION[*]|NODES|CPUS|MIB|TIME|STATE".  text is cut up. */
int slurm_read_nodes(struct node_group **out, int *count, char *text);

/* Memory of a job that does not ask for any, in MiB; 0: no such default. */
struct default_memory { int64_t node_mib, cpu_mib; };

/* Ask scontrol, and report what the partition's pre-emption settings mean for the run. */
void slurm_partition(struct default_memory *m, const struct conf *c);

#endif
