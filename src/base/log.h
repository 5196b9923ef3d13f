/* SPDX-License-Identifier: Apache-2.0 */
/* log.h -- messages for people.
 *
 * Levels are frequencies: how often an event of this kind happens in a run.
 * Numbers for plots do not go here but to metrics.jsonl.  Messages go to
 * stderr, one line each, in which control characters are made visible
 * (utf8_visible()); the results of a command go to stdout by printf.
 */
#ifndef LOG_H
#define LOG_H

#include <stdarg.h>

enum log_level {
    LOG_RUN,    /* once a run                             */
    LOG_PHASE,  /* a few times: load, save, evaluate      */
    LOG_STEP    /* every optimizer step                   */
};

/* Print messages up to this level (default LOG_STEP).  Local. */
void log_level(enum log_level level);

/* Begin each message with the time of day: "11-30 20:54:01 ".  For logs of jobs.  Local. */
void log_times(int on);
#define LOG_TIME 24
const char *log_time(char text[LOG_TIME]);

/* Only one process of a job prints messages.  With speaks = 0 this process prints none, and keeps
 * its last error for log_tell_error(), so that an error of all processes is printed once.
 * Local. */
void log_speaker(int speaks);

/* Print the error that was kept, if there is one, as that of process `rank`.  Local. */
void log_tell_error(int rank);

void log_run(const char *format, ...)   __attribute__((format(printf, 1, 2)));
void log_phase(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_step(const char *format, ...)  __attribute__((format(printf, 1, 2)));

/* Something is wrong, but the run continues. */
void log_warn(const char *format, ...)  __attribute__((format(printf, 1, 2)));

/* Prints the message of fail() (status.h), "ttt: error: ...", at every level. */
void log_verror(const char *format, va_list ap);

/* The last text given to fail(), for tests; "" before the first.  Local. */
const char *log_last_error(void);

#endif
