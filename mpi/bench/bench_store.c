/* SPDX-License-Identifier: Apache-2.0 */
/* Saving and loading the state of a run, compared with plain files of the same bytes. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mpi/bench/bench_store.h"
#include "mpi/train/canary.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/store/tile.h"

double store_slowest(const struct store_bench *b, double s)
{
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &s, 1, MPI_DOUBLE, MPI_MAX, b->setup.grid.world.comm));
    return s;
}

int store_together(const struct store_bench *b, int rc)
{
    return axis_agree(&b->setup.grid.world, rc);
}

static int64_t tile_bytes(const struct store_bench *b, int64_t k)
{
    return tile_at(&b->tensors[b->own[k].tensor], b->own[k].tile).bytes;
}

/* --- the limits --------------------------------------------------------------------- */

/* Our tiles copied, that copy written with fsync, and read again. */
int store_plainly(struct store_bench *b)
{
    const int n = (int)b->q->repeat;
    double *s = mem_new(3 * (int64_t)n, sizeof *s, "times");
    int64_t *at = mem_new(b->n_own + 1, sizeof *at, "copy");
    char *path = mem_format("%s/plain-%d", b->folder, b->setup.grid.world.rank), *to;
    int rc = OK, fd;

    for (int64_t k = 0; k < b->n_own; k++) at[k + 1] = at[k] + tile_bytes(b, k);
    const int64_t bytes = at[b->n_own];
    to = mem_new(bytes, 1, "copy");
    memset(to, 1, (size_t)bytes);
    for (int i = 0; i < n && rc == OK; i++) {
        double start = clock_s();
        #pragma omp parallel for schedule(dynamic, 8)
        for (int64_t k = 0; k < b->n_own; k++)
            memcpy(to + at[k], b->own[k].raw, (size_t)(at[k + 1] - at[k]));
        s[i] = store_slowest(b, clock_s() - start);

        start = clock_s();
        rc = file_create(&fd, path);
        if (rc == OK) rc = file_write(fd, to, (size_t)bytes, path);
        if (rc == OK) rc = file_sync_close(fd, path);
        s[n + i] = store_slowest(b, clock_s() - start);

        if (rc == OK) rc = file_open(&fd, NULL, path);
        if (rc == OK) (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        start = clock_s();
        if (rc == OK) rc = file_read_at(fd, to, (size_t)bytes, 0, path);
        s[2 * n + i] = store_slowest(b, clock_s() - start);
        if (rc == OK) file_close(fd);
        (void)unlink(path);
        rc = store_together(b, rc);
    }
    b->copy_s = bench_median(s, n);
    b->write_s = bench_median(s + n, n);
    b->read_s = bench_median(s + 2 * n, n);
    mem_free(s);
    mem_free(at);
    mem_free(path);
    mem_free(to);
    return rc;
}

/* --- save and load ---------------------------------------------------------------------- */

struct saver *store_saver(const struct store_bench *b, enum save_from from)
{
    const struct saver_opts o = { .ckpt = { .level = b->c->checkpoint.level, .keep = 1 },
                                  .writers = b->c->checkpoint.writers, .from = from };
    return saver_new(&b->setup.state, b->ckpt, &o);
}

int store_begin_save(struct store_bench *b, struct saver *s, int idle)
{
    const struct train_setup *t = &b->setup;
    json_t *info = json_pack("{s:o}", "probe",
                             canary_record(&t->grid, t->state.model, &t->step.pass));
    const int rc = saver_begin(s, info, idle);
    json_decref(info);
    return rc;
}

static struct hash state_hash(const struct store_bench *b)
{
    struct hasher *h = hasher_new();
    for (int64_t k = 0; k < b->n_own; k++)
        hasher_add(h, b->own[k].raw, (size_t)tile_bytes(b, k));
    const struct hash all = hasher_get(h);
    hasher_free(h);
    return all;
}

/* The newest checkpoint into a state that was spoilt; seconds of opening and loading. */
static int load(struct store_bench *b, double *seconds, int64_t *stored)
{
    const struct hash was = state_hash(b);
    struct ckpt_entry *list = NULL;
    struct ckpt *c = NULL;
    char *path = NULL;
    int count, rc;

    TRY(ckpt_list(&list, &count, b->ckpt));
    path = mem_format("%s/%s", b->ckpt, list[0].name);
    TRY(ckpt_open(&c, path));
    ckpt_uncache(c);
    *stored = ckpt_bytes(c);
    ckpt_close(c);
    c = NULL;
    for (int64_t k = 0; k < b->n_own; k++) memset(b->own[k].raw, 1, (size_t)tile_bytes(b, k));
    const double start = clock_s();
    TRY(ckpt_open(&c, path));
    TRY(train_state_load(&b->setup.state, c));
    *seconds = clock_s() - start;
    train_state_changed(&b->setup.state);
    if (!hash_equal(was, state_hash(b))) rc = fail(ERR_DATA, "another state was loaded than saved");
out:
    ckpt_close(c);
    mem_free(list);
    mem_free(path);
    return rc;
}

static void print_files(const struct store_bench *b, double save_s, double load_s, double stored)
{
    const double gb = 1e-9 * b->bytes;
    const struct { const char *name; double s, plain_s; } rows[] = {
        { "save", save_s, b->write_s }, { "load", load_s, b->read_s },
    };

    if (b->setup.grid.world.rank > 0) return;
    for (int i = 0; i < 2; i++)
        printf(b->q->json
                   ? "{\"bench\": \"store\", \"name\": \"%s\", \"state_bytes\": %.0f, "
                     "\"stored_bytes\": %.0f, \"seconds\": %.6g, \"gbytes_per_s\": %.5g, "
                     "\"plain_gbytes_per_s\": %.5g, \"share_of_plain\": %.4g, "
                     "\"copy_gbytes_per_s\": %.5g, \"share_of_copy\": %.4g}\n"
                   : "%-8s %.0f bytes of state, %.0f stored, %.3f s: %.2f GB/s; plain files %.2f "
                     "GB/s (%.2f of it), copying %.2f GB/s (%.3f of it)\n",
               rows[i].name, b->bytes, stored, rows[i].s, gb / rows[i].s, gb / rows[i].plain_s,
               rows[i].plain_s / rows[i].s, gb / b->copy_s, b->copy_s / rows[i].s);
    fflush(stdout);
}

int store_save_and_load(struct store_bench *b)
{
    const int n = (int)b->q->repeat;
    double *s = mem_new(2 * (int64_t)n, sizeof *s, "times");
    struct saver *saver = store_saver(b, SAVE_AT_ONCE);
    int64_t stored = 0;
    int rc = OK;

    for (int i = 0; i < n && rc == OK; i++) {
        const double start = clock_s();
        rc = store_begin_save(b, saver, 1);
        while (rc == OK && saver_busy(saver)) rc = saver_advance(saver);
        s[i] = store_slowest(b, clock_s() - start);
        if (rc == OK) rc = store_together(b, load(b, &s[n + i], &stored));
        s[n + i] = store_slowest(b, s[n + i]);
    }
    if (rc == OK) print_files(b, bench_median(s, n), bench_median(s + n, n), (double)stored);
    saver_free(saver);
    mem_free(s);
    return rc;
}
