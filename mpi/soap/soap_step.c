/* SPDX-License-Identifier: Apache-2.0 */
/* One update of SOAP: gradients to the owners of matrices, directions back. */
#include <string.h>

#include "mpi/soap/grid_soap.h"
#include "mpi/soap/soap_parts.h"
#include "mpi/soap/soap_spread.h"
#include "src/base/failpoint.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/param/grad.h"

/* Pieces between the owners of tiles and of matrices; back: directions. */
static void exchange(struct soap *s, int back)
{
    const int tag = s->m->dims.L + 2;  /* after those of buckets */
    int n = 0;

    for (int k = 0; k < s->n_pieces; k++) {
        const struct soap_piece *p = &s->piece[k];
        const struct axis *x = s->a[p->matrix].axis;
        const int from = back ? p->to : p->from, to = back ? p->from : p->to;
        const real *src = back ? p->rest : p->run;
        real *dst = back ? p->run : p->rest;
        if (from == to) memcpy(dst, src, (size_t)p->n * sizeof *dst);
        else if (to == x->rank)
            mpi_do(MPI_Irecv(dst, mpi_count(p->n), REAL_MPI, from, tag, x->comm,
                             &s->request[n++]));
        else
            mpi_do(MPI_Isend(src, mpi_count(p->n), REAL_MPI, to, tag, x->comm, &s->request[n++]));
    }
    mpi_do(MPI_Waitall(n, s->request, mpi_ignored));
}

static void read_gradients(struct soap *s, const struct grad *g, real factor)
{
    for (int k = 0; k < s->n_pieces; k++) {
        const struct soap_piece *p = &s->piece[k];
        if (!p->run) continue;
        enum { BLOCK = 4096 };
        #pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < p->n; i += BLOCK) {
            const int64_t n = p->n - i < BLOCK ? p->n - i : BLOCK;
            grad_read(g, p->run + i, p->begin + i, n);
            for (int64_t j = i; j < i + n; j++) p->run[j] *= factor;
        }
    }
}

static int whole(const struct matrix *a) { return a->owner == a->axis->rank; }

/* New bases of all our matrices: each is the work of one thread. */
static void refresh(struct soap *s, int first)
{
    const int fails = FAILPOINT("soap.decompose") != OK;  /* for tests: as LAPACK would say it */
    int tasks = 0, kept = 0, info = 0;

    for (int k = 0; k < s->n; k++) tasks += whole(&s->a[k]) ? s->a[k].f.matrices : 0;
    struct task { struct matrix *a; int i; } *task = mem_new(tasks, sizeof *task, "bases");
    tasks = 0;
    for (int k = 0; k < s->n; k++)
        for (int i = 0; whole(&s->a[k]) && i < s->a[k].f.matrices; i++)
            task[tasks++] = (struct task){ &s->a[k], i };

    #pragma omp parallel for schedule(dynamic) reduction(+ : kept) reduction(max : info)
    for (int k = 0; k < tasks; k++) {
        struct soap_trouble t = { fails, fails };
        if (!fails) soap_refresh(&task[k].a->s, &task[k].a->f, task[k].i, first, &t);
        kept += t.kept;
        info = t.info > info ? t.info : info;
    }
    s->trouble.kept += kept;
    if (info > s->trouble.info) s->trouble.info = info;
    mem_free(task);
}

/* Say what could not be done.  Collective on the grid. */
static void report(struct soap *s, int64_t t)
{
    int v[2] = { s->kept_factors, s->trouble.kept }, info = s->trouble.info;

    mpi_do(MPI_Allreduce(MPI_IN_PLACE, v, 2, MPI_INT, MPI_SUM, s->g->world.comm));
    mpi_do(MPI_Allreduce(MPI_IN_PLACE, &info, 1, MPI_INT, MPI_MAX, s->g->world.comm));
    if (v[0])
        log_warn("step %lld: %d new factors of SOAP were not finite; the old ones stay",
                 (long long)t, v[0]);
    if (v[1])
        log_warn("step %lld: %d eigenbases of SOAP stay as they were: %s (info %d)", (long long)t,
                 v[1], info > 0 ? "their decomposition failed" : "their factors are not finite",
                 info);
    s->kept_factors = 0;
    s->trouble = (struct soap_trouble){ 0, 0 };
}

void soap_step(struct soap *s, const struct grad *g, real *w, int64_t t, double factor)
{
    const int first = s->updates == 0;
    const int renew = first || s->updates % s->o.precondition_every == 0;
    const struct adam_rates rates = adam_rates(&s->o, t, first ? 1 : s->updates, 1);

    read_gradients(s, g, (real)factor);
    exchange(s, 0);
    for (int k = 0; k < s->n; k++) {
        struct matrix *a = &s->a[k];
        if (!whole(a)) continue;
        s->kept_factors += soap_factors(&a->s, &a->f, s->o.factor_beta, a->g, s->work);
        if (!first) soap_direction(&a->s, &a->f, &rates, a->g, s->work);
    }
    if (renew) refresh(s, first);
    soap_spread_step(s, &rates, first, renew);
    if (!first) {
        exchange(s, 1);
        for (int k = 0; k < s->n_pieces; k++)
            if (s->piece[k].run)
                soap_apply(&rates, w + s->piece[k].begin, s->piece[k].run, s->piece[k].n);
    }
    if (renew) report(s, t);
    s->updates++;
}
