/* SPDX-License-Identifier: Apache-2.0 */
#include "src/cli/plan_print.h"

#include <stdio.h>
#include <stdlib.h>

#include "src/base/file.h"
#include "src/base/human.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/store/json_name.h"

static const char *const cargo_names[SIM_CARGOES] = { "carries", "heads", "activations",
                                                      "gradients", "weights" };

static void print_memory(const struct forecast *f, const struct rates *r)
{
    char text[HUMAN_TEXT], node[HUMAN_TEXT], has[HUMAN_TEXT];

    printf("  memory      %s on rank %d:", human_bytes(text, f->most.total), f->most_rank);
    for (int i = 0; i < MEMORY_LINES; i++)
        printf("%s %s %s", i ? "," : "", memory_name(i), human_bytes(text, f->most.line[i]));
    printf("\n              %s on a node of %s: %s\n", human_bytes(node, f->node_bytes),
           human_bytes(has, (int64_t)(r->node.memory_gib * 0x1p30)),
           !f->fits ? "DOES NOT FIT" : f->in_place ? "fits, saving without a copy" : "fits");
}

char *plan_machine(const struct rates *r, const char *source)
{
    char memory[HUMAN_TEXT];
    return mem_format("%s: %d thread%s and %.4g GFLOP/s a rank, %d rank%s and %s of memory a node",
                      source[0] ? source : "config/rates/epyc-2core.yaml (assumed)", r->rank.threads,
                      &"s"[r->rank.threads == 1], r->rank.fp32_gflops, r->node.ranks,
                      &"s"[r->node.ranks == 1],
                      human_bytes(memory, (int64_t)(r->node.memory_gib * 0x1p30)));
}

void plan_text(const struct forecast *f, const struct cost *c, const struct rates *r,
               const char *machine)
{
    const struct grid_shape *g = &f->grid;
    double pass = 0, sums = 0;

    for (int i = 0; i < f->sim.ranks; i++) {
        if (f->sim.rank[i].pass_s > pass) pass = f->sim.rank[i].pass_s;
        if (f->sim.rank[i].sums_s > sums) sums = f->sim.rank[i].sums_s;
    }
    printf("grid %dx%dx%d: %d rank%s with %d thread%s each on %d node%s\n", g->D, g->P, g->S,
           f->sim.ranks, f->sim.ranks > 1 ? "s" : "", r->rank.threads,
           r->rank.threads > 1 ? "s" : "", f->nodes, f->nodes > 1 ? "s" : "");
    printf("  machine     %s\n", machine);
    printf("  work        %.1f M parameters, %d sequence%s of %d tokens in units of %d\n",
           1e-6 * (double)c->memory.shape->params.n, c->in.work.sequences,
           c->in.work.sequences > 1 ? "s" : "", c->in.context, c->in.unit_tokens);
    printf("  step        %.4g s: forward and backward %.4g, sums %.4g, update %.4g\n",
           f->sim.step_s, pass, sums - pass, f->sim.step_s - sums);
    printf("  training    %.1f tokens/s\n", f->tok_per_s);
    printf("  bubble      %.1f %% of all ranks' time is not spent computing\n",
           100 * f->sim.bubble);
    print_memory(f, r);
    printf("  sent        bytes a step, of all ranks   within nodes          between\n");
    for (int i = 0; i < SIM_CARGOES; i++)
        printf("    %-26s %23lld %16lld\n", cargo_names[i],
               (long long)sim_bytes(&f->sim, i, 0), (long long)sim_bytes(&f->sim, i, 1));
}

void plan_show(const struct forecast *f, const struct cost *c, int rank)
{
    struct share a;
    int n = 0;

    share_of(&a, &f->grid, &c->in.work, rank);
    printf("rank %d = replica %d, stage %d, chunk %d: layers %d to %d, units %d to %d, %d "
           "sequence%s in %d micro-batches, %d in flight\n", rank, a.d, a.p, a.s, a.l0, a.l1 - 1,
           a.u0, a.u1 - 1, a.q1 - a.q0, a.q1 - a.q0 == 1 ? "" : "s", a.M,
           f->sim.rank[rank].slots);
    printf("%6s  %-14s %5s %6s %6s %5s %12s %12s\n", "", "operation", "micro", "layer", "unit",
           "peer", "from s", "to s");
    for (int64_t i = 0; i < f->events.count; i++) {
        const struct sim_event *e = &f->events.e[i];
        const int place[] = { e->op.m, e->op.l, e->op.u, e->op.peer }, wide[] = { 5, 6, 6, 5 };
        if (e->rank != rank || e->op.kind == SIM_SUM) continue;
        printf("%6d  %-14s", n++, sim_name(e->op.kind));
        for (int k = 0; k < 4; k++)
            if (place[k] < 0) printf(" %*s", wide[k], "-");
            else printf(" %*d", wide[k], place[k]);
        printf(" %12.6f %12.6f\n", e->begin_s, e->end_s);
    }
}

void plan_best(const struct forecast *list, int count, int most)
{
    char rank[HUMAN_TEXT], node[HUMAN_TEXT], grid[40];
    int fits = 0;

    while (fits < count && list[fits].fits) fits++;
    printf("%-12s %10s %12s %8s %12s %12s\n", "grid", "step s", "tokens/s", "bubble", "rank",
           "node");
    for (int i = 0; i < fits && i < most; i++) {
        const struct forecast *f = &list[i];
        snprintf(grid, sizeof grid, "%dx%dx%d", f->grid.D, f->grid.P, f->grid.S);
        printf("%-12s %10.4g %12.1f %6.1f %% %12s %12s\n", grid, f->sim.step_s, f->tok_per_s,
               100 * f->sim.bubble, human_bytes(rank, f->most.total),
               human_bytes(node, f->node_bytes));
    }
    if (fits < count) printf("%d of %d grids do not fit into memory\n", count - fits, count);
}

/* --- for programs --------------------------------------------------------- */

static json_t *memory_json(const struct memory *m)
{
    json_t *o = json_object();

    for (int i = 0; i < MEMORY_LINES; i++)
        json_object_set_new(o, memory_name(i), json_integer(m->line[i]));
    json_object_set_new(o, "total", json_integer(m->total));
    return o;
}

json_t *plan_json(const struct forecast *f, int slice_tokens, const struct rates *r,
                  const char *source)
{
    json_t *sent = json_object();
    char grid[40];

    snprintf(grid, sizeof grid, "%dx%dx%d", f->grid.D, f->grid.P, f->grid.S);
    for (int i = 0; i < SIM_CARGOES; i++)
        json_object_set_new(sent, cargo_names[i],
                            json_pack("{s:I, s:I}", "within_bytes",
                                      (json_int_t)sim_bytes(&f->sim, i, 0), "between_bytes",
                                      (json_int_t)sim_bytes(&f->sim, i, 1)));
    return json_pack("{s:s, s:i, s:i, s:f, s:f, s:f, s:o, s:o, s:i, s:I, s:b, s:b, s:i, s:o, s:f}",
                     "grid", grid, "ranks", f->sim.ranks, "nodes", f->nodes, "step_s", f->sim.step_s,
                     "tok_per_s", f->tok_per_s, "bubble", f->sim.bubble, "sent", sent, "memory",
                     memory_json(&f->most), "memory_rank", f->most_rank, "node_bytes",
                     (json_int_t)f->node_bytes, "fits", f->fits, "save_in_place", f->in_place,
                     "slice_tokens", slice_tokens, "rates",
                     json_name(source[0] ? source : "assumed"),
                     "node_memory_gib", r->node.memory_gib);
}

void plan_json_print(json_t *all)
{
    json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(all);
}

int plan_trace(const struct forecast *f, const char *path)
{
    static const char *const processes[] = { "", "predicted", "predicted network" };
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    check(out);
    fprintf(out, "[\n");
    for (int pid = 1; pid <= 2; pid++)
        fprintf(out, "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":%d,\"args\":{\"name\":"
                "\"%s\"}},\n", pid, processes[pid]);
    for (int64_t i = 0; i < f->events.count; i++) {
        const struct sim_event *e = &f->events.e[i];
        fprintf(out, "{\"name\":\"%s\",\"ph\":\"X\",\"pid\":%d,\"tid\":%d,\"ts\":%.3f,"
                "\"dur\":%.3f,\"args\":{\"m\":%d,\"l\":%d,\"u\":%d}},\n", sim_name(e->op.kind),
                e->op.kind == SIM_SUM ? 2 : 1, e->rank, e->begin_s * 1e6,
                (e->end_s - e->begin_s) * 1e6, e->op.m, e->op.l, e->op.u);
    }
    fprintf(out, "{}]\n");
    if (fclose(out) != 0) leave(fail(ERR_MEMORY, "out of memory: trace"));
    const int rc = file_replace(path, text, n);
    free(text);
    return rc;
}
