/* SPDX-License-Identifier: Apache-2.0 */
/* run_note.h -- launch.jsonl: events of a run that are not numbers of steps (metrics.jsonl). */
#ifndef RUN_NOTE_H
#define RUN_NOTE_H

#include <jansson.h>

/* Append a line: `event` gets "kind", "time" and, under SLURM, "job"; the reference is taken.
 * A failure is a warning. */
void run_note(const char *dir, const char *kind, json_t *event);

/* The SLURM job that this process belongs to: "123", of a member of an array "123_4"; "" outside of
 * one.  Local.  returns id */
#define RUN_JOB 32
const char *run_job(char id[RUN_JOB]);

#endif
