/* What mpirun or srun starts: this program, as `ttt train` with its arguments. */
#include <unistd.h>

#include "jobs/launch.h"
#include "src/base/mem.h"
#include "src/base/status.h"

char *launch_self(void)
{
    char path[CONF_PATH] = "";
    if (readlink("/proc/self/exe", path, sizeof path - 1) < 0)
        die("can't read /proc/self/exe: is /proc mounted?");
    return mem_string(path);
}

void launch_program(struct words *w, const struct launch *l)
{
    const struct launch_opts *o = l->o;
    char *program = launch_self(), *file = word_path(o->file);

    pair(w, program, "train");
    word(w, file);
    mem_free(program);
    mem_free(file);
    for (int i = 0; i < o->sets.n; i++) pair(w, "--set", o->sets.v[i]);
    word(w, "--grid");
    formatted(w, "%dx%dx%d", l->grid.D, l->grid.P, l->grid.S);
    if (o->allow_config_change) word(w, "--allow-config-change");
    if (o->allow_data_change) word(w, "--allow-data-change");
    if (o->takeover && !l->starts) word(w, "--takeover");
}
