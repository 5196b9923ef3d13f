/* SPDX-License-Identifier: Apache-2.0 */
/* rates.h -- a machine as a YAML file: what `ttt bench rates` measures and `ttt plan` reads.
 *
 * Same rules, errors and overrides as for a run (conf.h).
 */
#ifndef RATES_H
#define RATES_H

/* A machine, as a rank sees it while all ranks of its node work. */
struct rates {
    struct { int ranks; double memory_gib; } node;
    struct { int threads; double fp32_gflops, memory_gbytes; } rank;
    struct { double forward, backward, head; } share;    /* of fp32_gflops, reached by a model */
    struct { double within_us, within_gbytes, between_us, between_gbytes; } network;
};

/* NULL: what is assumed of a machine that nobody measured.
 * returns OK, ERR_MISSING or ERR_CONFIG, reported */
int rates_read(struct rates *r, const char *file);

/* As YAML, with what each key means; a counted string. */
char *rates_text(const struct rates *r);

#endif
