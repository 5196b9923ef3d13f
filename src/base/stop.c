#include "src/base/stop.h"

#include <signal.h>
#include <string.h>

static volatile sig_atomic_t first;

static void note(int sig)
{
    if (!first) first = sig;
}

void stop_catch(void)
{
    static const int signals[] = { SIGUSR1, SIGTERM, SIGINT };
    struct sigaction a;

    memset(&a, 0, sizeof a);
    a.sa_handler = note;
    a.sa_flags = SA_RESTART;
    sigemptyset(&a.sa_mask);
    for (int i = 0; i < 3; i++) sigaction(signals[i], &a, NULL);
}

int stop_signal(void) { return first; }
