#include "mpi/saver.h"

#include <omp.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "mpi/pieces.h"
#include "src/base/beacon.h"
#include "src/base/clock.h"
#include "src/base/failpoint.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/part.h"
#include "src/base/status.h"
#include "src/store/ckpt_dir.h"
#include "src/store/tile.h"

enum phase { IDLE, MOVING, WRITING, READING };

struct saver {
    const struct train_state *st;
    const struct axis *world;
    const char        *dir;
    struct saver_opts  o;
    struct axis        group;      /* ranks of one writer file; the first writes it */
    int                files, file;
    struct tensor     *tensors;
    int                count;
    double             bytes;      /* raw, of all tensors                           */

    struct place      *own;        /* (n_own) our tiles, raw in the state           */
    int64_t            n_own;
    int64_t           *at;         /* (n_own + 1) where they are in the copy        */
    struct place      *places;     /* (n_places) ours; a writer's: its group's      */
    struct hash       *leaves;     /* (n_places)                                    */
    int64_t            n_places;
    char              *copy;       /* of our tiles; NULL: the state itself is read  */
    char              *received;   /* others' tiles, on a writer                    */
    struct pieces     *moves;      /* (n_moves) leaves and tiles on their way to it */
    int                n_moves;
    int64_t           *of_rank;    /* (group.size) their tiles                      */

    /* The save in flight. */
    enum phase         phase;
    int                idle;       /* nobody computes meanwhile: all threads may write */
    char               name[64];
    int64_t            attempt;
    json_t            *scalars, *info;
    struct writer_file written;
    pthread_t          thread;
    int                threaded, done, rc;
    double             begin_s;
    struct saved       now, last;
};

/* --- tiles of a group ------------------------------------------------------------ */

/* Of a message: a few of them are in memory of MPI at worst. */
enum { PIECE = 16 << 20, TAG_PLACES = 1, TAG_LEAVES, TAG_TILES };

static int64_t raw_bytes(const struct saver *s, const struct place *p)
{
    return tile_at(&s->tensors[p->tensor], p->tile).bytes;
}

/* Which tiles our file takes: it stays the same for all saves. */
static void meet_group(struct saver *s)
{
    const struct axis *g = &s->group;
    int64_t *n = s->of_rank = mem_new(g->size, sizeof *n, "writer group"), others = 0;

    mpi_do(MPI_Allgather(&s->n_own, 1, MPI_INT64_T, n, 1, MPI_INT64_T, g->comm));
    s->n_places = s->n_own;
    for (int i = 1; g->rank == 0 && i < g->size; i++) s->n_places += n[i];
    s->places = mem_new(s->n_places, sizeof *s->places, "tiles of a writer");
    s->leaves = mem_new(s->n_places, sizeof *s->leaves, "tiles of a writer");
    memcpy(s->places, s->own, (size_t)s->n_own * sizeof *s->own);
    struct pieces p;
    if (g->rank > 0) {
        pieces_send(&p, g, 0, TAG_PLACES, s->own, s->n_own * (int64_t)sizeof *s->own, PIECE);
        pieces_wait(&p);
    }
    struct place *to = s->places + s->n_own;
    for (int i = 1; g->rank == 0 && i < g->size; to += n[i], i++) {
        pieces_receive(&p, g, i, TAG_PLACES, to, n[i] * (int64_t)sizeof *to, PIECE);
        pieces_wait(&p);
    }

    for (int64_t k = s->n_own; k < s->n_places; k++) others += raw_bytes(s, &s->places[k]);
    if (others) s->received = mem_new(others, 1, "tiles of a writer's group");
    char *raw = s->received;
    for (int64_t k = s->n_own; k < s->n_places; raw += raw_bytes(s, &s->places[k]), k++)
        s->places[k].raw = raw;
    s->moves = mem_new(2 * (int64_t)g->size, sizeof *s->moves, "writer group");
}

/* Ranks -> groups: which file is ours.  size [out] of our group, rank [out] in it. */
static int group_of(const struct axis *world, int files, int *size, int *rank)
{
    int file = 0;
    while (part_begin(world->size, files, file + 1) <= world->rank) file++;
    *rank = world->rank - (int)part_begin(world->size, files, file);
    *size = (int)part_begin(world->size, files, file + 1) - world->rank + *rank;
    return file;
}

int64_t saver_copies(const struct axis *world, int writers, enum save_from from, int64_t state)
{
    int64_t *of = mem_new(world->size, sizeof *of, "writer group"), sum = 0;
    int size, rank;

    (void)group_of(world, writers < world->size ? writers : world->size, &size, &rank);
    mpi_do(MPI_Allgather(&state, 1, MPI_INT64_T, of, 1, MPI_INT64_T, world->comm));
    if (rank > 0 || from == SAVE_COPY) sum = state;
    for (int i = 1; rank == 0 && i < size; i++) sum += of[world->rank + i];
    mem_free(of);
    return sum;
}

struct saver *saver_new(const struct train_state *st, const char *dir, const struct saver_opts *o)
{
    struct saver *s = mem_new(1, sizeof *s, "saver");
    const struct axis *world = &st->grid->world;

    *s = (struct saver){ .st = st, .world = world, .dir = dir, .o = *o };
    s->files = o->writers < world->size ? o->writers : world->size;
    s->file = group_of(world, s->files, &s->group.size, &s->group.rank);
    mpi_do(MPI_Comm_split(world->comm, s->file, world->rank, &s->group.comm));

    s->tensors = train_state_tensors(st, &s->count);
    for (int i = 0; i < s->count; i++) s->bytes += (double)tensor_bytes(&s->tensors[i]);
    s->own = train_state_places(st, 0, &s->n_own);
    s->at = mem_new(s->n_own + 1, sizeof *s->at, "snapshot");
    for (int64_t k = 0; k < s->n_own; k++) s->at[k + 1] = s->at[k] + raw_bytes(s, &s->own[k]);
    if (o->from == SAVE_COPY || s->group.rank > 0) {
        s->copy = mem_new(s->at[s->n_own], 1, "snapshot");
        #pragma omp parallel for schedule(static)
        for (int64_t k = 0; k < s->n_own; k++)  /* pages come now, not in the first save */
            memset(s->copy + s->at[k], 0, (size_t)(s->at[k + 1] - s->at[k]));
    }
    meet_group(s);
    return s;
}

void saver_free(struct saver *s)
{
    if (!s) return;
    check(s->phase == IDLE);
    mpi_do(MPI_Comm_free(&s->group.comm));
    mem_free(s->tensors);
    mem_free(s->own);
    mem_free(s->at);
    mem_free(s->places);
    mem_free(s->leaves);
    mem_free(s->copy);
    mem_free(s->received);
    mem_free(s->moves);
    mem_free(s->of_rank);
    mem_free(s);
}

/* Copy our tiles and hash them: from here on the state may change, if there is a copy. */
static void snapshot(struct saver *s)
{
    #pragma omp parallel for schedule(dynamic, 8)
    for (int64_t k = 0; k < s->n_own; k++) {
        const struct tensor *t = &s->tensors[s->own[k].tensor];
        const struct tile tile = tile_at(t, s->own[k].tile);
        void *raw = s->own[k].raw;
        if (s->copy) raw = memcpy(s->copy + s->at[k], raw, (size_t)tile.bytes);
        s->places[k].raw = raw;
        s->leaves[k] = tile_leaf(t, &tile, raw);
    }
}

/* A group's tiles begin to move to its writer, from all of its ranks at once. */
static void hand_over(struct saver *s)
{
    const struct axis *g = &s->group;
    const int64_t leaf = sizeof *s->leaves;
    struct hash *leaves = s->leaves + s->n_own;
    char *raw = s->received;
    struct place *place = s->places + s->n_own;

    s->n_moves = 0;
    if (g->rank > 0) {
        pieces_send(&s->moves[s->n_moves++], g, 0, TAG_LEAVES, s->leaves, s->n_own * leaf, PIECE);
        pieces_send(&s->moves[s->n_moves++], g, 0, TAG_TILES, s->copy, s->at[s->n_own], PIECE);
        return;
    }
    for (int i = 1; i < g->size; i++) {
        int64_t bytes = 0;
        for (int64_t k = 0; k < s->of_rank[i]; k++) bytes += raw_bytes(s, place++);
        pieces_receive(&s->moves[s->n_moves++], g, i, TAG_LEAVES, leaves, s->of_rank[i] * leaf,
                       PIECE);
        pieces_receive(&s->moves[s->n_moves++], g, i, TAG_TILES, raw, bytes, PIECE);
        leaves += s->of_rank[i];
        raw += bytes;
    }
}

/* --- in the background ----------------------------------------------------------- */

/* What another rank made may be seen here later. */
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
        rc = writer_save(&s->written, s->places, s->n_places, path, s->tensors, s->o.ckpt.level);
    for (int64_t k = 0; rc == OK && k < s->n_places; k++)
        if (!hash_equal(s->places[k].leaf, s->leaves[k]))
            rc = fail(ERR_DATA, "%s: tile %lld of tensor '%s' changed between its snapshot and the "
                      "file: faulty memory?", path, (long long)s->places[k].tile,
                      s->tensors[s->places[k].tensor].name);
    mem_free(path);
    return rc;
}

/* The file of the next group. */
static int read_back(struct saver *s)
{
    const int file = (s->file + 1) % s->files;
    char name[WRITER_NAME];
    int rc = OK;

    writer_name(name, file);
    TRY(await(s, "MANIFEST"));
    TRY(await(s, name));
    rc = save_verify(s->dir, s->name, s->now.root, file, s->group.rank, s->group.size);
out:
    return rc;
}

static void work(struct saver *s)
{
    const double begin = clock_s();
    if (s->phase == READING)
        s->rc = read_back(s);
    else if (s->group.rank == 0) s->rc = write_file(s);
    if (s->phase == WRITING) s->now.write_s = clock_s() - begin;
}

/* Steps use all cores, so this thread gets a twelfth of one beside them, and a whole one where they
 * leave it.  Advice, never an error: on Linux a thread has a priority of its own. */
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

/* The group's tiles are at their writer: wait for that, and write. */
static void all_moved(struct saver *s)
{
    for (int i = 0; i < s->n_moves; i++) pieces_wait(&s->moves[i]);
    start(s, WRITING);
}

static int join(struct saver *s)
{
    if (s->threaded) check(pthread_join(s->thread, NULL) == 0);
    s->threaded = 0;
    return s->rc;
}

/* --- together -------------------------------------------------------------------- */

static void end(struct saver *s)
{
    json_decref(s->scalars);
    json_decref(s->info);
    s->scalars = s->info = NULL;
    s->phase = IDLE;
}

/* rc is the same on all ranks, and no thread is at work. */
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
    s->now = (struct saved){ .step = s->st->step };
    s->scalars = train_state_scalars(s->st);
    s->info = json_incref(info);
    s->name[0] = '\0';
    if (s->world->rank == 0)
        rc = save_folder(s->name, &s->attempt, s->dir, s->now.step, s->bytes);
    rc = axis_agree(s->world, rc);
    if (rc != OK) return give_up(s, rc);
    mpi_do(MPI_Bcast(s->name, sizeof s->name, MPI_CHAR, 0, s->world->comm));
    writer_name(s->written.name, s->file);
    snapshot(s);
    hand_over(s);
    s->phase = MOVING;
    if (s->o.from == SAVE_AT_ONCE) all_moved(s);
    s->now.snapshot_s = clock_s() - s->begin_s;
    return OK;
}

/* Leaves of all ranks -> rank 0; n [out] of them, a counted block there. */
static struct hash *gather_leaves(struct saver *s, int64_t *n)
{
    const struct axis *w = s->world;
    const int mine = mpi_count(2 * s->n_own);
    int *counts = mem_new(w->size, sizeof *counts, "leaves");
    int *places = mem_new(w->size + 1, sizeof *places, "leaves");

    mpi_do(MPI_Gather(&mine, 1, MPI_INT, counts, 1, MPI_INT, 0, w->comm));
    for (int i = 0; i < w->size; i++) places[i + 1] = mpi_count((int64_t)places[i] + counts[i]);
    *n = places[w->size] / 2;
    struct hash *leaves = mem_new(*n, sizeof *leaves, "leaves");
    mpi_do(MPI_Gatherv(s->leaves, mine, MPI_UINT64_T, leaves, counts, places, MPI_UINT64_T, 0,
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
    for (int i = 0; i < s->files; i++) files[i] = files[part_begin(w->size, s->files, i)];
    return files;
}

/* All files are durable: root and MANIFEST. */
static int commit(struct saver *s)
{
    int64_t n;
    struct hash *leaves = gather_leaves(s, &n);
    struct writer_file *files = gather_files(s);
    struct manifest m = { .step = s->now.step, .attempt = s->attempt,
                          .created = (int64_t)time(NULL), .count = s->count,
                          .tensors = s->tensors, .n_files = s->files, .files = files,
                          .scalars = s->scalars, .info = s->info };

    int rc = s->world->rank == 0 && s->o.fence ? fence_check(s->o.fence) : OK;
    if (rc == OK && s->world->rank == 0) rc = save_commit(&m, s->dir, s->name, leaves, n);
    s->now.root = m.root;
    mpi_do(MPI_Bcast(&s->now.root, 2, MPI_UINT64_T, 0, s->world->comm));
    mem_free(leaves);
    mem_free(files);
    return axis_agree(s->world, rc);
}

/* It is on disk and was read back. */
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
        for (int i = 0; i < s->n_moves; i++) moved &= pieces_go_on(&s->moves[i]);
        if (!moved) return 1;
        start(s, WRITING);
    }
    return s->threaded && !__atomic_load_n(&s->done, __ATOMIC_ACQUIRE);
}

/* Ranks ask each other again and again: to a watchdog, one that only waited for a message from
 * another machine would look like one whose network is gone. */
void saver_settle(struct saver *s)
{
    enum { PAUSE_NS = 2000000 };
    const double begin = clock_s();
    int waits = 1;

    if (s->o.from != SAVE_IN_PLACE || s->phase == IDLE || s->phase == READING) return;
    while (waits) {
        waits = saver_waits(s);
        waits = waits && (s->phase == MOVING || !s->copy);
        mpi_do(MPI_Allreduce(MPI_IN_PLACE, &waits, 1, MPI_INT, MPI_MAX, s->world->comm));
        if (waits) nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
    }
    if (!s->copy) (void)join(s);
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

const struct saved *saver_saved(const struct saver *s) { return &s->last; }
