/* SPDX-License-Identifier: Apache-2.0 */
/* golden.h -- comparing our tensors with those of tests/golden.
 *
 * A comparison returns how many entries are outside the tolerance, and says
 * the worst one of a tensor: name, index, expected, found.  So a test can also
 * ask that a spoilt model is noticed.
 */
#ifndef GOLDEN_H
#define GOLDEN_H

#include <stdint.h>

#define GOLDEN_NAME 256
#define GOLDEN_DIMS 8

/* A tensor in doubles, row-major. */
struct array {
    char    name[GOLDEN_NAME];
    int     ndim;
    int64_t shape[GOLDEN_DIMS], n;
    double *v;
};

struct golden { struct array *a; int count; };

/* All tensors of a safetensors file; dies if it can't be read. */
void golden_open(struct golden *g, const char *path);
void golden_close(struct golden *g);

/* A tensor by name; golden_find() gives NULL, golden_get() dies if it is not there. */
const struct array *golden_find(const struct golden *g, const char *name);
const struct array *golden_get(const struct golden *g, const char *name);

/* Differences are printed on stderr, or not (for tests that expect them). */
void golden_speak(int speaks);

/* Entries of found[0, n) that differ from expected by more than tol; NaN always does.
 * Both have the shape of `expected`. */
int64_t golden_differ(const struct array *expected, const double *found, double tol);

/* Compare `found` with the tensor `name` of g, or with the four that stand for
 * it if it is large.  tol is relative to the largest entry of what is compared, over
 * all layers: "state.0.W1" and "state.1.W1" are of one kind.
 * Returns as golden_differ(); dies if g has none of them or shapes differ. */
int64_t golden_compare(const struct golden *g, const char *name, const struct array *found,
                       double tol);

/* Rows of (B,L,X) at the positions pos (P): (B,P,X) into a new array; free .v. */
struct array golden_pick(const struct array *full, const struct array *pos);

#endif
