/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints of a grid: the root is that of one process, any grid reads them, and one rank's
 * failure is everybody's and harms nothing older. */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mpi/save/ckpt_search.h"
#include "mpi/save/saver.h"
#include "src/base/failpoint.h"
#include "src/base/file.h"
#include "tests/mpi/mpitest.h"

static const struct dims dims = {
    .layer = "ttt_linear", .V = 5001, .L = 3, .C = 44, .H = 2, .E = 30, .K = 4, .conv_width = 4,
    .gate = 1, .share_qk = 1, .pre_conv = 1, .tied = 1, .rope_theta = 1e4, .rms_eps = 1e-6,
    .ln_eps = 1e-6, .init_std = 0.3, .inner_lr = 1,
};
static char work[64];
static json_t *info;
static struct hash want;   /* root that one process gives */

/* --- a state whose every element is a function of its place ----------------------- */

static real value(int kind, int64_t i)
{
    return (real)((i * 2654435761u + (int64_t)kind * 97) % 1000003) / 1024;
}

static void counters(struct train_state *s)
{
    s->step = 7;
    s->sample = 35;
    s->tokens = 35 * 44;
}

/* Calls f for each element that this rank owns. */
static void each_own(struct train_state *s, void (*f)(real *x, int kind, int64_t flat, void *arg),
                     void *arg)
{
    const struct param_table *t = &s->model->params;
    const struct span *own;
    const int n = reducer_spans(s->reducer, &own);
    real *m = s->m, *v = s->v;
    int64_t k = 0;

    for (int i = 0; i < n; i++)
        for (int64_t at = own[i].begin; at < own[i].end; at++, k++) {
            const struct param *p = &t->p[param_at(t, at)];
            if (at >= p->offset + p->n) continue;  /* padding stays zero */
            f(&s->model->w[at], 0, at, arg);
            f(&m[k], 1, at, arg);
            f(&v[k], 2, at, arg);
        }
}

static void set_one(real *x, int kind, int64_t at, void *arg)
{
    (void)arg;
    *x = value(kind, at);
}

static void zero_one(real *x, int kind, int64_t at, void *arg)
{
    (void)kind, (void)at, (void)arg;
    *x = 0;
}

static void compare_one(real *x, int kind, int64_t at, void *arg)
{
    if (*x != value(kind, at)) ++*(int64_t *)arg;
}

static int holds_it(struct train_state *s)
{
    const struct param_table *t = &s->model->params;
    const struct span *held;
    int64_t wrong = 0;

    each_own(s, compare_one, &wrong);
    for (int i = reducer_holds(s->reducer, &held) - 1; i >= 0; i--)
        for (int64_t at = held[i].begin; at < held[i].end; at++) {
            const struct param *p = &t->p[param_at(t, at)];
            if (at < p->offset + p->n) wrong += s->model->w[at] != value(0, at);
        }
    return wrong == 0 && s->step == 7 && s->sample == 35 && s->tokens == 35 * 44;
}

/* --- folders ----------------------------------------------------------------------- */

static void make_folders(void)
{
    snprintf(work, sizeof work, "/tmp/ttt-saver-XXXXXX");
    const int made = world.rank > 0 || mkdtemp(work);
    mpi_do(MPI_Bcast(work, sizeof work, MPI_CHAR, 0, world.comm));
    all_true(&world, made);
    info = json_pack("{s:s}", "run", "test");
}

static void remove_folders(void **state)
{
    (void)state;
    char command[128];
    json_decref(info);
    snprintf(command, sizeof command, "rm -rf '%s'", work);
    mpi_do(MPI_Barrier(world.comm));
    all_true(&world, world.rank > 0 || system(command) == 0);
}

/* A path inside, good until the fourth call from now. */
static const char *folder(const char *name)
{
    static char ring[4][160];
    static int next;
    char *path = ring[next++ % 4];
    snprintf(path, sizeof ring[0], "%s/%s", work, name);
    return path;
}

/* Names in a folder of work, joined; on the first rank, "" on others. */
static const char *listing(const char *name)
{
    static char text[4096];
    char **names = NULL;
    int n = 0;

    text[0] = '\0';
    if (world.rank > 0 || dir_list(&names, &n, folder(name)) != OK) return text;
    for (int i = 0; i < n; i++) {
        strcat(text, names[i]);
        strcat(text, " ");
    }
    mem_free(names);
    return text;
}

/* The oracle: all tensors in one process, by ckpt_save(). */
static void one_process(void **state)
{
    (void)state;
    int rc = OK;

    make_folders();
    if (world.rank == 0) {
        const struct axis self = { MPI_COMM_SELF, 1, 0 };
        const struct grid_shape shape = { 1, 1, 1 };
        const struct ckpt_opts opts = { .level = 1 };
        struct train_state s;
        struct grid g;
        int count;

        rc = grid_init(&g, &self, &shape);
        if (rc == OK) rc = train_state_new(&s, &dims, 1, &g);
        each_own(&s, set_one, NULL);
        counters(&s);
        struct tensor *t = train_state_tensors(&s, &count);
        const int params = s.model->params.count;
        for (int i = 0; i < count; i++) {
            const int64_t at = s.model->params.p[i % params].offset;
            t[i].data = i < params ? s.model->w + at : (i < 2 * params ? (real *)s.m : (real *)s.v) + at;
        }
        const struct ckpt_meta meta = { 7, train_state_scalars(&s), info };
        if (rc == OK) rc = ckpt_save(folder("one"), t, count, &meta, &opts, &want);
        json_decref(meta.scalars);
        mem_free(t);
        train_state_done(&s);
        grid_done(&g);
    }
    mpi_do(MPI_Bcast(&want, 2, MPI_UINT64_T, 0, world.comm));
    all_true(&world, rc == OK);
}

/* --- saving ------------------------------------------------------------------------ */

static int save_all(struct saver *s, int idle)
{
    int rc = saver_begin(s, info, idle);
    while (rc == OK && saver_busy(s)) {
        saver_finish_reading(s);
        rc = saver_advance(s);
    }
    return rc;
}

static int save(struct saver *s)
{
    static int idle;
    return save_all(s, idle ^= 1);
}

/* All grids of this many ranks, one after another. */
static int next_shape(struct grid_shape *g)
{
    const int n = world.size;
    for (int d = g->D, p = g->P, s = g->S + 1;; s++) {
        if (s > n) s = 1, p++;
        if (p > dims.L) p = 1, d++;
        if (d > n) return 0;
        if (d * p * s != n) continue;
        *g = (struct grid_shape){ d, p, s };
        return 1;
    }
}

/* Whatever changes after saver_begin() is not in the checkpoint, nor, where the state is read in
 * place, what changes after saver_finish_reading(); without a background, the checkpoint is there
 * when it returns. */
static void save_and_compare(struct train_state *st, const struct saver_opts *o)
{
    struct saver *s = saver_new(st, folder("grid"), o);

    each_own(st, set_one, NULL);
    all_true(&world, saver_begin(s, info, 0) == OK && saver_busy(s));
    if (o->from == SAVE_IN_PLACE) saver_finish_reading(s);
    if (o->from != SAVE_AT_ONCE) each_own(st, zero_one, NULL);
    int rc = OK;
    while (rc == OK && saver_busy(s)) rc = saver_advance(s);
    all_true(&world, rc == OK);
    all_true(&world, hash_equal(saver_saved(s)->root, want) && saver_saved(s)->step == 7);

    each_own(st, set_one, NULL);
    if (world.rank == world.size - 1 && reducer_own(st->reducer) > 0) ((real *)st->v)[0] += 1;
    all_true(&world, save(s) == OK && !hash_equal(saver_saved(s)->root, want));
    saver_free(s);
}

static void root_is_that_of_one_process(void **state)
{
    (void)state;
    static const int writers[] = { 8, 1, 3 };
    struct grid_shape shape = { 1, 1, 0 };

    while (next_shape(&shape)) {
        struct train_state st;
        struct grid g;
        all_true(&world, grid_init(&g, &world, &shape) == OK);
        all_true(&world, train_state_new(&st, &dims, 1, &g) == OK);
        counters(&st);
        for (int i = 0; i < 9; i++) {
            const struct saver_opts o = { { .level = 1, .keep = 1 }, writers[i / 3], i % 3, NULL };
            save_and_compare(&st, &o);
        }
        train_state_done(&st);
        grid_done(&g);
    }
    all_true(&world, world.rank > 0 || strchr(listing("grid"), ' ')[1] == '\0');  /* keep: 1 */
}

/* As many files as writers, in which every tile is once: ckpt_verify() proves that. */
static void writers_share_the_files(void **state)
{
    (void)state;
    const struct grid_shape shape = { world.size, 1, 1 };
    struct train_state st;
    struct grid g;
    char names[64] = "MANIFEST ";

    all_true(&world, grid_init(&g, &world, &shape) == OK);
    all_true(&world, train_state_new(&st, &dims, 1, &g) == OK);
    each_own(&st, set_one, NULL);
    counters(&st);
    const struct saver_opts o = { { .level = 1 }, 2, SAVE_COPY, NULL };
    struct saver *s = saver_new(&st, folder("two"), &o);
    all_true(&world, save(s) == OK);
    saver_free(s);
    for (int i = 0; i < 2 && i < world.size; i++) sprintf(names + strlen(names), "w00%d.ttc ", i);
    all_true(&world, world.rank > 0 || !strcmp(listing("two/step-000000000007.a0001"), names));
    int rc = OK;
    if (world.rank == 0) {
        struct ckpt *c;
        rc = ckpt_newest(&c, folder("two"), NULL);
        ckpt_close(c);
    }
    all_true(&world, rc == OK);
    train_state_done(&st);
    grid_done(&g);
}

/* Threads of this process that give way to the one that computes. */
static int nice_threads(void)
{
    char **names;
    int count, n = 0;

    if (dir_list(&names, &count, "/proc/self/task") != OK) return -1;
    for (int i = 0; i < count; i++)
        n += getpriority(PRIO_PROCESS, (id_t)atoi(names[i])) > getpriority(PRIO_PROCESS, 0);
    mem_free(names);
    return n;
}

static void the_background_gives_way(void **state)
{
    (void)state;
    const struct grid_shape shape = { world.size, 1, 1 };
    const struct saver_opts o = { { .level = 1 }, world.size, SAVE_COPY, NULL };
    struct train_state st;
    struct grid g;
    int most = 0;

    all_true(&world, grid_init(&g, &world, &shape) == OK);
    all_true(&world, train_state_new(&st, &dims, 1, &g) == OK);
    each_own(&st, set_one, NULL);
    counters(&st);
    struct saver *s = saver_new(&st, folder("nice"), &o);
    failpoint_set("ckpt.before_data_fsync=sleep:2000");
    all_true(&world, saver_begin(s, info, 0) == OK);
    while (saver_waits(s) && most < 1) most = nice_threads();
    failpoint_set(NULL);
    all_true(&world, most == 1 || getpriority(PRIO_PROCESS, 0) == 19);
    int rc = OK;
    while (rc == OK && saver_busy(s)) rc = saver_advance(s);
    while (nice_threads() > 0) sched_yield();  /* a thread that was joined may be listed still */
    all_true(&world, rc == OK);
    saver_free(s);
    train_state_done(&st);
    grid_done(&g);
}

/* --- loading ----------------------------------------------------------------------- */

static int load(struct ckpt *c, void *state) { return train_state_load(state, c); }

/* returns the attempt that was loaded on this grid, or a status. */
static int load_on(const struct grid_shape *shape, const char *from)
{
    struct train_state st;
    struct ckpt *c;
    struct grid g;

    all_true(&world, grid_init(&g, &world, shape) == OK);
    all_true(&world, train_state_new(&st, &dims, 1, &g) == OK);
    int rc = ckpt_search(&c, &g.world, folder(from), folder("q"), load, &st);
    if (rc == OK) {
        rc = (int)ckpt_attempt(c);
        all_true(&world, holds_it(&st));
    }
    ckpt_close(c);
    train_state_done(&st);
    grid_done(&g);
    return rc;
}

static void any_grid_reads_it(void **state)
{
    (void)state;
    struct grid_shape shape = { 1, 1, 0 };
    while (next_shape(&shape)) {
        all_true(&world, load_on(&shape, "one") == 1);
        all_true(&world, load_on(&shape, "two") == 1);
    }
    const struct grid_shape flat = { world.size, 1, 1 };
    all_true(&world, load_on(&flat, "nothing") == ERR_MISSING);
    all_true(&world, !path_exists(folder("q")));
}

/* Right hashes, and counters that no run has: nobody counts on from there. */
static void counters_that_no_run_has(void **state)
{
    static const struct { int64_t step, sample, tokens, skipped, bad_run; int good; } rows[] = {
        { 7, 35, 35 * 44, 3, 2, 1 },            { 7, INT64_MAX, 35 * 44, 0, 0, 0 },
        { 7, INT64_MAX, INT64_MAX, 0, 0, 0 },   { 7, 35, INT64_MAX, 0, 0, 0 },
        { 7, CKPT_COUNTER, CKPT_COUNTER, 0, 0, 0 },  { 7, -1, 35, 0, 0, 0 },
        { 7, 35, -1, 0, 0, 0 },                 { 7, 6, 35, 0, 0, 0 },
        { 7, 36, 35, 0, 0, 0 },                 { 7, 35, 35, 8, 0, 0 },
        { 7, 35, 35, 3, 4, 0 },                 { 7, 35, 35, INT64_MAX, INT64_MAX, 0 },
        { 7, 35, 35, -1, -1, 0 },               { 7, 35, 35, 0, 0, 1 },
        { 7, 40, 35, 0, 0, 0 },
    };
    static const struct { int64_t seed, n; double dev; } others[] = {
        { -1, 0, 0 }, { 1, -1, 0 }, { 1, CKPT_COUNTER, 0 }, { 1, 3, -1 },
    };
    const struct saver_opts o = { { .level = 1, .keep = 1 }, 2, SAVE_AT_ONCE, NULL };
    const struct grid_shape shape = { world.size, 1, 1 };
    struct train_state st;
    struct ckpt *c;
    struct grid g;
    (void)state;

    all_true(&world, grid_init(&g, &world, &shape) == OK);
    all_true(&world, train_state_new(&st, &dims, 1, &g) == OK);
    struct saver *s = saver_new(&st, folder("absurd"), &o);
    counters(&st);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        st.seed = others[i].seed;
        st.spike = (struct spike){ .n = others[i].n, .dev = others[i].dev };
        all_true(&world, save(s) == OK);
        all_true(&world, ckpt_search(&c, &g.world, folder("absurd"), folder("q2"), load, &st) ==
                             ERR_DATA);
        ckpt_close(c);
    }
    st.seed = 1;
    st.spike = (struct spike){ .n = 0 };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        st.step = rows[i].step;
        st.sample = rows[i].sample;
        st.tokens = rows[i].tokens;
        st.skipped = rows[i].skipped;
        st.bad_run = rows[i].bad_run;
        all_true(&world, save(s) == OK);
        const int rc = ckpt_search(&c, &g.world, folder("absurd"), folder("q2"), load, &st);
        all_true(&world, rc == (rows[i].good ? OK : ERR_DATA));
        ckpt_close(c);
    }
    /* What is left out was not read: 40 samples of which 5 were skipped. */
    st.step = 7;
    st.sample = 40;
    st.tokens = 35;
    st.skipped = st.bad_run = 0;
    train_state_leave_out(&st, "10-14,90-99");
    all_true(&world, save(s) == OK);
    all_true(&world, ckpt_search(&c, &g.world, folder("absurd"), folder("q2"), load, &st) == OK);
    ckpt_close(c);
    saver_free(s);
    train_state_done(&st);
    grid_done(&g);
}

/* One bit anywhere: whichever rank meets it, all take the one before. */
static void damage_is_found_by_whoever_reads_it(void **state)
{
    (void)state;
    const struct grid_shape shape = { world.size, 1, 1 };
    struct train_state st;
    struct grid g;

    all_true(&world, grid_init(&g, &world, &shape) == OK);
    all_true(&world, train_state_new(&st, &dims, 1, &g) == OK);
    each_own(&st, set_one, NULL);
    counters(&st);
    const struct saver_opts o = { { .level = 1 }, 2, SAVE_AT_ONCE, NULL };
    char two[160];
    snprintf(two, sizeof two, "%s", folder("two"));
    struct saver *s = saver_new(&st, two, &o);
    for (int i = 0; i < 7; i++) {
        char path[256];
        all_true(&world, save(s) == OK);  /* attempt 2 again: the last one was moved away */
        snprintf(path, sizeof path, "%s/step-000000000007.a0002/w00%d.ttc", two,
                 world.size > 1 && i % 2);
        if (world.rank == 0) {
            struct stat st_file;
            char byte;
            const int fd = open(path, O_RDWR);
            const off_t at = fstat(fd, &st_file) == 0 ? st_file.st_size * (i + 1) / 8 : -1;
            const int good = pread(fd, &byte, 1, at) == 1;
            byte ^= 4;
            if (!good || pwrite(fd, &byte, 1, at) != 1) die("%s", path);
            close(fd);
        }
        mpi_do(MPI_Barrier(world.comm));
        all_true(&world, load_on(&shape, "two") == 1);
    }
    saver_free(s);
    all_true(&world, world.rank > 0 || !strcmp(listing("two"), "step-000000000007.a0001 "));
    all_true(&world, world.rank > 0 || strstr(listing("q"), "step-000000000007.a0002.6"));
    train_state_done(&st);
    grid_done(&g);
}

/* --- failing ------------------------------------------------------------------------- */

static void one_rank_fails(void **state)
{
    (void)state;
    static const char *const first[] = { "ckpt.begin", "ckpt.after_mkdir", "ckpt.before_manifest",
                                         "ckpt.after_manifest" };
    static const char *const any[] = { "ckpt.tile", "ckpt.before_data_fsync",
                                       "ckpt.after_data_fsync", "ckpt.after_verify" };
    const struct grid_shape shape = { world.size, 1, 1 };
    struct train_state st;
    struct grid g;

    all_true(&world, grid_init(&g, &world, &shape) == OK);
    all_true(&world, train_state_new(&st, &dims, 1, &g) == OK);
    each_own(&st, set_one, NULL);
    counters(&st);
    for (int i = 0; i < 48; i++) {
        const struct saver_opts o = { { .level = 1, .keep = 1 }, WRITER_FILES, i / 8 % 3, NULL };
        const int who = i % 8 < 4 ? 0 : i * 7 % world.size;
        char *rule = mem_format("%s=err", i % 8 < 4 ? first[i % 8] : any[i % 4]);
        struct saver *s = saver_new(&st, folder("one"), &o);
        failpoint_set(world.rank == who ? rule : NULL);
        const int rc = save_all(s, i / 24), acted = failpoint_acted();
        failpoint_set(NULL);
        all_true(&world, rc == ERR_IO && acted == (world.rank == who) && !saver_busy(s));
        all_true(&world, world.rank > 0 || !strcmp(listing("one"), "step-000000000007.a0001 "));
        saver_free(s);
        mem_free(rule);
    }
    /* ... and the next one is as ever. */
    const struct saver_opts o = { { .level = 1, .keep = 1 }, 8, SAVE_COPY, NULL };
    struct saver *s = saver_new(&st, folder("one"), &o);
    all_true(&world, save(s) == OK && hash_equal(saver_saved(s)->root, want));
    all_true(&world, world.rank > 0 || !strcmp(listing("one"), "step-000000000007.a0002 "));
    saver_free(s);
    train_state_done(&st);
    grid_done(&g);
}

static const struct CMUnitTest tests[] = {
    mpi_test(one_process),
    mpi_test(root_is_that_of_one_process),
    mpi_test(writers_share_the_files),
    mpi_test(the_background_gives_way),
    mpi_test(any_grid_reads_it),
    mpi_test(counters_that_no_run_has),
    mpi_test(damage_is_found_by_whoever_reads_it),
    mpi_test(one_rank_fails),
    mpi_test(remove_folders),
};

MPITEST_MAIN(tests)
