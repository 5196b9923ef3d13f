/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/stop.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const int asking[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU };
enum { N_ASKING = sizeof asking / sizeof *asking };

static volatile sig_atomic_t first;

static void note(int sig)
{
    if (!first) first = sig;
}

/* Was SIGHUP ignored when the program began?  A library below Debian's MPICH takes it for itself when it
 * is loaded, so this is looked up before any library is initialised. */
static int hup_ignored;

static void look_at_hup(void)
{
    struct sigaction hup;
    hup_ignored = sigaction(SIGHUP, NULL, &hup) == 0 && hup.sa_handler == SIG_IGN;
}

__attribute__((section(".preinit_array"), used)) static void (*const before_libraries)(void) = look_at_hup;

void stop_start(void)
{
    if (hup_ignored) signal(SIGHUP, SIG_IGN);
}

void stop_set(sigset_t *set)
{
    struct sigaction hup;

    sigemptyset(set);
    for (int i = 0; i < N_ASKING; i++) sigaddset(set, asking[i]);
    if (sigaction(SIGHUP, NULL, &hup) == 0 && hup.sa_handler == SIG_IGN) sigdelset(set, SIGHUP);
}

/* `ulimit -t N` sets both limits of CPU time to N: SIGKILL would come together with SIGXCPU, and
 * nothing would be saved. */
static void limit_with_warning(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_CPU, &r) != 0 || r.rlim_max == RLIM_INFINITY || r.rlim_max < 2 ||
        r.rlim_cur < r.rlim_max)
        return;
    const rlim_t spare = r.rlim_max / 10 < 120 ? r.rlim_max / 10 : 120;
    r.rlim_cur = r.rlim_max - (spare > 0 ? spare : 1);
    (void)setrlimit(RLIMIT_CPU, &r);
}

void stop_catch(void)
{
    struct sigaction a;
    sigset_t set;

    stop_set(&set);
    memset(&a, 0, sizeof a);
    a.sa_handler = note;
    a.sa_flags = SA_RESTART;
    sigemptyset(&a.sa_mask);
    limit_with_warning();
    for (int i = 0; i < N_ASKING; i++)
        if (sigismember(&set, asking[i])) sigaction(asking[i], &a, NULL);
}

void stop_with_parent(void) { prctl(PR_SET_PDEATHSIG, SIGUSR1); }

int stop_signal(void) { return first; }
