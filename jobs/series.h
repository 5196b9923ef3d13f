/* series.h -- many runs from one file.
 *
 *     series:
 *       dir: logs/compare
 *       runs: [../config/ttt-linear-125m.yaml, ../config/ttt-mlp-125m.yaml]
 *       set: [train.steps=1000]
 *       grid: ["train.context=2048,8192", "run.seed=1,2"]
 *
 * is 2 x 2 x 2 members: every file with every combination of the grid's values, each a run of its
 * own in logs/compare/ttt-linear-125m-context2048-seed1 and so on.  What is done and what is not is
 * seen from these folders alone.
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

/* Read a series and every member of it.  sets: overrides of all members.
 * returns OK; ERR_CONFIG, ERR_MISSING, everything that is wrong said; series_close() either way */
int series_open(struct series *s, const char *file, const struct arg_list *sets);
void series_close(struct series *s);

/* Read a member's configuration, with what belongs to all of them.  Again before it runs, where the
 * model that it starts from was not there yet: an earlier member may have made it.
 * returns OK, ERR_CONFIG, ERR_MISSING, ERR_DATA */
int series_resolve(struct series *s, struct member *m, const struct arg_list *sets);

/* Submit the members that are marked as missing; dry: print the scripts and do nothing. */
int series_submit(const struct series *s, const int *missing, int dry);

#endif
