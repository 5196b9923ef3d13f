/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/train/patience.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/launch_token.h"
#include "src/base/log.h"
#include "src/base/rank_env.h"

/* The processes get SIGTERM after T and SIGKILL after 2 T (patience.h), so T seconds are left for a
 * step and a checkpoint.  Open MPI has no call that gives T: `mpirun --mca` and the environment
 * both arrive here as a variable, the file of parameters does not, and then the default counts. */
int patience_warn(double need_s)
{
    const char *given = getenv("OMPI_MCA_odls_base_sigkill_timeout");   /* also of mpirun --mca */
    const double patience_s = given ? atof(given) : 1;
    struct rank_env e;

    rank_env_read(&e);
    if (e.by != STARTED_OPENMPI || launch_token() || need_s < patience_s) return 0;
    log_warn("a step and a checkpoint take %.1f s, but mpirun kills its processes %.0f s after they "
             "got SIGTERM: ending mpirun by SIGTERM, SIGINT or Ctrl-C would lose the steps since the "
             "last checkpoint. To save and end, send SIGUSR1 to mpirun; or set the environment "
             "variable OMPI_MCA_odls_base_sigkill_timeout=%.0f before mpirun starts; or use ttt "
             "launch, which has no such limit", need_s, patience_s, ceil(2 * need_s));
    return 1;
}
