/* SPDX-License-Identifier: Apache-2.0 */
/* team.h -- commands that several processes can execute together.
 *
 * src/ does not know MPI, so such a command has two parts: one reads its command line, the other
 * does the work and calls the functions of a team where the processes act together.  NULL is a team
 * of one process; mpi/app/on_grid.c makes the others.
 */
#ifndef TEAM_H
#define TEAM_H

#include <stdint.h>

#include "src/infer/eval.h"
#include "src/infer/probe.h"

struct team {
    void *ctx;
    int   speaks;    /* does this process print and write? */

    /* One's failure becomes everybody's. */
    int (*agree)(void *ctx, int rc);

    /* eval_run(), probe_run(), on a grid. */
    int (*eval)(void *ctx, struct eval_result *r, const struct model *m, struct dataset *d,
                const struct eval_opts *o);
    int (*probe)(void *ctx, struct probe **out, const struct model *m, const int32_t *tok, int B,
                 int L, const struct probe_opts *o);
};

/* --- ttt eval ---------------------------------------------------------------- */

struct eval_command {
    const char *model, *data;   /* model NULL: only help was wanted  */
    const char *grid, *precision;   /* NULL: not said                */
    int64_t     context, max_tokens, threads;
    int         by_position, inner, json, score_bos;
};

int eval_command_parse(struct eval_command *c, int argc, char **argv);
int eval_command_run(const struct eval_command *c, const struct team *team);

/* --- ttt probe --------------------------------------------------------------- */

struct probe_command {
    const char       *model, *tokens, *out, *grid, *precision;   /* likewise */
    struct probe_opts opts;
    int64_t           threads;
};

int probe_command_parse(struct probe_command *c, int argc, char **argv);
int probe_command_run(const struct probe_command *c, const struct team *team);

#endif
