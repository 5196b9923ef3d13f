/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/step/trace.h"

#include <stdio.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"

struct event { double begin_s, end_s; int kind, m, l, u; };

struct trace {
    double        zero_s, begin_s;
    struct event *e;
    int64_t       count, room;
};

struct trace *trace_new(void)
{
    struct trace *t = mem_new(1, sizeof *t, "trace");
    t->zero_s = clock_s();
    return t;
}

void trace_free(struct trace *t)
{
    if (!t) return;
    mem_free(t->e);
    mem_free(t);
}

void trace_begin(struct trace *t)
{
    if (t) t->begin_s = clock_s();
}

void trace_end(struct trace *t, const struct op *op)
{
    if (!t) return;
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : 1024;
        t->e = mem_resize(t->e, t->room, sizeof *t->e, "trace");
    }
    t->e[t->count++] = (struct event){ t->begin_s - t->zero_s, clock_s() - t->zero_s, op->kind,
                                       op->m, op->l, op->u };
}

double trace_seconds(const struct trace *t, int kind)
{
    double sum = 0;
    for (int64_t i = 0; i < t->count; i++)
        if (t->e[i].kind == kind) sum += t->e[i].end_s - t->e[i].begin_s;
    return sum;
}

/* One rank's events as JSON lines, a counted string. */
static char *text_of(const struct trace *t, int rank, int64_t *n)
{
    enum { LINE = 200 };
    char *text = mem_new(t->count * LINE + 1, 1, "trace");
    int64_t at = 0;
    for (int64_t i = 0; i < t->count; i++) {
        const struct event *e = &t->e[i];
        at += snprintf(text + at, LINE, "{\"name\":\"%s\",\"ph\":\"X\",\"pid\":0,\"tid\":%d,"
                       "\"ts\":%.3f,\"dur\":%.3f,\"args\":{\"m\":%d,\"l\":%d,\"u\":%d}},\n",
                       op_name(e->kind), rank, e->begin_s * 1e6, (e->end_s - e->begin_s) * 1e6,
                       e->m, e->l, e->u);
    }
    *n = at;
    return text;
}

int trace_write(struct trace *t, const struct axis *axis, const char *path)
{
    int64_t n = 0, total = 0;
    char *mine = text_of(t, axis->rank, &n), *all = NULL;
    int *counts = mem_new(axis->size, sizeof *counts, "trace");
    int *places = mem_new(axis->size, sizeof *places, "trace");
    const int count = mpi_count(n);
    int rc = OK;

    mpi_do(MPI_Gather(&count, 1, MPI_INT, counts, 1, MPI_INT, 0, axis->comm));
    if (axis->rank == 0)
        for (int i = 0; i < axis->size; i++) {
            places[i] = mpi_count(total);
            total += counts[i];
        }
    static const char head[] = "[\n", tail[] = "{}]\n";
    all = mem_new(total + 16, 1, "trace");
    mpi_do(MPI_Gatherv(mine, count, MPI_CHAR, all + strlen(head), counts, places, MPI_CHAR, 0,
                       axis->comm));
    if (axis->rank == 0) {
        memcpy(all, head, strlen(head));
        memcpy(all + strlen(head) + total, tail, strlen(tail));
        rc = file_replace(path, all, strlen(head) + (size_t)total + strlen(tail));
    }
    mem_free(all);
    mem_free(mine);
    mem_free(counts);
    mem_free(places);
    return axis_agree(axis, rc);
}
