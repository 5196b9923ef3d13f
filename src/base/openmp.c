/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/openmp.h"

#include <ctype.h>
#include <omp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "src/base/cpus.h"
#include "src/base/launch_token.h"
#include "src/base/status.h"
#include "src/base/text.h"

static const char *blanks(const char *p)
{
    while (isspace((unsigned char)*p)) p++;
    return p;
}

/* "4" or, for parallel regions in one another, "4,2". */
static int is_threads(const char *text)
{
    for (;;) {
        int64_t n;
        text = text_whole(&n, blanks(text));
        if (!text || n < 1 || n > OPENMP_THREADS) return 0;
        text = blanks(text);
        if (*text++ != ',') return !text[-1];
    }
}

/* Bytes of "2048", "2M": a number, then B, K, M or G, else K; -1: it is none. */
static int64_t stack_size(const char *text)
{
    static const char units[] = "BKMG";
    int64_t n;
    const char *end = text_whole(&n, blanks(text));

    if (!end || n < 0) return -1;
    end = blanks(end);
    const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : units + 1;
    if (!unit || *blanks(*end ? end + 1 : end)) return -1;
    return __builtin_mul_overflow(n, (int64_t)1 << 10 * (unit - units), &n) ? -1 : n;
}

static void *nothing(void *arg) { return arg; }

/* Can a thread have such a stack? */
static int starts(int64_t bytes)
{
    pthread_attr_t a;
    pthread_t t;

    if (pthread_attr_init(&a) != 0) return 0;
    const int good = pthread_attr_setstacksize(&a, (size_t)bytes) == 0 &&
                     pthread_create(&t, &a, nothing, NULL) == 0;
    if (good) pthread_join(t, NULL);
    pthread_attr_destroy(&a);
    return good;
}

static int check_stack(void)
{
    const char *name = getenv("OMP_STACKSIZE") ? "OMP_STACKSIZE" : "GOMP_STACKSIZE";
    const char *text = getenv(name);
    struct rlimit own;

    if (getrlimit(RLIMIT_STACK, &own) == 0 && own.rlim_cur < (rlim_t)OPENMP_STACK)
        return fail(ERR_USAGE, "the limit of a stack is %lld KiB, and a thread needs %lld KiB; "
                    "raise it with ulimit -s", (long long)own.rlim_cur >> 10,
                    (long long)OPENMP_STACK >> 10);
    if (!text || !*blanks(text)) return OK;
    const int64_t bytes = stack_size(text);
    if (bytes < OPENMP_STACK)
        return fail(ERR_USAGE, "%s is '%.40s'; a thread needs a stack of at least 2M (2 MiB): "
                    "unset the variable, or set it to 4M, for example", name, text);
    if (!starts(bytes))
        return fail(ERR_USAGE, "%s is '%.40s', and this machine cannot start a thread with such a "
                    "stack: unset the variable, or set it to 4M, for example", name, text);
    return OK;
}

int openmp_check(void)
{
    const char *threads = getenv("OMP_NUM_THREADS");

    if (threads && *blanks(threads) && !is_threads(threads))
        return fail(ERR_USAGE, "OMP_NUM_THREADS is '%.40s'; expected a whole number from 1 to %d",
                    threads, OPENMP_THREADS);
    return check_stack();
}

void openmp_threads(void)
{
    const char *threads = getenv("OMP_NUM_THREADS");
    struct cpus c;

    if (threads && *blanks(threads) && !launch_token()) return;
    if (omp_get_proc_bind() != omp_proc_bind_false) return;
    cpus_read(&c);
    if (omp_get_max_threads() > c.cores) omp_set_num_threads(c.cores);
}
