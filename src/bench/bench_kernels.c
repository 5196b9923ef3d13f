/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/bench/bench.h"
#include "src/kernels/act.h"
#include "src/kernels/conv1d.h"
#include "src/kernels/layernorm.h"
#include "src/kernels/rmsnorm.h"
#include "src/kernels/xent.h"
#include "src/optim/adamw.h"
#include "src/param/grad.h"

/* Rows of the 125m model: one unit of work, which caches hold, and so many that
 * none does. */
static const int rows[] = { 1024, 32768 };
enum { C = 768, W = 4 };
#define SCORED 24  /* rows of cross-entropy: N C / SCORED classes, 32 N */

static const double eps = 1e-6;

/* What the kernels work on; each uses what it needs. */
struct arrays {
    int N;
    int64_t NC;
    real *x, *y, *z, *a, *b;      /* (N,C)                             */
    real *w, *u, *v, *halo;       /* (C,W), (C), (C), (W-1,C)          */
    real *sum;                    /* (C,2W) gradients of all of those  */
    real *mu, *r;                 /* (N)                               */
    double *nll;                  /* (SCORED)                          */
    int32_t *target;              /* (SCORED)                          */
    struct param_table table;     /* one parameter of NC elements      */
    struct grad grad;
};

static const struct optim_opts optim = { .lr = 1e-3, .min_lr = 1e-3, .beta1 = 0.9, .beta2 = 0.95,
                                         .eps = 1e-8, .weight_decay = 0.1 };

/* The element that a check looks at, in the last row but two. */
enum { COL = C - 5 };
#define IN_ROW(p, c) ((double)(p)[(int64_t)(s->N - 3) * C + (c)])
#define AT(p) IN_ROW(p, COL)

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* Rows of bf16 in an array, and by how much their element differs from x, rounded. */
static bf16 *rows_in(real *array) { return (bf16 *)(void *)array; }
static double off_row(real *array, const struct arrays *s, double x)
{
    const bf16 is = rows_in(array)[(int64_t)(s->N - 3) * bf16_inner(C) + COL];
    return (double)(bf16_value((bf16)bf16_bits((real)x)) - bf16_value(is));
}

static void rms_f(struct arrays *s) { rmsnorm_forward(s->y, s->r, s->x, s->v, s->N, C, eps); }
static double rms_scale(const struct arrays *s)
{
    double sum = 0;
    for (int c = 0; c < C; c++) sum += IN_ROW(s->x, c) * IN_ROW(s->x, c);
    return 1 / sqrt(sum / C + eps);
}
static double verify_rms_f(struct arrays *s)
{
    rms_f(s);
    return AT(s->x) * (double)s->v[COL] * rms_scale(s) - AT(s->y);
}

static void rms_b(struct arrays *s)
{
    rmsnorm_backward(s->z, s->sum, s->a, s->x, s->v, s->r, s->N, C);
}
static double verify_rms_b(struct arrays *s)
{
    const double r = rms_scale(s);
    double sum = 0;
    for (int c = 0; c < C; c++) sum += (double)s->v[c] * IN_ROW(s->a, c) * IN_ROW(s->x, c);
    memset(s->z, 0, (size_t)s->NC * sizeof *s->z);
    rms_f(s);
    rms_b(s);
    return r * (double)s->v[COL] * AT(s->a) - AT(s->x) * r * r * r * sum / C - AT(s->z);
}

static void rms_rows(struct arrays *s)
{
    rmsnorm_rows(rows_in(s->y), s->r, s->x, s->v, s->N, C, eps);
}
static double verify_rms_rows(struct arrays *s)
{
    rms_f(s);
    const double y = AT(s->y);
    rms_rows(s);
    return off_row(s->y, s, y);
}

static struct layernorm ln_of(const struct arrays *s)
{
    return (struct layernorm){ .N = s->N, .C = C, .x = s->x, .gamma = s->v, .beta = s->u,
                               .eps = eps, .mu = s->mu, .rstd = s->r };
}
static void ln_f(struct arrays *s)
{
    const struct layernorm ln = ln_of(s);
    layernorm_forward(s->y, &ln);
}
static void ln_moments(const struct arrays *s, double *mean, double *rstd)
{
    double var = 0;
    *mean = 0;
    for (int c = 0; c < C; c++) *mean += IN_ROW(s->x, c) / C;
    for (int c = 0; c < C; c++) var += pow(IN_ROW(s->x, c) - *mean, 2) / C;
    *rstd = 1 / sqrt(var + eps);
}
static double verify_ln_f(struct arrays *s)
{
    double mean, rstd;
    ln_f(s);
    ln_moments(s, &mean, &rstd);
    return (AT(s->x) - mean) * rstd * (double)s->v[COL] + (double)s->u[COL] - AT(s->y);
}

static void ln_b(struct arrays *s)
{
    const struct layernorm ln = ln_of(s);
    layernorm_backward(&(struct layernorm_grad){ s->y, s->sum, s->sum + C }, s->a, &ln);
}
static double verify_ln_b(struct arrays *s)
{
    double mean, rstd, g = 0, gx = 0;
    ln_f(s);
    ln_b(s);
    ln_moments(s, &mean, &rstd);
    for (int c = 0; c < C; c++) {
        const double g_c = IN_ROW(s->a, c) * (double)s->v[c];
        g += g_c / C;
        gx += g_c * (IN_ROW(s->x, c) - mean) * rstd / C;
    }
    return rstd * (AT(s->a) * (double)s->v[COL] - g - (AT(s->x) - mean) * rstd * gx) - AT(s->y);
}

static struct conv1d conv_of(const struct arrays *s)
{
    return (struct conv1d){ .T = s->N, .C = C, .W = W, .x = s->x, .halo = s->halo, .w = s->w,
                            .b = s->v };
}
static void conv_f(struct arrays *s)
{
    const struct conv1d conv = conv_of(s);
    conv1d_forward(s->y, &conv);
}
static double verify_conv_f(struct arrays *s)
{
    double sum = (double)s->v[COL];
    conv_f(s);
    for (int k = 0; k < W; k++)
        sum += (double)s->w[COL * W + k] * (double)s->x[(int64_t)(s->N - W - 2 + k) * C + COL];
    return sum - AT(s->y);
}

static void conv_b(struct arrays *s)
{
    const struct conv1d conv = conv_of(s);
    real *dw = s->sum, *db = dw + C * W, *dhalo = db + C;
    conv1d_backward(&(struct conv1d_grad){ s->y, dhalo, dw, db }, s->a, &conv);
}
static double verify_conv_b(struct arrays *s)
{
    double sum = 0;
    conv_b(s);        /* the last row but two: the taps of three outputs */
    for (int k = 1; k < W; k++)
        sum += (double)s->w[COL * W + k] * (double)s->a[(int64_t)(s->N + W - 4 - k) * C + COL];
    return sum - AT(s->y);
}

static void swiglu_f(struct arrays *s) { swiglu_forward(s->y, s->a, s->b, s->NC); }
static double verify_swiglu_f(struct arrays *s)
{
    swiglu_f(s);
    return AT(s->a) * sigmoid(AT(s->a)) * AT(s->b) - AT(s->y);
}

static void swiglu_b(struct arrays *s) { swiglu_backward(s->y, s->z, s->x, s->a, s->b, s->NC); }
static double verify_swiglu_b(struct arrays *s)
{
    const double a = AT(s->a), p = sigmoid(a);
    swiglu_b(s);
    return AT(s->x) * AT(s->b) * p * (1 + a * (1 - p)) - AT(s->y) + AT(s->x) * a * p - AT(s->z);
}

static void swiglu_f_rows(struct arrays *s)
{
    swiglu_forward_rows(rows_in(s->y), s->a, s->b, s->N, C);
}
static double verify_swiglu_f_rows(struct arrays *s)
{
    swiglu_f(s);
    const double y = AT(s->y);
    swiglu_f_rows(s);
    return off_row(s->y, s, y);
}

static void swiglu_b_rows(struct arrays *s)
{
    swiglu_backward_rows(rows_in(s->y), rows_in(s->z), s->x, s->a, s->b, s->N, C);
}
static double verify_swiglu_b_rows(struct arrays *s)
{
    swiglu_b(s);
    const double y = AT(s->y), z = AT(s->z);
    swiglu_b_rows(s);
    return fabs(off_row(s->y, s, y)) + fabs(off_row(s->z, s, z));
}

static double gelu_sigmoid(double g)
{
    return sigmoid(1.5957691216057308 * (g + 0.044715 * g * g * g));
}
static void gelu_f(struct arrays *s) { gelu_gate_forward(s->y, s->a, s->b, s->NC); }
static double verify_gelu_f(struct arrays *s)
{
    gelu_f(s);
    return AT(s->a) * AT(s->b) * gelu_sigmoid(AT(s->b)) - AT(s->y);
}

static void gelu_b(struct arrays *s) { gelu_gate_backward(s->y, s->z, s->x, s->a, s->b, s->NC); }
static double verify_gelu_b(struct arrays *s)
{
    const double g = AT(s->b), p = gelu_sigmoid(g);
    const double slope = p + g * p * (1 - p) * 1.5957691216057308 * (1 + 3 * 0.044715 * g * g);
    gelu_b(s);
    return AT(s->x) * g * p - AT(s->y) + AT(s->x) * AT(s->a) * slope - AT(s->z);
}

static void gelu_f_rows(struct arrays *s)
{
    gelu_gate_forward_rows(rows_in(s->y), s->a, s->b, s->N, C);
}
static double verify_gelu_f_rows(struct arrays *s)
{
    gelu_f(s);
    const double y = AT(s->y);
    gelu_f_rows(s);
    return off_row(s->y, s, y);
}

static void gelu_b_rows(struct arrays *s)
{
    gelu_gate_backward_rows(s->y, rows_in(s->z), s->x, s->a, s->b, s->N, C);
}
static double verify_gelu_b_rows(struct arrays *s)
{
    gelu_b(s);
    const double z = AT(s->z);
    gelu_b_rows(s);
    return off_row(s->z, s, z);
}

/* Operands of products: rows; and from them panels and rows of columns. */
static void to_rows(struct arrays *s) { bf16_rows(rows_in(s->z), s->x, C, s->N, C); }
static double verify_to_rows(struct arrays *s)
{
    to_rows(s);
    return off_row(s->z, s, AT(s->x));
}

static void to_panels(struct arrays *s)
{
    bf16_panels_of_rows(rows_in(s->y), rows_in(s->z), s->N, C);
}
static double verify_to_panels(struct arrays *s)
{
    const int64_t pair = (int64_t)(COL / BF16_PANEL * (s->N / 2) + (s->N - 3) / 2) * BF16_PANEL;
    to_rows(s);
    to_panels(s);
    return off_row(s->z, s, (double)bf16_value(
        rows_in(s->y)[(pair + COL % BF16_PANEL) * 2 + (s->N - 3) % 2]));
}

static void to_columns(struct arrays *s) { bf16_transposed(rows_in(s->y), rows_in(s->z), s->N, C); }
static double verify_to_columns(struct arrays *s)
{
    to_rows(s);
    to_columns(s);
    return off_row(s->z, s, (double)bf16_value(rows_in(s->y)[(int64_t)COL * s->N + s->N - 3]));
}

static void add_f(struct arrays *s) { vec_add(s->y, s->x, s->NC); }
static double verify_add(struct arrays *s)
{
    const double before = AT(s->y);
    add_f(s);
    return before + AT(s->x) - AT(s->y);
}

static void xent(struct arrays *s)
{
    xent_grad(s->y, s->nll, s->target, s->v, SCORED, (int)(s->NC / SCORED));
}
static double verify_xent(struct arrays *s)
{
    const int V = (int)(s->NC / SCORED);
    double sum = 0;
    memcpy(s->y, s->x, (size_t)s->NC * sizeof *s->y);
    for (int v = 0; v < V; v++) sum += exp((double)s->y[v]);
    xent(s);
    return 0.1 * (log(sum) - (double)s->x[0] - s->nll[0]) +
           (double)s->v[0] * exp((double)s->x[1]) / sum - (double)s->y[1];
}

static void grad_exact(struct arrays *s)
{
    #pragma omp parallel for schedule(static)
    for (int n = 0; n < s->N; n++) grad_add(&s->grad, (int64_t)n * C, s->a + (int64_t)n * C, C);
}
static double verify_grad(struct arrays *s)
{
    real mean;
    grad_begin(&s->grad, 2);
    grad_exact(s);
    grad_read(&s->grad, &mean, (int64_t)(s->N - 3) * C + COL, 1);
    return (double)mean - 0.5 * AT(s->a);
}

static void adamw(struct arrays *s)
{
    adamw_update(&(struct adamw){ .opts = &optim, .grad = &s->grad, .w = s->y, .end = s->NC,
                                  .factor = 1 }, s->z, s->b);
}
static double verify_adamw(struct arrays *s)
{
    verify_grad(s);
    memset(s->z, 0, (size_t)s->NC * sizeof *s->z);
    memset(s->b, 0, (size_t)s->NC * sizeof *s->b);
    const double w = AT(s->y), g = 0.5 * AT(s->a);
    adamw(s);
    return w - 1e-3 * (g / (fabs(g) + 1e-8) + 0.1 * w) - AT(s->y);
}

#define HALF ((double)sizeof(bf16) / sizeof(real))  /* of a real */

/* Bytes are what must move: inputs once, outputs once (the second look of the
 * sums over rows comes from the cache, or costs). */
static const struct kernel {
    const char *name;
    void (*run)(struct arrays *);
    double (*verify)(struct arrays *); /* run, and say by how much it is wrong */
    double reals, longs;               /* moved per element                    */
} kernels[] = {
    { "vec_add", add_f, verify_add, 3, 0 },
    { "rmsnorm_forward", rms_f, verify_rms_f, 2, 0 },
    { "rmsnorm_rows", rms_rows, verify_rms_rows, 1 + HALF, 0 },
    { "rmsnorm_backward", rms_b, verify_rms_b, 4, 0 },
    { "layernorm_forward", ln_f, verify_ln_f, 2, 0 },
    { "layernorm_backward", ln_b, verify_ln_b, 3, 0 },
    { "conv1d_forward", conv_f, verify_conv_f, 2, 0 },
    { "conv1d_backward", conv_b, verify_conv_b, 3, 0 },
    { "swiglu_forward", swiglu_f, verify_swiglu_f, 3, 0 },
    { "swiglu_backward", swiglu_b, verify_swiglu_b, 5, 0 },
    { "swiglu_forward_rows", swiglu_f_rows, verify_swiglu_f_rows, 2 + HALF, 0 },
    { "swiglu_backward_rows", swiglu_b_rows, verify_swiglu_b_rows, 3 + 2 * HALF, 0 },
    { "gelu_gate_forward", gelu_f, verify_gelu_f, 3, 0 },
    { "gelu_gate_backward", gelu_b, verify_gelu_b, 5, 0 },
    { "gelu_gate_forward_rows", gelu_f_rows, verify_gelu_f_rows, 2 + HALF, 0 },
    { "gelu_gate_backward_rows", gelu_b_rows, verify_gelu_b_rows, 4 + HALF, 0 },
    { "bf16_rows", to_rows, verify_to_rows, 1 + HALF, 0 },
    { "bf16_panels_of_rows", to_panels, verify_to_panels, 2 * HALF, 0 },
    { "bf16_transposed", to_columns, verify_to_columns, 2 * HALF, 0 },
    { "xent_grad", xent, verify_xent, 2, 0 },
    { "grad_add exact", grad_exact, verify_grad, 1, 2 },
    { "adamw_update exact", adamw, verify_adamw, 6, 1 },
};
#define KERNELS ((int)(sizeof kernels / sizeof *kernels))

static void arrays_init(struct arrays *s, int N)
{
    const int64_t NC = (int64_t)N * C;
    *s = (struct arrays){
        .N = N, .NC = NC,
        .x = bench_noise(NC, "x"), .y = bench_noise(NC, "y"), .z = bench_noise(NC, "z"),
        .a = bench_noise(NC, "a"), .b = bench_noise(NC, "b"), .w = bench_noise(C * W, "w"),
        .u = bench_noise(C, "u"), .v = bench_noise(C, "v"), .sum = bench_noise(C * 2 * W, "sum"),
        .halo = bench_noise((W - 1) * C, "halo"), .mu = bench_noise(N, "mu"),
        .r = bench_noise(N, "r"), .nll = mem_new(SCORED, sizeof *s->nll, "benchmark"),
        .target = mem_new(SCORED, sizeof *s->target, "benchmark"),
    };
    for (int n = 0; n < SCORED; n++) s->target[n] = n;
    param_add(&s->table, "", "all", INIT_ZERO, 0, PARAM_SHAPE(NC));
    grad_init(&s->grad, &s->table, REDUCE_EXACT);
}

static void arrays_done(struct arrays *s)
{
    void *all[] = { s->x, s->y, s->z, s->a, s->b, s->w, s->u, s->v, s->sum, s->halo, s->mu,
                    s->r, s->nll, s->target };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
    grad_done(&s->grad);
    param_done(&s->table);
}

struct call { const struct kernel *k; struct arrays *s; };
static void run(void *ctx)
{
    const struct call *c = ctx;
    c->k->run(c->s);
}

static int one(const struct bench_opts *o, const struct kernel *k, struct arrays *s, double stream)
{
    struct call c = { k, s };
    const double off = k->verify(s);
    if (!(fabs(off) < 100 * REAL_EPS))
        return fail(ERR_DATA, "%s is wrong by %g", k->name, off);
    const double t = bench_time(run, &c, o->repeat * rows[1] / s->N);
    const double rate = 1e-9 * (double)s->NC * (k->reals * sizeof(real) + k->longs * 8) / t;
    printf(o->json ? "{\"bench\": \"kernels\", \"name\": \"%s\", \"elements\": %lld, \"threads\": "
                     "%d, \"seconds\": %.6g, \"gbytes_per_s\": %.5g, \"percent_of_triad\": %.4g}\n"
                   : "%-20s %lld elements  %2d threads  %.4f s  %6.2f GB/s  %4.0f %% of triad\n",
           k->name, (long long)s->NC, o->threads, t, rate, 100 * rate / stream);
    fflush(stdout);
    return OK;
}

int bench_kernels(const struct bench_opts *o)
{
    struct arrays s;
    double stream;
    int rc;

    TRY(bench_stream(o, 1, &stream, NULL));
    for (size_t k = 0; k < sizeof rows / sizeof *rows && rc == OK; k++) {
        arrays_init(&s, rows[k]);
        for (int i = 0; i < KERNELS && rc == OK; i++) rc = one(o, &kernels[i], &s, stream);
        arrays_done(&s);
    }
out:
    return rc;
}
