/* SPDX-License-Identifier: Apache-2.0 */
#include "src/bench/bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/status.h"
#include "src/cli/args.h"
#include "src/conf/conf_model.h"
#include "src/infer/start_model.h"

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, ascending);
    return n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}

double bench_time(void (*f)(void *ctx), void *ctx, int repeat)
{
    double *s = mem_new(repeat, sizeof *s, "times");
    f(ctx);
    for (int i = 0; i < repeat; i++) {
        const double start = clock_s();
        f(ctx);
        s[i] = clock_s() - start;
    }
    const double median = bench_median(s, repeat);
    mem_free(s);
    return median;
}

real *bench_noise(int64_t n, const char *name)
{
    const uint64_t key = rng_key(0, name);
    real *x = mem_new(n, sizeof *x, "benchmark");
    #pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) x[i] = (real)(2 * rng_uniform(key, (uint64_t)i) - 1);
    return x;
}

int bench_folder(char **path, const char *dir)
{
    const char *tmp = getenv("TMPDIR");

    *path = mem_format("%s/ttt-bench.XXXXXX", dir ? dir : tmp && *tmp ? tmp : "/tmp");
    if (mkdtemp(*path)) return OK;
    const int rc = fail(ERR_IO, "%s: can't make folder: %s", *path, strerror(errno));
    mem_free(*path);
    *path = NULL;
    return rc;
}

int bench_conf(struct conf *c, const char *file, const struct arg_list *sets, int64_t tokens)
{
    static const char defaults[] = "data:\n  train: none\n";
    char *all[sizeof sets->v / sizeof *sets->v + 3], *own[2] = { NULL };
    int n = 0, rc;

    if (tokens) {
        all[n++] = own[0] = mem_format("train.context=%lld", (long long)tokens);
        all[n++] = own[1] = mem_format("train.batch_tokens=%lld", (long long)tokens);
    }
    for (int i = 0; i < sets->n; i++) all[n++] = sets->v[i];
    rc = file ? conf_read(c, file, all, n, &start_models)
              : conf_parse(c, defaults, strlen(defaults), "defaults", all, n, &start_models);
    if (rc == OK) conf_report_model(c);
    mem_free(own[0]);
    mem_free(own[1]);
    return rc;
}

const char *bench_optim_name(const struct optim_opts *o)
{
    return o->kind == OPTIM_SOAP ? "SOAP" : o->state == MOMENTS_BF16 ? "AdamW, bf16" : "AdamW";
}
