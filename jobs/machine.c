/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/machine.h"

#include "src/base/cpus.h"
#include "src/base/limit.h"

void machine_read(struct machine *m)
{
    struct cpus c;

    cpus_read(&c);
    *m = (struct machine){ .cores = c.cores, .numa = c.nodes, .narrowed = cpus_are_narrowed(),
                           .memory = limit_memory(), .installed = limit_installed() };
}

int machine_threads(const struct machine *m, int n)
{
    const int nodes = m->numa;
    if (n >= m->cores) return 1;
    if (n < nodes || m->cores < nodes) return m->cores / n;
    const int threads = m->cores / nodes / ((n + nodes - 1) / nodes);
    return threads > 0 ? threads : 1;
}
