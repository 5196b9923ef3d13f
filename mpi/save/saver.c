/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/save/saver.h"

#include <omp.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "mpi/save/saver_tiles.h"
#include "src/base/beacon.h"
#include "src/base/clock.h"
#include "src/base/failpoint.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/part.h"
#include "src/base/status.h"
#include "src/store/ckpt_dir.h"

enum phase { IDLE, MOVING, WRITING, READING };

struct saver {
    const struct train_state *st;
    const struct axis *world;
    const char        *dir;
    struct saver_opts  o;
    struct saver_tiles t;

    /* The save in flight. */
    enum phase         phase;
    int                idle;       /* no step is computed meanwhile: all threads may write */
    char               name[64];
    int64_t            attempt;
    json_t            *scalars, *info;
    struct writer_file written;
    pthread_t          thread;
    int                threaded, done, rc;
    double             begin_s;
    struct save_result       now, last;
};

struct saver *saver_new(const struct train_state *st, const char *dir, const struct saver_opts *o)
{
    struct saver *s = mem_new(1, sizeof *s, "saver");

    *s = (struct saver){ .st = st, .world = &st->grid->world, .dir = dir, .o = *o };
    saver_tiles_init(&s->t, st, o->writers, o->from == SAVE_COPY);
    return s;
}

void saver_free(struct saver *s)
{
    if (!s) return;
    check(s->phase == IDLE);
    saver_tiles_done(&s->t);
    mem_free(s);
}

/* --- in the background ----------------------------------------------------------- */

/* A network file system may show later here what another rank made (file.h). */
static int await(const struct saver *s, const char *file)
{
    char *path = mem_format("%s/%s%s%s", s->dir, s->name, file ? "/" : "", file ? file : "");
    const int rc = s->world->size == 1 ? OK : file_await(path, FILE_PATIENCE_S);
    mem_free(path);
    return rc;
}

static int write_file(struct saver *s)
{
    char *path = mem_format("%s/%s/%s", s->dir, s->name, s->written.name);
    int rc = await(s, NULL);

    if (rc == OK)
        rc = writer_save(&s->written, s->t.places, s->t.n_places, path, s->t.tensors,
                         s->o.ckpt.level);
    for (int64_t k = 0; rc == OK && k < s->t.n_places; k++)
        if (!hash_equal(s->t.places[k].leaf, s->t.leaves[k]))
            rc = fail(ERR_DATA, "%s: tile %lld of tensor '%s' changed in memory between its "
                      "snapshot and the write: is the memory of this machine faulty?", path,
                      (long long)s->t.places[k].tile, s->t.tensors[s->t.places[k].tensor].name);
    mem_free(path);
    return rc;
}

/* The file of the next group. */
static int read_back(struct saver *s)
{
    const int file = (s->t.file + 1) % s->t.files;
    char name[WRITER_NAME];
    int rc = OK;

    writer_name(name, file);
    TRY(await(s, "MANIFEST"));
    TRY(await(s, name));
    rc = save_verify(s->dir, s->name, s->now.root, file, s->t.group.rank, s->t.group.size);
out:
    return rc;
}

static void work(struct saver *s)
{
    const double begin = clock_s();
    if (s->phase == READING)
        s->rc = read_back(s);
    else if (s->t.group.rank == 0) s->rc = write_file(s);
    if (s->phase == WRITING) s->now.write_s = clock_s() - begin;
}

/* Steps use all cores.  So this thread gets a lower priority: a twelfth of a core while they
 * compute, and a whole one when it is free.  A failure is ignored.  On Linux each thread has its
 * own priority. */
static void be_nice(void)
{
    enum { NICE = 11, MOST = 19 };  /* a weight of 87 against 1,024 */
    const int nice = getpriority(PRIO_PROCESS, 0) + NICE;
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), nice < MOST ? nice : MOST);
}

static void *thread_main(void *arg)
{
    struct saver *s = arg;
    beacon_use(BEACON_SAVER);
    if (s->o.from == SAVE_COPY) be_nice();
    omp_set_num_threads(1);  /* of this thread: training needs the others */
    work(s);
    beacon_use(-1);
    __atomic_store_n(&s->done, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void start(struct saver *s, enum phase phase)
{
    s->phase = phase;
    s->rc = OK;
    s->done = 0;
    s->threaded = s->o.from != SAVE_AT_ONCE && !s->idle &&
                  pthread_create(&s->thread, NULL, thread_main, s) == 0;
    if (!s->threaded) work(s);
}

/* Wait until the group's tiles are at their writer, and write them. */
static void all_moved(struct saver *s)
{
    for (int i = 0; i < s->t.n_moves; i++) pieces_wait(&s->t.moves[i]);
    start(s, WRITING);
}

static int join(struct saver *s)
{
    if (s->threaded) check(pthread_join(s->thread, NULL) == 0);
    s->threaded = 0;
    return s->rc;
}

/* --- collective -------------------------------------------------------------------- */

static void end(struct saver *s)
{
    json_decref(s->scalars);
    json_decref(s->info);
    s->scalars = s->info = NULL;
    s->phase = IDLE;
}

/* End the save after a failure: rc is the same on all ranks, and no thread is at work. */
static int give_up(struct saver *s, int rc)
{
    if (s->world->rank == 0) (void)save_failed(s->dir, s->name, s->now.step, rc);
    end(s);
    return rc == ERR_CONFIG || rc == ERR_OWNER ? rc : ERR_IO;
}

int saver_begin(struct saver *s, json_t *info, int idle)
{
    int rc = OK;

    check(s->phase == IDLE);
    s->idle = idle;
    s->begin_s = clock_s();
    s->now = (struct save_result){ .step = s->st->step };
    s->scalars = train_state_scalars(s->st);
    s->info = json_incref(info);
    s->name[0] = '\0';
    if (s->world->rank == 0)
        rc = save_folder(s->name, &s->attempt, s->dir, s->now.step, s->t.bytes);
    rc = axis_agree(s->world, rc);
    if (rc != OK) return give_up(s, rc);
    mpi_do(MPI_Bcast(s->name, sizeof s->name, MPI_CHAR, 0, s->world->comm));
    writer_name(s->written.name, s->t.file);
    saver_tiles_snapshot(&s->t);
    saver_tiles_send(&s->t);
    s->phase = MOVING;
    if (s->o.from == SAVE_AT_ONCE) all_moved(s);
    s->now.snapshot_s = clock_s() - s->begin_s;
    return OK;
}

/* Leaves of all ranks -> rank 0; n [out] of them, a counted block there. */
static struct hash *gather_leaves(struct saver *s, int64_t *n)
{
    const struct axis *w = s->world;
    const int mine = mpi_count(2 * s->t.n_own);
    int *counts = mem_new(w->size, sizeof *counts, "leaves");
    int *places = mem_new(w->size + 1, sizeof *places, "leaves");

    mpi_do(MPI_Gather(&mine, 1, MPI_INT, counts, 1, MPI_INT, 0, w->comm));
    for (int i = 0; i < w->size; i++) places[i + 1] = mpi_count((int64_t)places[i] + counts[i]);
    *n = places[w->size] / 2;
    struct hash *leaves = mem_new(*n, sizeof *leaves, "leaves");
    mpi_do(MPI_Gatherv(s->t.leaves, mine, MPI_UINT64_T, leaves, counts, places, MPI_UINT64_T, 0,
                       w->comm));
    mem_free(counts);
    mem_free(places);
    return leaves;
}

/* What writers wrote -> rank 0, in the order of files. */
static struct writer_file *gather_files(struct saver *s)
{
    const struct axis *w = s->world;
    struct writer_file *files = mem_new(w->size, sizeof *files, "writer files");

    mpi_do(MPI_Gather(&s->written, sizeof s->written, MPI_BYTE, files, sizeof s->written, MPI_BYTE,
                      0, w->comm));
    for (int i = 0; i < s->t.files; i++) files[i] = files[part_begin(w->size, s->t.files, i)];
    return files;
}

/* All files are on disk: compute the root and write MANIFEST. */
static int commit(struct saver *s)
{
    int64_t n;
    struct hash *leaves = gather_leaves(s, &n);
    struct writer_file *files = gather_files(s);
    struct manifest m = { .step = s->now.step, .attempt = s->attempt,
                          .created = (int64_t)time(NULL), .count = s->t.count,
                          .tensors = s->t.tensors, .n_files = s->t.files, .files = files,
                          .scalars = s->scalars, .info = s->info };

    int rc = s->world->rank == 0 && s->o.fence ? fence_check(s->o.fence) : OK;
    if (rc == OK && s->world->rank == 0) rc = save_commit(&m, s->dir, s->name, leaves, n);
    s->now.root = m.root;
    mpi_do(MPI_Bcast(&s->now.root, 2, MPI_UINT64_T, 0, s->world->comm));
    mem_free(leaves);
    mem_free(files);
    return axis_agree(s->world, rc);
}

/* The checkpoint is on disk and was read back: commit it. */
static void conclude(struct saver *s)
{
    if (s->world->rank == 0 && FAILPOINT("ckpt.before_retain") == OK)
        ckpt_retain(s->dir, &s->o.ckpt, s->name);
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &s->now.write_s, 1, MPI_DOUBLE, MPI_MAX, s->world->comm));
    s->now.save_s = clock_s() - s->begin_s;
    s->last = s->now;
    end(s);
}

int saver_busy(const struct saver *s) { return s->phase != IDLE; }

int saver_waits(struct saver *s)
{
    int moved = 1;

    if (s->phase == MOVING) {
        for (int i = 0; i < s->t.n_moves; i++) moved &= pieces_advance(&s->t.moves[i]);
        if (!moved) return 1;
        start(s, WRITING);
    }
    return s->threaded && !__atomic_load_n(&s->done, __ATOMIC_ACQUIRE);
}

/* Ranks exchange short messages repeatedly while they wait for a thread: a rank that only waited
 * for one message would look to the watchdog like one whose network has failed. */
void saver_finish_reading(struct saver *s)
{
    enum { PAUSE_NS = 2000000 };
    const double begin = clock_s();
    int waits = 1;

    if (s->o.from != SAVE_IN_PLACE || s->phase == IDLE || s->phase == READING) return;
    while (waits) {
        waits = saver_waits(s);
        waits = waits && (s->phase == MOVING || !s->t.copy);
        mpi_do(MPI_Allreduce(MPI_IN_PLACE, &waits, 1, MPI_INT, MPI_MAX, s->world->comm));
        if (waits) nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
    }
    if (!s->t.copy) (void)join(s);
    s->now.snapshot_s += clock_s() - begin;
}

int saver_advance(struct saver *s)
{
    if (s->phase == MOVING) all_moved(s);
    int rc = axis_agree(s->world, join(s));

    if (rc == OK && s->phase == READING) {
        conclude(s);
        return OK;
    }
    if (rc == OK) rc = commit(s);
    if (rc != OK) return give_up(s, rc);
    start(s, READING);
    return OK;
}

const struct save_result *saver_saved(const struct saver *s) { return &s->last; }
