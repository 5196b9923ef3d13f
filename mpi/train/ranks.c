/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/train/ranks.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/base/cpus.h"
#include "src/base/launch_token.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/store/run_note.h"

enum { TEXT = 512, ALIKE = 64 };   /* bytes of a description; of a host's name */

/* What one process has. */
struct rank { char host[ALIKE]; int threads, cores; char list[CPUS_LIST]; };

/* What the processes of one machine have. */
struct node_ranks {
    const char *host;
    int         ranks, least_threads, threads, least_cores, cores, sum;
    int         shared;       /* all have the same processors                     */
    int         crowded;      /* a process has more threads than cores            */
    int         others;       /* more machines with the same description          */
    char        list[256];    /* of the processors of each process, as far as they fit */
    char        text[TEXT];
};

static void add(struct node_ranks *p, const struct rank *r)
{
    const size_t used = strlen(p->list);

    if (!p->ranks || r->threads < p->least_threads) p->least_threads = r->threads;
    if (!p->ranks || r->cores < p->least_cores) p->least_cores = r->cores;
    if (r->threads > p->threads) p->threads = r->threads;
    if (r->cores > p->cores) p->cores = r->cores;
    if (!p->ranks) snprintf(p->list, sizeof p->list, "%s", r->list);
    else {
        p->shared = p->shared && !strcmp(p->list, r->list);
        if (!p->shared && used + CPUS_LIST + 5 < sizeof p->list)
            snprintf(p->list + used, sizeof p->list - used, " %s", r->list);
        else if (!p->shared && strcmp(p->list + used - 3, "...") != 0)
            strcpy(p->list + used, " ...");
    }
    p->sum += r->threads;
    p->crowded |= r->threads > r->cores;
    p->ranks++;
}

/* "3", or "3 to 4". */
static const char *span(char text[32], int least, int most)
{
    if (least == most) snprintf(text, 32, "%d", most);
    else snprintf(text, 32, "%d to %d", least, most);
    return text;
}

static void describe(struct node_ranks *p)
{
    char threads[32], cores[32];
    const int several = p->ranks > 1, together = several && p->shared;

    snprintf(p->text, sizeof p->text, "%d with %s thread%s%s %s core%s%s (CPUs %s)%s", p->ranks,
             span(threads, p->least_threads, p->threads), &"s"[p->threads == 1],
             together ? " each, which share" : " on", span(cores, p->least_cores, p->cores),
             &"s"[p->cores == 1], several && !together ? " each" : "", p->list,
             p->crowded || (together && p->sum > p->cores) ? "; more threads than cores" : "");
}

/* The machines of the ranks, in the order of their first ranks.  returns a counted block */
static struct node_ranks *places(int *count, const struct rank *r, int n)
{
    struct node_ranks *all = NULL;

    *count = 0;
    for (int i = 0; i < n; i++) {
        /* Most often the machine of the rank before. */
        int k = *count - 1;
        while (k >= 0 && strcmp(all[k].host, r[i].host) != 0) k--;
        if (k < 0) {
            k = (*count)++;
            all = mem_resize(all, *count, sizeof *all, "machines");
            all[k] = (struct node_ranks){ .host = r[i].host, .shared = 1 };
        }
        add(&all[k], &r[i]);
    }
    return all;
}

/* Count machines with the same description at the first of them; the others get none. */
static void unite(struct node_ranks *p, int n)
{
    for (int i = 0; i < n; i++) describe(&p[i]);
    for (int i = 0; i < n; i++)
        for (int k = i + 1; p[i].text[0] && k < n; k++) {
            if (strcmp(p[i].text, p[k].text) != 0) continue;
            p[i].others++;
            p[k].text[0] = '\0';
        }
}

static void tell(const char *run, const struct node_ranks *p, int n)
{
    json_t *machines = json_array();

    for (int i = 0; i < n; i++) {
        char more[48] = "";
        if (!p[i].text[0]) continue;
        if (p[i].others)
            snprintf(more, sizeof more, " and %d more machine%s", p[i].others,
                     &"s"[p[i].others == 1]);
        log_run(LAUNCH_ALIVE "%s%s: %s", p[i].host, more, p[i].text);
        json_array_append_new(machines,
                              json_pack("{s:s,s:i,s:i,s:i,s:i}", "host", p[i].host, "machines",
                                        1 + p[i].others, "ranks", p[i].ranks, "threads",
                                        p[i].threads, "cores", p[i].cores));
    }
    if (run && launch_token()) run_note(run, "ranks", json_pack("{s:o}", "machines", machines));
    else json_decref(machines);
}

void ranks_report(const char *run, const struct axis *world)
{
    struct rank own = { .threads = omp_get_max_threads() }, *all = NULL;
    const int bytes = mpi_count(sizeof own);
    struct cpus c;
    int n = 0;

    cpus_read(&c);
    own.cores = c.cores;
    memcpy(own.list, c.list, sizeof own.list);
    gethostname(own.host, sizeof own.host - 1);
    if (world->rank == 0) all = mem_new(world->size, sizeof *all, "processes of the job");
    mpi_do(MPI_Gather(&own, bytes, MPI_BYTE, all, bytes, MPI_BYTE, 0, world->comm));
    if (all) {
        struct node_ranks *p = places(&n, all, world->size);
        unite(p, n);
        tell(run, p, n);
        mem_free(p);
    }
    mem_free(all);
}
