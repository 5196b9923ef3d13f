/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/save/saver_tiles.h"

#include <string.h>

#include "src/base/mem.h"
#include "src/base/part.h"
#include "src/base/status.h"
#include "src/store/tile.h"

/* Bytes of a message: in the worst case MPI holds a copy of a few of them. */
enum { PIECE = 16 << 20, TAG_PLACES = 1, TAG_LEAVES, TAG_TILES };

static int64_t raw_bytes(const struct saver_tiles *t, const struct place *p)
{
    return tile_at(&t->tensors[p->tensor], p->tile).bytes;
}

/* The tiles of this rank's file, the same for all saves. */
static void meet_group(struct saver_tiles *t)
{
    const struct axis *g = &t->group;
    int64_t *n = t->of_rank = mem_new(g->size, sizeof *n, "writer group"), others = 0;

    mpi_do(MPI_Allgather(&t->n_own, 1, MPI_INT64_T, n, 1, MPI_INT64_T, g->comm));
    t->n_places = t->n_own;
    if (g->rank == 0)
        for (int i = 1; i < g->size; i++) t->n_places += n[i];
    t->places = mem_new(t->n_places, sizeof *t->places, "tiles of a writer");
    t->leaves = mem_new(t->n_places, sizeof *t->leaves, "tiles of a writer");
    memcpy(t->places, t->own, (size_t)t->n_own * sizeof *t->own);
    struct pieces p;
    if (g->rank > 0) {
        pieces_send(&p, g, 0, TAG_PLACES, t->own, t->n_own * (int64_t)sizeof *t->own, PIECE);
        pieces_wait(&p);
    }
    struct place *to = t->places + t->n_own;
    if (g->rank == 0)
        for (int i = 1; i < g->size; to += n[i], i++) {
            pieces_receive(&p, g, i, TAG_PLACES, to, n[i] * (int64_t)sizeof *to, PIECE);
            pieces_wait(&p);
        }

    for (int64_t k = t->n_own; k < t->n_places; k++) others += raw_bytes(t, &t->places[k]);
    if (others) t->received = mem_new(others, 1, "tiles of a writer's group");
    char *raw = t->received;
    for (int64_t k = t->n_own; k < t->n_places; raw += raw_bytes(t, &t->places[k]), k++)
        t->places[k].raw = raw;
    t->moves = mem_new(2 * (int64_t)g->size, sizeof *t->moves, "writer group");
}

/* The file of this rank's group.  size [out] ranks of the group, rank [out] this one in it. */
static int group_of(const struct axis *world, int files, int *size, int *rank)
{
    int file = 0;
    while (part_begin(world->size, files, file + 1) <= world->rank) file++;
    *rank = world->rank - (int)part_begin(world->size, files, file);
    *size = (int)part_begin(world->size, files, file + 1) - world->rank + *rank;
    return file;
}

void saver_tiles_init(struct saver_tiles *t, const struct train_state *st, int writers, int copy)
{
    const struct axis *world = &st->grid->world;

    *t = (struct saver_tiles){ .count = 0 };
    t->files = writers < world->size ? writers : world->size;
    t->file = group_of(world, t->files, &t->group.size, &t->group.rank);
    mpi_do(MPI_Comm_split(world->comm, t->file, world->rank, &t->group.comm));

    t->tensors = train_state_tensors(st, &t->count);
    for (int i = 0; i < t->count; i++) t->bytes += (double)tensor_bytes(&t->tensors[i]);
    t->own = train_state_places(st, 0, &t->n_own);
    t->at = mem_new(t->n_own + 1, sizeof *t->at, "snapshot");
    for (int64_t k = 0; k < t->n_own; k++) t->at[k + 1] = t->at[k] + raw_bytes(t, &t->own[k]);
    if (copy || t->group.rank > 0) {
        t->copy = mem_new(t->at[t->n_own], 1, "snapshot");
        #pragma omp parallel for schedule(static)
        for (int64_t k = 0; k < t->n_own; k++)  /* maps pages now, not in the first save */
            memset(t->copy + t->at[k], 0, (size_t)(t->at[k + 1] - t->at[k]));
    }
    meet_group(t);
}

void saver_tiles_done(struct saver_tiles *t)
{
    mpi_do(MPI_Comm_free(&t->group.comm));
    mem_free(t->tensors);
    mem_free(t->own);
    mem_free(t->at);
    mem_free(t->places);
    mem_free(t->leaves);
    mem_free(t->copy);
    mem_free(t->received);
    mem_free(t->moves);
    mem_free(t->of_rank);
}

void saver_tiles_snapshot(struct saver_tiles *t)
{
    #pragma omp parallel for schedule(dynamic, 8)
    for (int64_t k = 0; k < t->n_own; k++) {
        const struct tensor *x = &t->tensors[t->own[k].tensor];
        const struct tile tile = tile_at(x, t->own[k].tile);
        void *raw = t->own[k].raw;
        if (t->copy) raw = memcpy(t->copy + t->at[k], raw, (size_t)tile.bytes);
        t->places[k].raw = raw;
        t->leaves[k] = tile_leaf(x, &tile, raw);
    }
}

void saver_tiles_send(struct saver_tiles *t)
{
    const struct axis *g = &t->group;
    const int64_t leaf = sizeof *t->leaves;
    struct hash *leaves = t->leaves + t->n_own;
    char *raw = t->received;
    struct place *place = t->places + t->n_own;

    t->n_moves = 0;
    if (g->rank > 0) {
        pieces_send(&t->moves[t->n_moves++], g, 0, TAG_LEAVES, t->leaves, t->n_own * leaf, PIECE);
        pieces_send(&t->moves[t->n_moves++], g, 0, TAG_TILES, t->copy, t->at[t->n_own], PIECE);
        return;
    }
    for (int i = 1; i < g->size; i++) {
        int64_t bytes = 0;
        for (int64_t k = 0; k < t->of_rank[i]; k++) bytes += raw_bytes(t, place++);
        pieces_receive(&t->moves[t->n_moves++], g, i, TAG_LEAVES, leaves, t->of_rank[i] * leaf,
                       PIECE);
        pieces_receive(&t->moves[t->n_moves++], g, i, TAG_TILES, raw, bytes, PIECE);
        leaves += t->of_rank[i];
        raw += bytes;
    }
}
