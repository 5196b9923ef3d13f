/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/beacon.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "src/base/launch_token.h"
#include "src/base/mem.h"
#include "src/base/process.h"
#include "src/base/status.h"

_Static_assert(sizeof(struct beacon) <= BEACON_BYTES, "a beacon is one page");

/* The idea is a flight recorder: the process stores what it is about to do in memory that another
 * process can read at any time, so that a process which hangs, and cannot run a signal handler any
 * more, still shows where.  Stores are plain or relaxed atomic and nothing waits: a reader may see
 * a page that is half updated.  That does no harm, since the watchdog only looks for counters that
 * do not change for seconds, and reads the rest after it found one.
 *
 * The thread of the beat tells a process that computes or waits from one that does not run at all
 * (SIGSTOP, a frozen cgroup, a suspended virtual machine). */
#define BEAT_NS 200000000L

static struct beacon own, *page = &own;   /* own: private memory, not shared */
static _Thread_local int lane = -1;
static char *file;
static pthread_t beater;
static int beating;

/* All texts lie in the program, between these. */
extern char __executable_start, end;

static int64_t number_of(const char *text) { return text - &__executable_start; }

const char *beacon_text(int64_t number)
{
    return number > 0 && number < &end - &__executable_start ? &__executable_start + number : "";
}

static void *beat(void *arg)
{
    (void)arg;
    while (__atomic_load_n(&beating, __ATOMIC_RELAXED)) {
        __atomic_fetch_add(&page->beat, 1, __ATOMIC_RELAXED);
        nanosleep(&(struct timespec){ 0, BEAT_NS }, NULL);
    }
    return NULL;
}

/* Signals are for the main thread. */
static void start_beat(void)
{
    sigset_t all, before;

    beating = 1;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&beater, NULL, beat, NULL) != 0) beating = 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

char *beacon_prefix(char text[BEACON_PREFIX], const char *job)
{
    snprintf(text, BEACON_PREFIX, "/dev/shm/ttt-%.*s-", LAUNCH_NAME - 1, job);
    return text;
}

static int create(void)
{
    return open(file, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* Create the page and map it.  Its memory is reserved now: a store to a page that a full file
 * system cannot hold would be SIGBUS.
 * returns 0 or an errno */
static int map(void)
{
    int fd = create();
    void *p = MAP_FAILED;

    if (fd < 0 && errno == EEXIST && unlink(file) == 0) fd = create();
    if (fd < 0) return errno;
    int err = posix_fallocate(fd, 0, BEACON_BYTES);
    if (!err) p = mmap(NULL, BEACON_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (!err && p == MAP_FAILED) err = errno;
    close(fd);
    if (err) unlink(file);
    else page = p;
    return err;
}

int beacon_open(const char *job, int rank, char why[BEACON_WHY])
{
    char prefix[BEACON_PREFIX];

    file = mem_format("%s%d", beacon_prefix(prefix, job), rank);
    const int err = map();
    if (err) {
        snprintf(why, BEACON_WHY, "%s: %s", file, strerror(err));
        mem_free(file);
        file = NULL;
        return ERR_IO;
    }
    lane = BEACON_MAIN;
    page->pid = (int32_t)getpid();
    page->born = process_born(getpid());
    page->rank = rank;
    page->layer = page->unit = page->peer = -1;
    gethostname(page->host, sizeof page->host - 1);
    memcpy(page->magic, "ttt-bcn", 8);
    start_beat();
    return OK;
}

void beacon_close(void)
{
    lane = -1;
    if (beating) {
        __atomic_store_n(&beating, 0, __ATOMIC_RELAXED);
        pthread_join(beater, NULL);
    }
    if (page != &own) {
        munmap(page, BEACON_BYTES);
        unlink(file);
    }
    page = &own;
    mem_free(file);
    file = NULL;
}

int beacon_read(struct beacon *out, const char *job, int rank)
{
    char path[BEACON_PREFIX + 16];
    struct stat st;
    int good = 0;

    beacon_prefix(path, job);
    snprintf(path + strlen(path), 16, "%d", rank);
    /* Opening a pipe that somebody put there would wait for its writer. */
    const int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return 0;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
        !(st.st_mode & (S_IWGRP | S_IWOTH)) && st.st_size == BEACON_BYTES)
        good = read(fd, out, sizeof *out) == (ssize_t)sizeof *out &&
               !memcmp(out->magic, "ttt-bcn", 8) && out->rank == rank;
    close(fd);
    if (!good) return 0;
    out->host[sizeof out->host - 1] = '\0';
    for (int i = 0; i < BEACON_LANES; i++) out->lane[i].path[BEACON_PATH - 1] = '\0';
    return 1;
}

void beacon_use(int l) { lane = page == &own ? -1 : l; }

static void count(int64_t *n) { __atomic_store_n(n, *n + 1, __ATOMIC_RELAXED); }

void beacon_phase(enum beacon_phase p)
{
    if (lane != BEACON_MAIN) return;
    page->phase = p;
    page->op = 0;
    count(&page->progress);
}

/* A decaying maximum: after some hundred steps it is about the 99th percentile. */
static double slow(double old, double seconds)
{
    return seconds > 0.995 * old ? seconds : 0.995 * old;
}

void beacon_step(int64_t step, double seconds)
{
    if (lane != BEACON_MAIN) return;
    page->step = step;
    page->step_s = slow(page->step_s, seconds);
    count(&page->progress);
}

void beacon_saved(double seconds)
{
    if (lane == BEACON_MAIN) page->save_s = slow(page->save_s, seconds);
}

void beacon_op(const char *name, int layer, int unit, int peer)
{
    if (lane != BEACON_MAIN) return;
    page->op = number_of(name);
    page->layer = layer;
    page->unit = unit;
    page->peer = peer;
    count(&page->progress);
}

void beacon_enter(enum beacon_kind kind, const char *site, const char *path)
{
    if (lane < 0) return;
    struct beacon_lane *l = &page->lane[lane];
    l->site = number_of(site);
    l->kind = (int32_t)kind;
    if (path) {
        const size_t n = strnlen(path, BEACON_PATH - 1);
        memcpy(l->path, path, n);
        l->path[n] = '\0';
    }
    count(&l->calls);
}

void beacon_leave(void)
{
    if (lane < 0) return;
    page->lane[lane].kind = BEACON_OUTSIDE;
    count(&page->lane[lane].calls);
}
