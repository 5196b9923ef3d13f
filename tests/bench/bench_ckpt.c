/* bench_ckpt -- speed of saving (which re-reads everything) and of verifying a
 * training state.
 *
 * build/tests/bench/bench_ckpt FOLDER [MB]: weights, first and second moments of
 * random values as AdamW has them, MB million bytes in total (default 500).
 * One CSV line a level.  Nothing is timed unproved: save and verify are the proof. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/status.h"
#include "src/store/ckpt.h"

/* Kind 0 weights, 1 mean gradients, 2 mean squares of gradients. */
static void fill(float *x, int64_t n, int kind)
{
    #pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        const double z = rng_normal((uint64_t)kind + 1, (uint64_t)i);
        x[i] = (float)(kind == 0 ? 0.02 * z : kind == 1 ? 1e-4 * z : 1e-8 * exp(z));
    }
}

int main(int argc, char **argv)
{
    static const int levels[] = { 1, 3, 9 };
    const double mb = argc > 2 ? atof(argv[2]) : 500;
    const int64_t cols = 2048, rows = (int64_t)(mb * 1e6 / 3 / 4 / (double)cols);
    struct tensor t[3] = { { "w", DT_F32, 2, { rows, cols }, NULL },
                           { "adam.m/w", DT_F32, 2, { rows, cols }, NULL },
                           { "adam.v/w", DT_F32, 2, { rows, cols }, NULL } };
    struct ckpt_meta meta = { .step = 0 };
    double raw = 0;
    int rc = OK;

    if (argc < 2 || rows < 1) return -fail(ERR_USAGE, "bench_ckpt FOLDER [MB]");
    for (int k = 0; k < 3; k++) {
        t[k].data = mem_new(rows * cols, sizeof(float), "benchmark");
        fill(t[k].data, rows * cols, k);
        raw += (double)tensor_bytes(&t[k]);
    }
    printf("name,level,threads,raw_bytes,stored_bytes,save_s,save_MB_per_s,verify_s,"
           "verify_MB_per_s\n");
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++, meta.step++) {
        const struct ckpt_opts opts = { .level = levels[i], .keep = 1 };
        struct ckpt *c = NULL;
        struct hash root;
        const double start = clock_s();
        TRY(ckpt_save(argv[1], t, 3, &meta, &opts, &root));
        const double saved = clock_s();
        TRY(ckpt_newest(&c, argv[1], NULL));
        const double proved = clock_s();
        printf("ckpt,%d,%d,%.0f,%lld,%.2f,%.0f,%.2f,%.0f\n", levels[i], omp_get_max_threads(), raw,
               (long long)ckpt_bytes(c), saved - start, raw / 1e6 / (saved - start), proved - saved,
               raw / 1e6 / (proved - saved));
        fflush(stdout);
        ckpt_close(c);
    }
out:
    for (int k = 0; k < 3; k++) mem_free(t[k].data);
    return -rc;
}
