/* SPDX-License-Identifier: Apache-2.0 */
#include "src/forecast/rates.h"

#include "src/base/openmp.h"
#include "src/conf/conf_table.h"

#define KEY(section, field)                                      \
    #section "." #field, offsetof(struct rates, section.field),  \
    sizeof(((struct rates *)0)->section.field)

/* The presets are config/rates/epyc-2core.yaml. */
static const struct conf_key keys[] = {
    { KEY(node, ranks), CONF_INT, "1", 1, 65536, "ranks",
      "ranks on one node; ranks fill nodes in order", { 0 } },
    { KEY(node, memory_gib), CONF_DOUBLE, "23.54", 1e-3, 1e9, "GiB", "memory of a node", { 0 } },

    { KEY(rank, threads), CONF_INT, "2", 1, OPENMP_THREADS, "threads", "threads of a rank", { 0 } },
    { KEY(rank, fp32_gflops), CONF_DOUBLE, "362.1", 1e-6, 1e9, "GFLOP/s",
      "rate of dense matrix products of one rank while all ranks of its node work", { 0 } },
    { KEY(rank, memory_gbytes), CONF_DOUBLE, "37.23", 1e-6, 1e9, "GB/s",
      "memory bandwidth of one rank while all ranks of its node work", { 0 } },

    { KEY(share, forward), CONF_DOUBLE, "0.9044", 1e-6, 10, "of fp32_gflops",
      "share of that rate which the forward pass of a layer reaches", { 0 } },
    { KEY(share, backward), CONF_DOUBLE, "0.866", 1e-6, 10, "of fp32_gflops",
      "share that the backward pass of a layer reaches, without the sums of gradients", { 0 } },
    { KEY(share, head), CONF_DOUBLE, "0.8802", 1e-6, 10, "of fp32_gflops",
      "share that logits, loss and their backward pass reach, without the sums of gradients",
      { 0 } },

    { KEY(network, within_us), CONF_DOUBLE, "1", 0, 1e9, "microseconds",
      "latency of a message between two ranks of a node", { 0 } },
    { KEY(network, within_gbytes), CONF_DOUBLE, "4", 1e-6, 1e9, "GB/s",
      "bandwidth of one message between two ranks of a node", { 0 } },
    { KEY(network, between_us), CONF_DOUBLE, "20", 0, 1e9, "microseconds",
      "latency of a message between two nodes", { 0 } },
    { KEY(network, between_gbytes), CONF_DOUBLE, "3", 1e-6, 1e9, "GB/s",
      "bandwidth from one node to the others", { 0 } },
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
