/* SPDX-License-Identifier: Apache-2.0 */
/* trace.h -- what a rank did when, for Chrome's trace viewer. */
#ifndef TRACE_H
#define TRACE_H

#include "mpi/grid/comm.h"
#include "src/plan/step_plan.h"

struct trace;

/* Local.  An empty trace whose clock starts now. */
struct trace *trace_new(void);
void trace_free(struct trace *t);

/* Around one operation; NULL: nothing happens.  Local. */
void trace_begin(struct trace *t);
void trace_end(struct trace *t, const struct op *op);

/* Seconds in operations of one kind.  Local. */
double trace_seconds(const struct trace *t, int kind);

/* Write the traces of all ranks into one file, in the trace event format.
 *
 * Collective on axis.  returns OK or ERR_IO on all ranks */
int trace_write(struct trace *t, const struct axis *axis, const char *path);

#endif
