/* SPDX-License-Identifier: Apache-2.0 */
/* series.h -- many runs from one file.
 *
 *     series:
 *       dir: logs/compare
 *       runs: [../config/ttt-linear-125m.yaml, ../config/ttt-mlp-125m.yaml]
 *       set: [train.steps=1000]
 *       grid: ["train.context=2048,8192", "run.seed=1,2"]
 *
 * is 2 x 2 x 2 members: every file with every combination of the grid's values, each a run of its
 * own in logs/compare/ttt-linear-125m-context2048-seed1 and so on.  Only these folders tell which
 * members are finished.  All functions are local.
 */
#ifndef SERIES_H
#define SERIES_H

#include "jobs/launch.h"

#define SERIES_MAX 1000           /* members; clusters seldom take larger job arrays */

struct series_conf {
    struct {
        char dir[CONF_PATH];
        char runs[16000], set[4000], grid[8000];   /* CONF_LIST                    */
        int  at_once;             /* jobs of the array that run at a time; 0: all  */
    } series;
};

struct member {
    char           *name, *file;  /* of the run, in series.dir; RUN.yaml           */
    struct arg_list sets;         /* overrides                                     */
    struct conf    *conf;         /* the whole                                     */
};

struct series {
    struct series_conf conf;
    char          *file;          /* its YAML file                                 */
    struct member *m;
    int            n;
};

/* Read a series and every member of it.
 *
 * s        [out] release with series_close() whatever is returned
 * sets     overrides of all members
 * returns  OK; ERR_CONFIG or ERR_MISSING; everything that is wrong is reported */
int series_open(struct series *s, const char *file, const struct arg_list *sets);
void series_close(struct series *s);

/* Read a member's configuration, with the overrides of all members.  It is read again before the
 * member runs if the model that it starts from did not exist yet: an earlier member may have made
 * it.
 *
 * returns  OK; ERR_CONFIG, ERR_MISSING or ERR_DATA, reported */
int series_resolve(struct series *s, struct member *m, const struct arg_list *sets);

/* Submit the members that are marked.
 *
 * missing  (n) 1: submit it
 * dry      print the scripts and do nothing else
 * returns  OK, or the status of what is wrong, reported */
int series_submit(const struct series *s, const int *missing, int dry);

#endif
