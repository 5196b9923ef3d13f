/* SPDX-License-Identifier: Apache-2.0 */
/* golden_probe.h -- a probe's tensors against those of tests/golden: of one process, of a grid.
 *
 * Every comparison counts entries that are outside the tolerance (tests/golden/README.md).
 */
#ifndef GOLDEN_PROBE_H
#define GOLDEN_PROBE_H

#include "src/infer/probe.h"
#include "tests/lib/golden.h"

/* token_idx: tolerance of gradients of learnable_token_idx. */
struct golden_case {
    const char *name, *model, *data;
    double loss, nll, logits, hidden, grads, token_idx;
    int n_grads, n_states, n_convs, n_inner;   /* tensors */
};

enum { GOLDEN_M, GOLDEN_T, GOLDEN_RAGGED, GOLDEN_MLP_M, GOLDEN_MLP_T, GOLDEN_LLAMA,
       GOLDEN_QWEN2, GOLDEN_MAMBA, GOLDEN_CASES };
extern const struct golden_case golden_cases[GOLDEN_CASES];

/* The tokens of a case, (B,L); mem_free(). */
int32_t *golden_tokens(const struct golden_case *c, int *B, int *L);

/* What a probe found, what PyTorch found. */
void golden_found(struct golden *out, const struct probe *p);
void golden_expected(struct golden *out, const struct golden_case *c);

int64_t golden_off_losses(const struct golden_case *c, const struct golden *e,
                          const struct golden *f);
int64_t golden_off_logits(const struct golden_case *c, const struct golden *e,
                          const struct golden *f);
int64_t golden_off_hidden(const struct golden_case *c, const struct golden *e,
                          const struct golden *f);
int64_t golden_off_grads(const struct golden_case *c, const struct golden *e,
                         const struct golden *f);
int64_t golden_off_states(const struct golden_case *c, const struct golden *e,
                          const struct golden *f);
int64_t golden_off_convs(const struct golden_case *c, const struct golden *e,
                         const struct golden *f);
int64_t golden_off_inner(const struct golden_case *c, const struct golden *f);

/* All of them. */
int64_t golden_off(const struct golden_case *c, const struct golden *f);

#endif
