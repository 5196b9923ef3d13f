/* SPDX-License-Identifier: Apache-2.0 */
/* Collectives: what must be the same on all ranks is put into a line of text, and the line goes
 * round the ring. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/mpicheck/mpicheck.h"

enum { SHOWN = 6 };

/* NULL: nothing to compare. */
static struct comm *begin(const char *name, void *address, MPI_Comm comm)
{
    enter(name, address);
    struct comm *c = comm_find(comm);
    return c && c->size > 1 ? c : NULL;
}

static long long bytes(int count, MPI_Datatype type)
{
    int size = 0;
    if (type != MPI_DATATYPE_NULL) PMPI_Type_size(type, &size);
    return (long long)count * size;
}

/* "[3 3 2] #5d1c20ab": the first few, and a hash of all (FNV-1a). */
static const char *list(const int *counts, int n)
{
    static char text[128];
    uint32_t hash = 2166136261u;
    int k = snprintf(text, sizeof text, "[");

    for (int i = 0; i < n; i++) {
        hash = (hash ^ (uint32_t)counts[i]) * 16777619u;
        if (i < SHOWN)
            k += snprintf(text + k, sizeof text - (size_t)k, "%s%d", i ? " " : "", counts[i]);
    }
    snprintf(text + k, sizeof text - (size_t)k, "%s] #%08x", n > SHOWN ? " ..." : "",
             (unsigned)hash);
    return text;
}

static const char *name_of(MPI_Op op)
{
    static const struct { MPI_Op op; const char *name; } known[] = {
        { MPI_SUM, "MPI_SUM" },   { MPI_MAX, "MPI_MAX" },       { MPI_MIN, "MPI_MIN" },
        { MPI_PROD, "MPI_PROD" }, { MPI_LAND, "MPI_LAND" },     { MPI_LOR, "MPI_LOR" },
        { MPI_BAND, "MPI_BAND" }, { MPI_BOR, "MPI_BOR" },       { MPI_BXOR, "MPI_BXOR" },
        { MPI_LXOR, "MPI_LXOR" }, { MPI_MAXLOC, "MPI_MAXLOC" }, { MPI_MINLOC, "MPI_MINLOC" },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].op == op) return known[i].name;
    return "an operation of its own";
}

/* What we send to ourselves has to be what we receive from ourselves. */
static void fits(const void *send, long long sent, long long received)
{
    char where[SITE_TEXT];
    if (send == MPI_IN_PLACE || sent == received) return;
    site_text(where, here());
    fatal("%s (%s) sends %lld bytes where it receives %lld", here_name(), where, sent, received);
}

/* Bytes that this rank sends to rank i and receives from it. */
struct pairs { long long *sent, *received, *theirs; };

static struct pairs pairs(const struct comm *c)
{
    static long long *room;
    const size_t n = (size_t)c->size;
    free(room);
    room = calloc(3 * n, sizeof *room);
    if (!room) fatal("out of memory");
    return (struct pairs){ room, room + n, room + 2 * n };
}

static void pairs_fit(const struct comm *c, struct pairs p)
{
    char where[SITE_TEXT];

    PMPI_Alltoall(p.sent, 1, MPI_LONG_LONG, p.theirs, 1, MPI_LONG_LONG, c->twin);
    for (int i = 0; i < c->size; i++)
        if (p.theirs[i] != p.received[i]) {
            site_text(where, here());
            fatal("%s (%s) receives %lld bytes from rank %d, which sends %lld", here_name(), where,
                  p.received[i], i, p.theirs[i]);
        }
}

/* To the root (gather) or from it: `counts` there, `mine` bytes here. */
static void rooted_fit(const struct comm *c, int root, int gather, const int *counts,
                       MPI_Datatype counted, const void *buffer, long long mine)
{
    const struct pairs p = pairs(c);
    long long *many = gather ? p.received : p.sent, *one = gather ? p.sent : p.received;

    if (c->rank == root)
        for (int i = 0; i < c->size; i++) many[i] = bytes(counts[i], counted);
    one[root] = buffer == MPI_IN_PLACE ? many[root] : mine;
    pairs_fit(c, p);
}

static void all_fit(const struct comm *c, const void *send, const int *sends, MPI_Datatype sent,
                    const int *receives, MPI_Datatype received)
{
    const struct pairs p = pairs(c);
    for (int i = 0; i < c->size; i++) {
        p.received[i] = bytes(receives[i], received);
        p.sent[i] = send == MPI_IN_PLACE ? p.received[i] : bytes(sends[i], sent);
    }
    pairs_fit(c, p);
}

/* Two wrappers, MPI_Name and MPI_Iname.  OWN: a check of this rank alone; PAIRS: one between
 * ranks, for the blocking function; what follows is for ring_post(). */
#define OPEN(...) __VA_ARGS__
#define COLLECTIVE(Name, name, PARAMS, ARGS, OWN, PAIRS, ...)                                 \
    int MPI_##Name(OPEN PARAMS)                                                               \
    {                                                                                         \
        struct comm *c = begin("MPI_" #Name, __builtin_return_address(0), comm);              \
        if (c) {                                                                              \
            OWN;                                                                              \
            ring_post(c, __VA_ARGS__);                                                        \
            ring_settle(c);                                                                   \
            PAIRS;                                                                            \
        }                                                                                     \
        return must(PMPI_##Name ARGS);                                                        \
    }                                                                                         \
    int MPI_I##name(OPEN PARAMS, MPI_Request *request)                                        \
    {                                                                                         \
        struct comm *c = begin("MPI_I" #name, __builtin_return_address(0), comm);             \
        uint64_t number = 0;                                                                  \
        if (c) {                                                                              \
            OWN;                                                                              \
            number = ring_post(c, __VA_ARGS__);                                               \
        }                                                                                     \
        must(PMPI_I##name(OPEN ARGS, request));                                               \
        live_add(REQUEST, HANDLE(*request), request, number);                                 \
        return MPI_SUCCESS;                                                                   \
    }
#define NONE (void)0

COLLECTIVE(Barrier, barrier, (MPI_Comm comm), (comm), NONE, NONE, MPI_DATATYPE_NULL, "%s", "")

COLLECTIVE(Bcast, bcast, (void *data, int n, MPI_Datatype type, int root, MPI_Comm comm),
           (data, n, type, root, comm), NONE, NONE,
           type, " of %lld bytes, root %d", bytes(n, type), root)

COLLECTIVE(Reduce, reduce, (const void *send, void *receive, int n, MPI_Datatype type, MPI_Op op,
                            int root, MPI_Comm comm),
           (send, receive, n, type, op, root, comm), NONE, NONE,
           type, " of %d, %s, root %d", n, name_of(op), root)

COLLECTIVE(Allreduce, allreduce, (const void *send, void *receive, int n, MPI_Datatype type,
                                  MPI_Op op, MPI_Comm comm),
           (send, receive, n, type, op, comm), NONE, NONE, type, " of %d, %s", n, name_of(op))

COLLECTIVE(Scan, scan, (const void *send, void *receive, int n, MPI_Datatype type, MPI_Op op,
                        MPI_Comm comm),
           (send, receive, n, type, op, comm), NONE, NONE, type, " of %d, %s", n, name_of(op))

COLLECTIVE(Exscan, exscan, (const void *send, void *receive, int n, MPI_Datatype type, MPI_Op op,
                            MPI_Comm comm),
           (send, receive, n, type, op, comm), NONE, NONE, type, " of %d, %s", n, name_of(op))

COLLECTIVE(Reduce_scatter, reduce_scatter,
           (const void *send, void *receive, const int counts[], MPI_Datatype type, MPI_Op op,
            MPI_Comm comm),
           (send, receive, counts, type, op, comm), NONE, NONE,
           type, " of %s, %s", list(counts, c->size), name_of(op))

COLLECTIVE(Reduce_scatter_block, reduce_scatter_block,
           (const void *send, void *receive, int n, MPI_Datatype type, MPI_Op op, MPI_Comm comm),
           (send, receive, n, type, op, comm), NONE, NONE, type, " of %d, %s", n, name_of(op))

/* Only the root has both sides; the others' side is what the root's has to be. */
#define ONE_TO_MANY(many, m, many_type, one, o, one_type)                                     \
    bytes(c->rank == root ? m : o, c->rank == root ? many_type : one_type), root

COLLECTIVE(Gather, gather, (const void *send, int sends, MPI_Datatype sent, void *receive,
                            int receives, MPI_Datatype received, int root, MPI_Comm comm),
           (send, sends, sent, receive, receives, received, root, comm),
           if (c->rank == root) fits(send, bytes(sends, sent), bytes(receives, received)), NONE,
           MPI_DATATYPE_NULL, " of %lld bytes each, root %d",
           ONE_TO_MANY(receive, receives, received, send, sends, sent))

COLLECTIVE(Scatter, scatter, (const void *send, int sends, MPI_Datatype sent, void *receive,
                              int receives, MPI_Datatype received, int root, MPI_Comm comm),
           (send, sends, sent, receive, receives, received, root, comm),
           if (c->rank == root) fits(receive, bytes(sends, sent), bytes(receives, received)), NONE,
           MPI_DATATYPE_NULL, " of %lld bytes each, root %d",
           ONE_TO_MANY(send, sends, sent, receive, receives, received))

COLLECTIVE(Gatherv, gatherv, (const void *send, int sends, MPI_Datatype sent, void *receive,
                              const int counts[], const int places[], MPI_Datatype received,
                              int root, MPI_Comm comm),
           (send, sends, sent, receive, counts, places, received, root, comm), NONE,
           rooted_fit(c, root, 1, counts, received, send, bytes(sends, sent)),
           MPI_DATATYPE_NULL, ", root %d", root)

COLLECTIVE(Scatterv, scatterv, (const void *send, const int counts[], const int places[],
                                MPI_Datatype sent, void *receive, int receives,
                                MPI_Datatype received, int root, MPI_Comm comm),
           (send, counts, places, sent, receive, receives, received, root, comm), NONE,
           rooted_fit(c, root, 0, counts, sent, receive, bytes(receives, received)),
           MPI_DATATYPE_NULL, ", root %d", root)

COLLECTIVE(Allgather, allgather, (const void *send, int sends, MPI_Datatype sent, void *receive,
                                  int receives, MPI_Datatype received, MPI_Comm comm),
           (send, sends, sent, receive, receives, received, comm),
           fits(send, bytes(sends, sent), bytes(receives, received)), NONE,
           received, " of %lld bytes each", bytes(receives, received))

COLLECTIVE(Allgatherv, allgatherv, (const void *send, int sends, MPI_Datatype sent, void *receive,
                                    const int counts[], const int places[], MPI_Datatype received,
                                    MPI_Comm comm),
           (send, sends, sent, receive, counts, places, received, comm),
           fits(send, bytes(sends, sent), bytes(counts[c->rank], received)), NONE,
           received, " of %s", list(counts, c->size))

COLLECTIVE(Alltoall, alltoall, (const void *send, int sends, MPI_Datatype sent, void *receive,
                                int receives, MPI_Datatype received, MPI_Comm comm),
           (send, sends, sent, receive, receives, received, comm),
           fits(send, bytes(sends, sent), bytes(receives, received)), NONE,
           received, " of %lld bytes each", bytes(receives, received))

COLLECTIVE(Alltoallv, alltoallv, (const void *send, const int sends[], const int places[],
                                  MPI_Datatype sent, void *receive, const int receives[],
                                  const int received_at[], MPI_Datatype received, MPI_Comm comm),
           (send, sends, places, sent, receive, receives, received_at, received, comm), NONE,
           all_fit(c, send, sends, sent, receives, received), MPI_DATATYPE_NULL, "%s", "")
