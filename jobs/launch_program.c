/* SPDX-License-Identifier: Apache-2.0 */
/* What mpirun or srun starts: this program, as `ttt train` or `ttt bench rates`. */
#include <string.h>
#include <unistd.h>

#include "jobs/launch.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/forecast/rates_of_run.h"

char *launch_self(void)
{
    static const char gone[] = " (deleted)";  /* of a file that was removed or replaced */
    char path[CONF_PATH] = "";

    if (readlink("/proc/self/exe", path, sizeof path - 1) < 0)
        die("can't read /proc/self/exe: is /proc mounted?");
    const size_t n = strlen(path), m = strlen(gone);
    if (n > m && !strcmp(path + n - m, gone) && access(path, F_OK) != 0) path[n - m] = '\0';
    return mem_string(path);
}

void launch_program(struct words *w, const struct launch *l)
{
    const struct launch_opts *o = l->o;
    char *self = launch_self(), *file = word_path(o->file);

    word(w, l->program.path ? l->program.path : self);
    if (o->measure) pair(w, "bench", "rates");
    else word(w, "train");
    word(w, file);
    mem_free(self);
    mem_free(file);
    for (int i = 0; i < o->sets.n; i++) pair(w, "--set", o->sets.v[i]);
    if (o->measure) {
        char *out = mem_format("%s/" RATES_FILE, l->conf->run.dir), *path = word_path(out);
        word(w, "--threads");
        formatted(w, "%d", l->threads);
        pair(w, "--out", path);
        mem_free(path);
        mem_free(out);
        return;
    }
    word(w, "--grid");
    formatted(w, "%dx%dx%d", l->grid.D, l->grid.P, l->grid.S);
    if (o->allow_config_change) word(w, "--allow-config-change");
    if (o->allow_data_change) word(w, "--allow-data-change");
    if (o->takeover && !l->starts) word(w, "--takeover");
}
