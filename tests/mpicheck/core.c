/* SPDX-License-Identifier: Apache-2.0 */
/* Findings, call sites, what lives, start and end. */
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/mpicheck/mpicheck.h"

enum { LINE = 2048, LISTED = 20 };

static const char *const kind_names[KINDS] = { "request", "communicator", "datatype", "group",
                                               "operation", "window" };

struct live {
    enum kind   kind;
    uintptr_t   handle;
    const void *variable;
    uint64_t    ring;
    const char *made_by;
    site        made_at;
};

static struct live *live;
static int          live_count, live_room, findings, self, running;
static int          out = STDERR_FILENO;  /* the program may send its own elsewhere */
static pthread_t    owner;
static uintptr_t    program_base, program_end;
static const char  *now_name = "";
static site         now_at;

static void say(const char *format, va_list ap)
{
    char line[LINE];
    int n = snprintf(line, sizeof line, "mpicheck: rank %d: ", self);
    const int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, format, ap);
    n = m < LINE - n - 1 ? n + m : LINE - 2;
    line[n++] = '\n';
    if (write(out, line, (size_t)n) < 0) return;
}

void finding(const char *format, ...)
{
    va_list ap;
    findings++;
    va_start(ap, format);
    say(format, ap);
    va_end(ap);
}

void fatal(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    say(format, ap);
    va_end(ap);
    sleep(1);  /* others may be about to say theirs */
    PMPI_Abort(MPI_COMM_WORLD, EXIT_FINDING);
    _exit(EXIT_FINDING);
}

int must(int err)
{
    char where[SITE_TEXT], text[MPI_MAX_ERROR_STRING] = "";
    int n;

    if (!err) return err;
    for (int i = 0; i < 100; i++) {
        ring_poll();
        usleep(10000);
    }
    site_text(where, now_at);
    PMPI_Error_string(err, text, &n);
    fatal("%s (%s) failed: %s", now_name, where, text);
}

static int first_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    program_base = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const uintptr_t end = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr +
                              info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type == PT_LOAD && end > program_end) program_end = end;
    }
    return 1;  /* the first is the program */
}

void site_text(char text[SITE_TEXT], site at)
{
    char command[SITE_TEXT];
    FILE *p;

    if (at) snprintf(text, SITE_TEXT, "program+0x%llx", (unsigned long long)at);
    else snprintf(text, SITE_TEXT, "a library");
    if (!at) return;
    /* One byte back: inside the call, not after it. */
    snprintf(command, sizeof command, "LD_PRELOAD= addr2line -sfpe /proc/%d/exe 0x%llx 2>&-",
             (int)getpid(), (unsigned long long)at - 1);
    if (!(p = popen(command, "r"))) return;
    char line[SITE_TEXT];
    if (fgets(line, sizeof line, p) && line[0] != '?')
        snprintf(text, SITE_TEXT, "%.*s", (int)strcspn(line, "\n"), line);
    char *more = strstr(text, " (discriminator");
    if (more) *more = '\0';
    pclose(p);
}

void enter(const char *name, void *address)
{
    const uintptr_t a = (uintptr_t)address;
    const site at = a >= program_base && a < program_end ? a - program_base : 0;

    if (!running) return;
    if (!pthread_equal(owner, pthread_self())) {
        char where[SITE_TEXT];
        site_text(where, at);
        fatal("%s (%s) is called by another thread than the one that started MPI", name, where);
    }
    now_name = name;
    now_at = at;
    ring_poll();
}

const char *here_name(void) { return now_name; }
site here(void) { return now_at; }
int rank_of_world(void) { return self; }

void live_add(enum kind kind, uintptr_t handle, const void *variable, uint64_t ring)
{
    if (live_count == live_room) {
        live_room = live_room ? 2 * live_room : 64;
        live = realloc(live, (size_t)live_room * sizeof *live);
        if (!live) fatal("out of memory");
    }
    live[live_count++] = (struct live){ kind, handle, variable, ring, now_name, now_at };
}

static struct live *live_find(enum kind kind, uintptr_t handle, const void *variable)
{
    struct live *any = NULL;
    for (int i = live_count - 1; i >= 0; i--) {
        struct live *x = &live[i];
        if (x->kind != kind || x->handle != handle) continue;
        if (x->variable == variable) return x;
        if (!any) any = x;
    }
    return any;
}

uint64_t live_ring(uintptr_t handle, const void *variable)
{
    const struct live *x = live_find(REQUEST, handle, variable);
    return x ? x->ring : 0;
}

uint64_t live_remove(enum kind kind, uintptr_t handle, const void *variable)
{
    struct live *x = live_find(kind, handle, variable);
    if (!x) return 0;
    const uint64_t ring = x->ring;
    memmove(x, x + 1, (size_t)(live + live_count - (x + 1)) * sizeof *x);
    live_count--;
    return ring;
}

static void report_live(void)
{
    int listed[KINDS] = { 0 };

    for (int i = 0; i < live_count; i++) {
        const struct live *x = &live[i];
        char where[SITE_TEXT];
        if (listed[x->kind]++ >= LISTED) continue;
        site_text(where, x->made_at);
        finding("%s never released, made by %s (%s)", kind_names[x->kind], x->made_by, where);
    }
    for (int k = 0; k < KINDS; k++)
        if (listed[k] > LISTED)
            finding("%d more %ss never released", listed[k] - LISTED, kind_names[k]);
}

static void start(const char *name, void *address)
{
    owner = pthread_self();
    const int copy = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (copy >= 0) out = copy;
    dl_iterate_phdr(first_object, NULL);
    PMPI_Comm_rank(MPI_COMM_WORLD, &self);
    PMPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);  /* must() says it */
    running = 1;
    enter(name, address);
    ask_init();
    comm_add(MPI_COMM_WORLD);
    comm_add(MPI_COMM_SELF);
}

int MPI_Init(int *argc, char ***argv)
{
    const int err = PMPI_Init(argc, argv);
    if (!err) start("MPI_Init", __builtin_return_address(0));
    return err;
}

int MPI_Init_thread(int *argc, char ***argv, int required, int *provided)
{
    const int err = PMPI_Init_thread(argc, argv, required, provided);
    if (!err) start("MPI_Init_thread", __builtin_return_address(0));
    return err;
}

int MPI_Finalize(void)
{
    ENTER("MPI_Finalize");
    ring_post(comm_find(MPI_COMM_WORLD), MPI_DATATYPE_NULL, "%s", "");
    ring_settle(NULL);
    messages_check_all();
    report_live();
    running = 0;
    return PMPI_Finalize();
}

/* After everything that the program does at its exit. */
static void __attribute__((destructor)) verdict(void)
{
    if (!findings) return;
    fflush(NULL);
    _exit(EXIT_FINDING);
}
