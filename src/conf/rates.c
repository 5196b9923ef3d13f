#include "src/conf/rates.h"

#include "src/base/openmp.h"
#include "src/conf/conf_table.h"

#define KEY(section, field)                                      \
    #section "." #field, offsetof(struct rates, section.field),  \
    sizeof(((struct rates *)0)->section.field)

/* The presets are config/rates/epyc-2core.yaml. */
static const struct conf_key keys[] = {
    { KEY(node, ranks), CONF_INT, "1", 1, 65536, "ranks",
      "that run on one node; ranks fill nodes in order", { 0 } },
    { KEY(node, memory_gib), CONF_DOUBLE, "23.54", 1e-3, 1e9, "GiB", "of a node", { 0 } },

    { KEY(rank, threads), CONF_INT, "2", 1, OPENMP_THREADS, "threads", "of a rank", { 0 } },
    { KEY(rank, fp32_gflops), CONF_DOUBLE, "362.1", 1e-6, 1e9, "GFLOP/s",
      "dense matrix products of one rank while all ranks of its node work", { 0 } },
    { KEY(rank, memory_gbytes), CONF_DOUBLE, "37.23", 1e-6, 1e9, "GB/s",
      "memory rate of one rank while all ranks of its node work", { 0 } },

    { KEY(share, forward), CONF_DOUBLE, "0.9044", 1e-6, 10, "of fp32_gflops",
      "that a layer reaches forward", { 0 } },
    { KEY(share, backward), CONF_DOUBLE, "0.866", 1e-6, 10, "of fp32_gflops",
      "that a layer reaches backward, gradient sums apart", { 0 } },
    { KEY(share, head), CONF_DOUBLE, "0.8802", 1e-6, 10, "of fp32_gflops",
      "that logits, loss and the way back reach, gradient sums apart", { 0 } },

    { KEY(network, within_us), CONF_DOUBLE, "1", 0, 1e9, "microseconds",
      "latency of a message between two ranks of a node", { 0 } },
    { KEY(network, within_gbytes), CONF_DOUBLE, "4", 1e-6, 1e9, "GB/s",
      "of one message between two ranks of a node", { 0 } },
    { KEY(network, between_us), CONF_DOUBLE, "20", 0, 1e9, "microseconds",
      "latency of a message between two nodes", { 0 } },
    { KEY(network, between_gbytes), CONF_DOUBLE, "3", 1e-6, 1e9, "GB/s",
      "that a node sends to others", { 0 } },
};

static const struct conf_schema schema = {
    .keys = keys, .count = sizeof keys / sizeof *keys,
    .sections = { "node", "rank", "share", "network" },
    .size = sizeof(struct rates), .lists = "ttt bench rates",
};

int rates_read(struct rates *r, const char *file)
{
    return file ? schema_read(&schema, r, file, NULL, 0)
                : schema_parse(&schema, r, "", 0, "rates", NULL, 0);
}

char *rates_text(const struct rates *r) { return schema_text(&schema, r, 1); }
