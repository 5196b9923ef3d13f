/* SPDX-License-Identifier: Apache-2.0 */
/* failpoint.h -- places where a test can make the program fail.
 *
 *     TRY(FAILPOINT("ckpt.after_data_fsync"));
 *
 *     TTT_FAIL="ckpt.after_data_fsync#2=kill" ttt train run.yaml
 *
 * "name@1#2=kill" applies to rank 1 only.  At the second time that the program passes this place
 * (default: the first; '*': every time), one of these happens:
 *   kill      SIGKILL to this process
 *   stop      SIGSTOP to this process
 *   err       the place returns ERR_IO, as if a system call had failed
 *   sleep:MS  a pause of MS milliseconds
 *   spin      computes for ever
 *   read:PATH reads PATH, which blocks for ever if it is a FIFO that nobody writes to
 * Several rules are separated by commas.  Failpoints stay in release builds, since
 * that is what users run; without rules, a place costs one relaxed load.
 */
#ifndef FAILPOINT_H
#define FAILPOINT_H

#define FAILPOINT(name) \
    (__atomic_load_n(&failpoint_armed, __ATOMIC_RELAXED) ? failpoint_hit(name) : 0)

extern int failpoint_armed;  /* private to the macro */
int failpoint_hit(const char *name);

/* Replace the rules by `rules` (NULL or "": none) and count hits from 0, whatever
 * TTT_FAIL says.  A malformed text ends the program: a test must not run without
 * its fault. */
void failpoint_set(const char *rules);

/* How many of the rules have acted. */
int failpoint_acted(void);

#endif
