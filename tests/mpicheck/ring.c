/* SPDX-License-Identifier: Apache-2.0 */
/* Who calls what: each rank tells its right neighbour, so if all neighbours agree, all do.
 *
 *     rank 0 --"MPI_Bcast of 4 bytes, root 0"--> rank 1 --"MPI_Bcast of ..."--> rank 2 --> rank 0
 *
 * Blocking collectives wait for the left neighbour before they begin.  Others must not (the
 * neighbour may come only after something that we do next), so theirs is compared when it is
 * there, at the latest in the call that completes the collective.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sched.h>

#include "tests/mpicheck/mpicheck.h"

enum { TAG_RECORD = 1, TAG_ASK = 2 };

struct record {
    char call[192], type[64];
    site at;
    int  rank;  /* of the world */
};

struct ring {
    struct comm  *c;
    struct record mine, left;
    MPI_Request   r[2];
    uint64_t      number;
    struct ring  *next;
};

static struct comm *comms;
static struct ring *rings, **last_ring = &rings;
static uint64_t     numbers;
static MPI_Comm     asks;
static double       patience = 120;

struct comm *comm_first(void) { return comms; }

struct comm *comm_find(MPI_Comm comm)
{
    struct comm *c = comms;
    while (c && c->comm != comm) c = c->next;
    return c;
}

struct comm *comm_add(MPI_Comm comm)
{
    struct comm *c = calloc(1, sizeof *c);
    if (!c) fatal("out of memory");
    c->comm = comm;
    c->made_by = here_name();
    c->made_at = here();
    PMPI_Comm_dup(comm, &c->twin);
    PMPI_Comm_size(comm, &c->size);
    PMPI_Comm_rank(comm, &c->rank);
    c->sent = calloc((size_t)c->size, sizeof *c->sent);
    if (!c->sent) fatal("out of memory");
    c->next = comms;
    comms = c;
    return c;
}

void comm_remove(struct comm *c)
{
    struct comm **at = &comms;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    PMPI_Comm_free(&c->twin);
    free(c->sent);
    free(c);
}

void comm_text(char text[2 * SITE_TEXT], const struct comm *c)
{
    char where[SITE_TEXT];
    if (c->comm == MPI_COMM_WORLD) snprintf(text, 2 * SITE_TEXT, "MPI_COMM_WORLD");
    else if (c->comm == MPI_COMM_SELF) snprintf(text, 2 * SITE_TEXT, "MPI_COMM_SELF");
    else {
        site_text(where, c->made_at);
        snprintf(text, 2 * SITE_TEXT, "the communicator of %s (%s)", c->made_by, where);
    }
}

/* Only predefined types have a name that means the same everywhere. */
static void type_name(char name[64], MPI_Datatype type)
{
    int integers, addresses, types, combiner, n;
    char full[MPI_MAX_OBJECT_NAME] = "";

    name[0] = '\0';
    if (type == MPI_DATATYPE_NULL) return;
    PMPI_Type_get_envelope(type, &integers, &addresses, &types, &combiner);
    if (combiner != MPI_COMBINER_NAMED) return;
    PMPI_Type_get_name(type, full, &n);
    snprintf(name, 64, "%.63s", full);
}

uint64_t ring_post(struct comm *c, MPI_Datatype type, const char *format, ...)
{
    struct ring *x = calloc(1, sizeof *x);
    va_list ap;

    if (!x) fatal("out of memory");
    x->c = c;
    x->number = ++numbers;
    x->mine.at = here();
    x->mine.rank = rank_of_world();
    type_name(x->mine.type, type);
    const int n = snprintf(x->mine.call, sizeof x->mine.call, "%s", here_name());
    va_start(ap, format);
    vsnprintf(x->mine.call + n, sizeof x->mine.call - (size_t)n, format, ap);
    va_end(ap);
    PMPI_Irecv(&x->left, sizeof x->left, MPI_BYTE, (c->rank + c->size - 1) % c->size, TAG_RECORD,
               c->twin, &x->r[0]);
    PMPI_Isend(&x->mine, sizeof x->mine, MPI_BYTE, (c->rank + 1) % c->size, TAG_RECORD, c->twin,
               &x->r[1]);
    *last_ring = x;
    last_ring = &x->next;
    return x->number;
}

static void compare(const struct ring *x)
{
    const struct record *a = &x->mine, *b = &x->left;
    char mine[SITE_TEXT], left[SITE_TEXT], on[2 * SITE_TEXT];
    const int types = a->type[0] && b->type[0] && strcmp(a->type, b->type);

    if (!strcmp(a->call, b->call) && !types) return;
    site_text(mine, a->at);
    site_text(left, b->at);
    comm_text(on, x->c);
    fatal("%s%s%s (%s) does not match %s%s%s (%s) of rank %d, on %s", a->call,
          a->type[0] ? ", " : "", a->type, mine, b->call, b->type[0] ? ", " : "", b->type, left,
          b->rank, on);
}

void ring_poll(void)
{
    struct ring **at = &rings;
    while (*at) {
        struct ring *x = *at;
        int done = 0;
        MPI_Status came[2];
        PMPI_Testall(2, x->r, &done, came);
        if (!done) {
            at = &x->next;
            continue;
        }
        compare(x);
        *at = x->next;
        if (!*at) last_ring = at;
        free(x);
    }
}

int ring_pending(uint64_t number)
{
    const struct ring *x = rings;
    while (x && x->number != number) x = x->next;
    return x != NULL;
}

static const struct ring *oldest(const struct comm *c)
{
    const struct ring *x = rings;
    while (x && c && x->c != c) x = x->next;
    return x;
}

void ring_settle(struct comm *c)
{
    struct wait w = wait_begin();
    ring_poll();
    while (oldest(c)) {
        wait_more(&w);
        ring_poll();
    }
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void ask_init(void)
{
    const char *text = getenv("MPICHECK_TIMEOUT");
    if (text && atof(text) > 0) patience = atof(text);
    PMPI_Comm_dup(MPI_COMM_WORLD, &asks);
}

static int left_neighbour(const struct comm *c)
{
    const int left = (c->rank + c->size - 1) % c->size;
    MPI_Group group, world;
    int rank;
    PMPI_Comm_group(c->comm, &group);
    PMPI_Comm_group(MPI_COMM_WORLD, &world);
    PMPI_Group_translate_ranks(group, 1, &left, world, &rank);
    return rank;
}

/* We wait too long.  Others that wait too will hear of it and say where; one that computes, or
 * that is inside a blocking collective, does not. */
static void __attribute__((noreturn)) stuck(void)
{
    char where[SITE_TEXT], on[2 * SITE_TEXT], text[1024] = "";
    const struct ring *x = oldest(NULL);
    int size;

    site_text(where, here());
    if (x) {
        char at[SITE_TEXT];
        site_text(at, x->mine.at);
        comm_text(on, x->c);
        snprintf(text, sizeof text, "; rank %d has not come to %s (%s) on %s",
                 left_neighbour(x->c), x->mine.call, at, on);
    }
    PMPI_Comm_size(asks, &size);
    for (int i = 0; i < size; i++) {
        MPI_Request r;
        if (i == rank_of_world()) continue;
        PMPI_Isend(NULL, 0, MPI_BYTE, i, TAG_ASK, asks, &r);
    }
    fatal("waits in %s (%s) for more than %g s%s", here_name(), where, patience, text);
}

static void answer(void)
{
    int asked;
    MPI_Status s;
    char where[SITE_TEXT];

    PMPI_Iprobe(MPI_ANY_SOURCE, TAG_ASK, asks, &asked, &s);
    if (!asked) return;
    PMPI_Recv(NULL, 0, MPI_BYTE, s.MPI_SOURCE, TAG_ASK, asks, MPI_STATUS_IGNORE);
    site_text(where, here());
    finding("is in %s (%s) meanwhile", here_name(), where);
}

struct wait wait_begin(void) { return (struct wait){ seconds(), 0 }; }

void wait_more(struct wait *w)
{
    ring_poll();
    if (w->turns++ % 64 != 63) return;
    sched_yield();
    answer();
    if (seconds() - w->since > patience) stuck();
}
