/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between two ranks, and the calls that complete requests.
 *
 * Each rank counts what it sends to whom and how many receives it begins.  Where all ranks meet
 * for the last time on a communicator, the counts tell how many messages are on their way to a
 * rank that will never receive them: certain, unlike a look at what has arrived by then.
 *
 * Blocking functions are begin-and-wait here, so that a rank in them can say where it is. */
#include <stdlib.h>
#include <string.h>

#include "tests/mpicheck/mpicheck.h"

enum { LISTED = 20 };

static void count_send(MPI_Comm comm, int to)
{
    struct comm *c = comm_find(comm);
    if (c && to >= 0) c->sent[to]++;
}

static void count_receive(MPI_Comm comm, int from)
{
    struct comm *c = comm_find(comm);
    if (c && from != MPI_PROC_NULL) c->received++;
}

static int finish(MPI_Request *r, MPI_Status *s)
{
    struct wait w = wait_begin();
    int done = 0;
    must(PMPI_Test(r, &done, s));
    while (!done) {
        wait_more(&w);
        must(PMPI_Test(r, &done, s));
    }
    return MPI_SUCCESS;
}

#define SEND(Name, Iname)                                                                     \
    int MPI_##Name(const void *data, int n, MPI_Datatype type, int to, int tag, MPI_Comm comm) \
    {                                                                                         \
        MPI_Request r;                                                                        \
        ENTER("MPI_" #Name);                                                                  \
        must(PMPI_##Iname(data, n, type, to, tag, comm, &r));                                 \
        count_send(comm, to);                                                                 \
        return finish(&r, MPI_STATUS_IGNORE);                                                 \
    }                                                                                         \
    int MPI_##Iname(const void *data, int n, MPI_Datatype type, int to, int tag, MPI_Comm comm, \
                    MPI_Request *request)                                                     \
    {                                                                                         \
        ENTER("MPI_" #Iname);                                                                 \
        must(PMPI_##Iname(data, n, type, to, tag, comm, request));                            \
        count_send(comm, to);                                                                 \
        live_add(REQUEST, HANDLE(*request), request, 0);                                      \
        return MPI_SUCCESS;                                                                   \
    }
SEND(Send, Isend)
SEND(Ssend, Issend)
SEND(Bsend, Ibsend)
SEND(Rsend, Irsend)

int MPI_Recv(void *data, int n, MPI_Datatype type, int from, int tag, MPI_Comm comm,
             MPI_Status *status)
{
    MPI_Request r;
    ENTER("MPI_Recv");
    must(PMPI_Irecv(data, n, type, from, tag, comm, &r));
    count_receive(comm, from);
    return finish(&r, status);
}

int MPI_Irecv(void *data, int n, MPI_Datatype type, int from, int tag, MPI_Comm comm,
              MPI_Request *request)
{
    ENTER("MPI_Irecv");
    must(PMPI_Irecv(data, n, type, from, tag, comm, request));
    count_receive(comm, from);
    live_add(REQUEST, HANDLE(*request), request, 0);
    return MPI_SUCCESS;
}

int MPI_Sendrecv(const void *out, int sends, MPI_Datatype sent, int to, int tag_out, void *in,
                 int receives, MPI_Datatype received, int from, int tag_in, MPI_Comm comm,
                 MPI_Status *status)
{
    MPI_Request r[2];
    ENTER("MPI_Sendrecv");
    must(PMPI_Irecv(in, receives, received, from, tag_in, comm, &r[0]));
    count_receive(comm, from);
    must(PMPI_Isend(out, sends, sent, to, tag_out, comm, &r[1]));
    count_send(comm, to);
    finish(&r[1], MPI_STATUS_IGNORE);
    return finish(&r[0], status);
}

int MPI_Sendrecv_replace(void *data, int n, MPI_Datatype type, int to, int tag_out, int from,
                         int tag_in, MPI_Comm comm, MPI_Status *status)
{
    ENTER("MPI_Sendrecv_replace");
    count_send(comm, to);
    count_receive(comm, from);
    return must(PMPI_Sendrecv_replace(data, n, type, to, tag_out, from, tag_in, comm, status));
}

int MPI_Iprobe(int from, int tag, MPI_Comm comm, int *any, MPI_Status *status)
{
    ENTER("MPI_Iprobe");
    return must(PMPI_Iprobe(from, tag, comm, any, status));
}

int MPI_Probe(int from, int tag, MPI_Comm comm, MPI_Status *status)
{
    struct wait w = wait_begin();
    int any = 0;
    ENTER("MPI_Probe");
    while (must(PMPI_Iprobe(from, tag, comm, &any, status)) == MPI_SUCCESS && !any) wait_more(&w);
    return MPI_SUCCESS;
}

/* A message that was found by probing: one receive of where it was found. */
int MPI_Improbe(int from, int tag, MPI_Comm comm, int *any, MPI_Message *message,
                MPI_Status *status)
{
    ENTER("MPI_Improbe");
    must(PMPI_Improbe(from, tag, comm, any, message, status));
    if (*any) count_receive(comm, from);
    return MPI_SUCCESS;
}

int MPI_Mprobe(int from, int tag, MPI_Comm comm, MPI_Message *message, MPI_Status *status)
{
    struct wait w = wait_begin();
    int any = 0;
    ENTER("MPI_Mprobe");
    while (must(PMPI_Improbe(from, tag, comm, &any, message, status)) == MPI_SUCCESS && !any)
        wait_more(&w);
    count_receive(comm, from);
    return MPI_SUCCESS;
}

int MPI_Imrecv(void *data, int n, MPI_Datatype type, MPI_Message *message, MPI_Request *request)
{
    ENTER("MPI_Imrecv");
    must(PMPI_Imrecv(data, n, type, message, request));
    live_add(REQUEST, HANDLE(*request), request, 0);
    return MPI_SUCCESS;
}

/* A library clears the variables of requests that it has released, so what they held before is
 * kept.  Requests of collectives are not completed before the ring has compared them: the other
 * side's mistake would come as an error of the library, or as wrong numbers. */
static uintptr_t *kept(const MPI_Request *r, int n)
{
    static uintptr_t *room;
    static int size;
    if (n > size) {
        free(room);
        room = malloc((size_t)n * sizeof *room);
        if (!room) fatal("out of memory");
        size = n;
    }
    for (int i = 0; i < n; i++) room[i] = HANDLE(r[i]);
    return room;
}

static void release(const uintptr_t *old, const MPI_Request *r, int n)
{
    for (int i = 0; i < n; i++)
        if (r[i] == MPI_REQUEST_NULL && old[i] != HANDLE(MPI_REQUEST_NULL))
            live_remove(REQUEST, old[i], &r[i]);
}

static int compared(const uintptr_t *old, const MPI_Request *r, int n)
{
    int all = 1;
    for (int i = 0; i < n && all; i++) {
        const uint64_t number = live_ring(old[i], &r[i]);
        all = !number || !ring_pending(number);
    }
    return all;
}

/* Completing some requests: TRY sets `done` once it has. */
#define WAITS(Name, PARAMS, n, WHEN, TRY)                                                     \
    int MPI_##Name PARAMS                                                                     \
    {                                                                                         \
        struct wait w = wait_begin();                                                         \
        int done = 0;                                                                         \
        ENTER("MPI_" #Name);                                                                  \
        const uintptr_t *old = kept(r, n);                                                    \
        for (;;) {                                                                            \
            if (WHEN) must(TRY);                                                              \
            if (done) break;                                                                  \
            wait_more(&w);                                                                    \
        }                                                                                     \
        release(old, r, n);                                                                   \
        return MPI_SUCCESS;                                                                   \
    }
#define TESTS(Name, PARAMS, n, WHEN, TRY)                                                     \
    int MPI_##Name PARAMS                                                                     \
    {                                                                                         \
        ENTER("MPI_" #Name);                                                                  \
        const uintptr_t *old = kept(r, n);                                                    \
        *done = 0;                                                                            \
        if (WHEN) must(TRY);                                                                  \
        release(old, r, n);                                                                   \
        return MPI_SUCCESS;                                                                   \
    }

WAITS(Wait, (MPI_Request *r, MPI_Status *s), 1, compared(old, r, 1), PMPI_Test(r, &done, s))
TESTS(Test, (MPI_Request *r, int *done, MPI_Status *s), 1, compared(old, r, 1),
      PMPI_Test(r, done, s))
WAITS(Waitall, (int n, MPI_Request r[], MPI_Status s[]), n, compared(old, r, n),
      PMPI_Testall(n, r, &done, s))
TESTS(Testall, (int n, MPI_Request r[], int *done, MPI_Status s[]), n, compared(old, r, n),
      PMPI_Testall(n, r, done, s))

/* Here one request may have to complete before the partners of another come. */
static int try_some(int n, MPI_Request r[], int *some, int which[], MPI_Status s[], int *done)
{
    const int err = PMPI_Testsome(n, r, some, which, s);
    *done = *some;
    return err;
}

WAITS(Waitany, (int n, MPI_Request r[], int *which, MPI_Status *s), n, 1,
      PMPI_Testany(n, r, which, &done, s))
TESTS(Testany, (int n, MPI_Request r[], int *which, int *done, MPI_Status *s), n, 1,
      PMPI_Testany(n, r, which, done, s))
WAITS(Waitsome, (int n, MPI_Request r[], int *some, int which[], MPI_Status s[]), n, 1,
      try_some(n, r, some, which, s, &done))
TESTS(Testsome, (int n, MPI_Request r[], int *done, int which[], MPI_Status s[]), n, 1,
      PMPI_Testsome(n, r, done, which, s))

int MPI_Request_get_status(MPI_Request r, int *done, MPI_Status *s)
{
    ENTER("MPI_Request_get_status");
    return must(PMPI_Request_get_status(r, done, s));
}

int MPI_Request_free(MPI_Request *r)
{
    const uintptr_t old = HANDLE(*r);
    ENTER("MPI_Request_free");
    must(PMPI_Request_free(r));
    live_remove(REQUEST, old, r);
    return MPI_SUCCESS;
}

/* Messages are here or will be: take them, and say from whom they are. */
static void take(struct comm *c, int missing, int expected)
{
    char on[2 * SITE_TEXT];
    struct wait w = wait_begin();

    comm_text(on, c);
    finding("%d of %d messages sent to it on %s were never received", missing, expected, on);
    if (missing > LISTED) missing = LISTED;
    while (missing > 0) {
        MPI_Message m;
        MPI_Status s;
        int any = 0, n;
        PMPI_Improbe(MPI_ANY_SOURCE, MPI_ANY_TAG, c->comm, &any, &m, &s);
        if (!any) {
            wait_more(&w);
            continue;
        }
        PMPI_Get_count(&s, MPI_BYTE, &n);
        finding("  one is from rank %d, tag %d, %d bytes", s.MPI_SOURCE, s.MPI_TAG, n);
        void *data = malloc((size_t)n + 1);
        PMPI_Mrecv(data, n, MPI_BYTE, &m, MPI_STATUS_IGNORE);
        free(data);
        missing--;
    }
}

void messages_check(struct comm *c)
{
    int expected;
    MPI_Request r;
    PMPI_Ireduce_scatter_block(c->sent, &expected, 1, MPI_INT, MPI_SUM, c->twin, &r);
    finish(&r, MPI_STATUS_IGNORE);
    if (expected > c->received) take(c, expected - c->received, expected);
}

/* Ranks may list their communicators in different orders, so all begin before any ends. */
void messages_check_all(void)
{
    int n = 0, i = 0;
    for (const struct comm *c = comm_first(); c; c = c->next) n++;
    int *expected = calloc((size_t)n, sizeof *expected);
    MPI_Request *r = calloc((size_t)n, sizeof *r);
    if (!expected || !r) fatal("out of memory");
    for (const struct comm *c = comm_first(); c; c = c->next, i++)
        PMPI_Ireduce_scatter_block(c->sent, &expected[i], 1, MPI_INT, MPI_SUM, c->twin, &r[i]);
    for (i = 0; i < n; i++) finish(&r[i], MPI_STATUS_IGNORE);
    i = 0;
    for (struct comm *c = comm_first(); c; c = c->next, i++)
        if (expected[i] > c->received) take(c, expected[i] - c->received, expected[i]);
    free(expected);
    free(r);
}
