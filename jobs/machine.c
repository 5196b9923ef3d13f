#include "jobs/machine.h"

#include <hwloc.h>
#include <unistd.h>

#include "src/base/limit.h"

static void count(struct machine *m, hwloc_topology_t t)
{
    const int cores = hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_CORE);
    const int units = hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_PU);
    const int numa = hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_NUMANODE);

    m->cores = cores > 0 ? cores : units;
    m->numa = numa > 0 ? numa : 1;
}

void machine_read(struct machine *m)
{
    hwloc_topology_t t;
    const long online = sysconf(_SC_NPROCESSORS_ONLN);

    *m = (struct machine){ .numa = 1 };
    m->memory = limit_memory();
    m->installed = limit_installed();
    if (hwloc_topology_init(&t) == 0) {
        if (hwloc_topology_load(t) == 0) count(m, t);
        hwloc_topology_destroy(t);
    }
    if (m->cores < 1) m->cores = online > 0 ? (int)online : 1;
}

int machine_threads(const struct machine *m, int n)
{
    const int nodes = m->numa;
    if (n >= m->cores) return 1;
    if (n < nodes || m->cores < nodes) return m->cores / n;
    const int threads = m->cores / nodes / ((n + nodes - 1) / nodes);
    return threads > 0 ? threads : 1;
}
