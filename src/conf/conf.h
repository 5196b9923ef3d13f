/* SPDX-License-Identifier: Apache-2.0 */
/* conf.h -- one YAML file is one run.
 *
 * conf_table.c has one row per key: path, type, default, range, unit, help.
 * From it come the YAML reader, range checks, --help, the resolved copy and
 * config/README.md.  The YAML path is the struct path.
 */
#ifndef CONF_H
#define CONF_H

#include <stdint.h>
#include <stdio.h>

#include "src/layers/dims.h"
#include "src/model/pass.h"
#include "src/optim/optim_opts.h"
#include "src/param/grad.h"

#define CONF_PATH 1024

/* Bytes of a list: shown with quotes, it fits where a path does. */
#define CONF_LIST_SIZE 1000

enum precision { PRECISION_FP32, PRECISION_BF16 };
enum backbone { BACKBONE_MAMBA, BACKBONE_TRANSFORMER };
enum slurm_start { START_MPIRUN, START_SRUN };
enum mpirun_kind { MPIRUN_AUTO, MPIRUN_OPENMPI4, MPIRUN_OPENMPI5, MPIRUN_MPICH, MPIRUN_INTEL,
                   MPIRUN_PALS };

struct conf {
    struct {
        char dir[CONF_PATH]; char name[64]; int64_t seed; int threads;
        char grid[32];            /* "auto" or DxPxS, see plan/share.h            */
    } run;
    struct {
        char layer[PATTERN_TEXT]; /* a name, or several (layers/pattern.h)        */
        int backbone;             /* enum backbone: sets gate, share_qk, pre_conv when they are auto */
        int vocab, layers, width, heads, kv_heads, ffn_width, mini_batch, conv_width;
        int head_dim;             /* -1: width / heads                        */
        int qkv_bias;
        int sliding_window, full_layers;    /* 0: none                         */
        int gate, share_qk, pre_conv;   /* 0, 1, or -1: as the backbone has it */
        int tied;
        int inner_norm, inner_residual, inner_bias, inner_mean;    /* 0: enum without */
        int learn_init, learn_gate, learn_token_idx;
        double rope_theta, rms_eps, ln_eps, init_std, inner_lr;
        int init;                 /* 0: normal, 1: orthogonal                */
        int state, expand, dt_rank;     /* Mamba; dt_rank -1: width / 16 */
        struct { int type; double factor, low_freq_factor, high_freq_factor; int original_context; }
            rope_scaling;         /* type: enum rope_scaling                 */
    } model;
    struct { char train[CONF_PATH], val[CONF_PATH]; char skip[CONF_PATH]; int mask_bos; } data;
    struct {
        int64_t steps;            /* optimizer updates                        */
        int context;              /* tokens of a sequence                     */
        int64_t batch_tokens;     /* per update: a multiple of context        */
        int micro_batch;          /* sequences at once                        */
        int slice_tokens;         /* 0: min(context, 1024)                    */
        int precision;            /* enum precision                           */
        int reduction;            /* enum reduction                           */
        int remat;                /* enum remat                               */
        int sequence_mode;        /* enum sequence_mode                       */
        int inner_group;          /* mini-batches between kept inner states   */
        int inner_stats_every;    /* steps between inner-loss diagnostics; 0: never */
        int max_bad_steps;        /* non-finite steps in a row before exit 87 */
        double spike_nats;        /* above the mean: go back; 0: never        */
        int guard_every;          /* steps between looks at memory; 0: never  */
        char init_from[CONF_PATH];   /* MODEL whose weights are the start, or "" */
        char init_change[CONF_LIST_SIZE];  /* keys of it that the run changes */
    } train;
    struct optim_opts optim;      /* decay_steps 0: train.steps; warmup_steps -1: 10 % */
    struct { int every_steps, context; int64_t max_tokens; } eval;
    struct {
        double every_minutes; int64_t every_steps; int keep; int64_t keep_every; int level;
        int writers, background;
    } checkpoint;
    struct { int every_steps; } log;
    struct {
        int ranks, bind, kill_wait_s;
        int mpirun_kind;          /* enum mpirun_kind                                 */
        char hosts[CONF_PATH], mpirun[CONF_PATH], mpirun_args[CONF_PATH], rates[CONF_PATH];
        struct {                  /* of a SLURM job, jobs/slurm.h                   */
            int  nodes, min_nodes, tasks_per_node, cpus_per_task;
            char time[32], partition[128], account[128], qos[128], constraint[256], memory[32];
            int  start;           /* enum slurm_start                               */
            char mpi[32];         /* of srun                                        */
            int  signal_s;        /* before the end of the time; auto: from the run */
            int  chain;           /* jobs after each other instead of one requeued  */
            char modules[CONF_LIST_SIZE], source[CONF_LIST_SIZE], environment[CONF_LIST_SIZE],
                 options[CONF_LIST_SIZE];
        } slurm;
    } launch;
    struct { int enabled, core; double setup_s, data_s, step_s, save_s; } watchdog;

    /* No keys: how the run relates to the model that it starts from (conf_model.h). */
    struct {
        int  missing;             /* there is none at train.init_from             */
        char from[CONF_PATH];     /* what was looked at, or ""                    */
        char taken[512], changed[512];  /* "rope_theta 500000, ...", for people   */
    } start;
};

/* How the model at train.init_from is opened.  conf does not read checkpoints, so the caller passes
 * the functions that do: those of infer/start_model.h. */
struct conf_models {
    int (*is_at)(const char *path);                     /* is anything there?  Silent        */
    int (*dims_at)(struct dims *d, const char *path);   /* OK; ERR_MISSING, ERR_DATA, reported */
};

/* Read FILE, then overrides ("key.path=value", in order), take what is not given from the model at
 * train.init_from, check everything.  All errors are reported at once, each with file:line:column,
 * key, what was expected, what was found, and the nearest known key.
 * returns OK, ERR_CONFIG; ERR_MISSING, ERR_DATA of FILE or the model.  If there is no model at all,
 * that is not an error here; start.missing is set.  models NULL: no model is read. */
int conf_read(struct conf *c, const char *file, char *const *sets, int n_sets,
              const struct conf_models *models);

/* Same, from text in memory; `name` stands for the file in messages. */
int conf_parse(struct conf *c, const char *text, size_t n, const char *name, char *const *sets,
               int n_sets, const struct conf_models *models);

/* Both for a configuration that a run has stored.  It is complete, so no model is read. */
int conf_read_stored(struct conf *c, const char *file);
int conf_parse_stored(struct conf *c, const char *text, const char *name);

/* Where the file is that the file `from` calls `path`: relative to `from`; if nothing is there, one
 * that came with the program (base/share_dir.h: share/ttt/config, share/ttt).  Local.
 * returns a counted string, the first of these places if there is no such file anywhere */
char *conf_locate(const char *from, const char *path);

/* The complete configuration as YAML that conf_parse() reads back to the same
 * values (bitwise for numbers).  A counted string. */
char *conf_text(const struct conf *c);

/* config/README.md and the manual page ttt-run(5), from the table.  Local. */
void conf_reference(FILE *out);
void conf_manual(FILE *out);

/* A time as SLURM reads it ("30", "12:00:00", "2-00", ...) in seconds; -1 if it is not one. */
int64_t conf_slurm_time(const char *text);

/* What the modules see. */
void conf_dims(const struct conf *c, struct dims *d);
void conf_pass(const struct conf *c, struct pass_opts *o, int bos);
void conf_optim(const struct conf *c, struct optim_opts *o);

#endif
