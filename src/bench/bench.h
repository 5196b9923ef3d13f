/* SPDX-License-Identifier: Apache-2.0 */
/* bench.h -- measurements of one process, one part of `ttt bench` per file.  All functions are
 * local.
 *
 * A part first verifies what it will time, then warms up, repeats, and reports
 * the median: machines are shared, and a minimum flatters.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>

#include "src/base/real.h"

struct arg_list;
struct conf;
struct optim_opts;
struct rates;

struct bench_opts {
    int repeat;   /* timed repetitions, >= 1          */
    int json;     /* one JSON object a line           */
    int threads;  /* what OpenMP uses                 */
};

/* Median seconds of `repeat` calls of f, after one that is not counted. */
double bench_time(void (*f)(void *ctx), void *ctx, int repeat);

/* The median of v[0, n); sorts v. */
double bench_median(double *v, int n);

/* n reals, uniform in (-1, 1), a function of `name`; mem_free(). */
real *bench_noise(int64_t n, const char *name);

/* A new folder under dir (NULL: $TMPDIR or /tmp), which the caller removes; a counted string. */
int bench_folder(char **path, const char *dir);

/* What a training step is compared with, GFLOP/s of all threads in fp32 or bf16: dense products,
 * the best of a few large shapes, and what registers alone reach (peak.h). */
struct bench_limits { double gemm, peak; };

/* Measure them.  The best of this and earlier calls counts: *l is zero before the first. */
int bench_limits(const struct bench_opts *o, int in_bf16, struct bench_limits *l);

/* The products of a model, forward and backward, ours and those of libraries, compared with the
 * peak. */
int bench_gemm(const struct bench_opts *o, const char *file, const struct arg_list *sets);

/* Memory: triad (a = b + 3 c, three streams counted) and read, GB/s; read may be NULL. */
int bench_stream(const struct bench_opts *o, int rows, double *gbytes, double *read);

/* Every elementwise and row kernel, in GB/s, compared with the memory rate. */
int bench_kernels(const struct bench_opts *o);

/* The inner loop of a head on one core, its small products and mini-batches, in GFLOP/s,
 * compared with the rate of dense products there. */
int bench_inner(const struct bench_opts *o);

/* One sequence: a prompt at once (`prompt`), compared with the rate of products; or token by
 * token, compared with the rate of reading memory. */
int bench_decode(const struct bench_opts *o, const char *file, const struct arg_list *sets,
                 int prompt);

/* A data set of made-up tokens < vocab in folder dir. */
int bench_data_make(const char *dir, int vocab, int64_t tokens);

/* Its samples in the order of training: proved, then read `repeat` times from files that the system
 * was told to forget, compared with plain reading of the same files. */
struct bench_reading { double tokens, bytes, tok_per_s, file_tok_per_s; };
int bench_data_read(struct bench_reading *r, const char *dir, int context, int repeat);

/* The name of the optimizer, for people. */
const char *bench_optim_name(const struct optim_opts *o);

/* The run that is measured.  file: its YAML or NULL (the 125m model); tokens: context, 0: the
 * file's; sets: overrides as for ttt train.  returns OK or conf_read()'s errors */
int bench_conf(struct conf *c, const char *file, const struct arg_list *sets, int64_t tokens);

/* Seconds a token, [0] forward and [1] backward, head both, in the same pass, and forward FLOPs. */
struct bench_operations { double embed[2], layer[2], head, layer_flops, head_flops; };
int bench_operations(const struct bench_opts *o, const struct conf *c, struct bench_operations *r);

/* One layer forward and backward by part, and embedding and head, compared with the rate of
 * products. */
int bench_layer(const struct bench_opts *o, const char *file, const struct arg_list *sets);

/* r->share: what a few layers of the run's width and the head reach of r->rank, in a real pass
 * over two units. */
int bench_layers(const struct bench_opts *o, const struct conf *c, struct rates *r);

#endif
