/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/failpoint.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "src/base/beacon.h"
#include "src/base/rank_env.h"
#include "src/base/status.h"

#define MAX_RULES 16

enum action { FP_KILL, FP_STOP, FP_ERR, FP_SLEEP, FP_SPIN, FP_READ };

struct rule {
    char        name[64];
    long        rank;     /* -1: all */
    long        hit;      /* 0: every one */
    long        seen;
    enum action action;
    long        ms;
    char        path[128];
    int         acted;
};

int failpoint_armed = 1;  /* until the environment was read */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rule rules[MAX_RULES];
static int n_rules, known;

/* "name[#hit]=action" */
static int parse_rule(struct rule *r, const char *text)
{
    char hit[24] = "1", action[128] = "", *end = NULL;

    *r = (struct rule){ .rank = -1 };
    if (sscanf(text, "%63[^#=]#%23[^=]=%127s", r->name, hit, action) != 3 &&
        sscanf(text, "%63[^#=]=%127s", r->name, action) != 2)
        return ERR_USAGE;
    char *at = strchr(r->name, '@');
    if (at) {
        *at = '\0';
        r->rank = strtol(at + 1, &end, 10);
        if (*end || end == at + 1 || r->rank < 0) return ERR_USAGE;
    }
    r->hit = strtol(hit, &end, 10);
    if (!strcmp(hit, "*")) r->hit = 0;
    else if (*end || r->hit < 1) return ERR_USAGE;

    if (!strcmp(action, "kill")) r->action = FP_KILL;
    else if (!strcmp(action, "stop")) r->action = FP_STOP;
    else if (!strcmp(action, "err")) r->action = FP_ERR;
    else if (!strcmp(action, "spin")) r->action = FP_SPIN;
    else if (!strncmp(action, "read:/", 6)) {
        r->action = FP_READ;
        snprintf(r->path, sizeof r->path, "%s", action + 5);
    } else if (!strncmp(action, "sleep:", 6)) {
        r->action = FP_SLEEP;
        r->ms = strtol(action + 6, &end, 10);
        if (*end || r->ms < 0 || end == action + 6) return ERR_USAGE;
    } else return ERR_USAGE;
    return OK;
}

/* Under the lock. */
static void parse(const char *text)
{
    char one[256];

    n_rules = 0;
    known = 1;
    while (text && *text) {
        const size_t n = strcspn(text, ",");
        if (n_rules == MAX_RULES || n >= sizeof one)
            leave(fail(ERR_USAGE, "TTT_FAIL has too many rules, or a rule is too long"));
        snprintf(one, sizeof one, "%.*s", (int)n, text);
        if (parse_rule(&rules[n_rules], one) != OK)
            leave(fail(ERR_USAGE, "TTT_FAIL: expected name[@rank][#hit]=kill|stop|err|sleep:MS|"
                       "spin|read:/PATH, found '%s'", one));
        n_rules++;
        text += n + (text[n] == ',');
    }
    __atomic_store_n(&failpoint_armed, n_rules > 0, __ATOMIC_RELAXED);
}

void failpoint_set(const char *text)
{
    pthread_mutex_lock(&lock);
    parse(text);
    pthread_mutex_unlock(&lock);
}

int failpoint_acted(void)
{
    int n = 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < n_rules; i++) n += rules[i].acted;
    pthread_mutex_unlock(&lock);
    return n;
}

static long our_rank(void)
{
    struct rank_env e;
    rank_env_read(&e);
    return e.rank;
}

/* As a file system would that does not answer. */
static void read_for_ever(const char *path)
{
    char c;
    beacon_enter(BEACON_FILE, "read", path);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && read(fd, &c, 1) >= 0) { }
    beacon_leave();
}

static void spin(void)
{
    for (volatile unsigned i = 0;; i++) { }
}

int failpoint_hit(const char *name)
{
    struct rule act = { 0 };
    int due = 0;

    pthread_mutex_lock(&lock);
    if (!known) parse(getenv("TTT_FAIL"));
    for (int i = 0; i < n_rules; i++) {
        struct rule *r = &rules[i];
        if (strcmp(r->name, name) != 0 || (r->rank >= 0 && r->rank != our_rank())) continue;
        r->seen++;
        if (r->hit && r->seen != r->hit) continue;
        r->acted = due = 1;
        act = *r;
    }
    pthread_mutex_unlock(&lock);
    if (!due) return OK;

    switch (act.action) {
    case FP_KILL: raise(SIGKILL); break;
    case FP_STOP: raise(SIGSTOP); break;
    case FP_ERR: return fail(ERR_IO, "failpoint %s: made to fail", name);
    case FP_SPIN: spin(); break;
    case FP_READ: read_for_ever(act.path); break;
    case FP_SLEEP:
        nanosleep(&(struct timespec){ act.ms / 1000, act.ms % 1000 * 1000000 }, NULL);
        break;
    }
    return OK;
}
