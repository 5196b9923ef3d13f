/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "src/base/utf8.h"

static enum log_level limit = LOG_STEP;
static int speaker = 1, times;
static char last_error[1024];
static int held;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;  /* threads of ours fail, too */

void log_level(enum log_level level) { limit = level; }
void log_speaker(int speaks) { speaker = speaks; }
void log_times(int on) { times = on; }
const char *log_last_error(void) { return last_error; }

const char *log_time(char text[LOG_TIME])
{
    const time_t now = time(NULL);
    struct tm tm;

    if (!localtime_r(&now, &tm) || !strftime(text, LOG_TIME, "%m-%d %H:%M:%S ", &tm)) text[0] = '\0';
    return text;
}

/* Names and words from outside come to people only through here.  One write per line, so that
 * processes do not mix theirs. */
static void print(const char *line)
{
    char shown[4 * 4096], time[LOG_TIME] = "";
    utf8_visible(shown, sizeof shown, line);
    fprintf(stderr, "%s%s\n", times ? log_time(time) : "", shown);
}

static void print_message(const char *prefix, const char *format, va_list ap)
{
    char line[4096];
    int n = snprintf(line, sizeof line, "%s", prefix);
    vsnprintf(line + n, sizeof line - (size_t)n, format, ap);
    print(line);
}

#define LEVEL(name, level)                                    \
    void name(const char *format, ...)                        \
    {                                                         \
        va_list ap;                                           \
        if (!speaker || level > limit) return;                \
        va_start(ap, format);                                 \
        print_message("", format, ap);                                  \
        va_end(ap);                                           \
    }

LEVEL(log_run, LOG_RUN)
LEVEL(log_phase, LOG_PHASE)
LEVEL(log_step, LOG_STEP)

void log_warn(const char *format, ...)
{
    va_list ap;
    if (!speaker) return;
    va_start(ap, format);
    print_message("ttt: warning: ", format, ap);
    va_end(ap);
}

void log_verror(const char *format, va_list ap)
{
    va_list copy;
    va_copy(copy, ap);
    pthread_mutex_lock(&lock);
    vsnprintf(last_error, sizeof last_error, format, copy);
    held = !speaker;
    pthread_mutex_unlock(&lock);
    va_end(copy);
    if (speaker) print_message("ttt: error: ", format, ap);
}

void log_tell_error(int rank)
{
    pthread_mutex_lock(&lock);
    if (held) {
        char line[sizeof last_error + 64];
        snprintf(line, sizeof line, "ttt: error: rank %d: %s", rank, last_error);
        print(line);
    }
    held = 0;
    pthread_mutex_unlock(&lock);
}
