/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/slurm_ask.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "jobs/tool.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#define ANSWER ((size_t)1 << 22)   /* bytes: some 40,000 jobs */
#define DIGITS "0123456789"

static const struct { const char *word; enum slurm_state state; } words[] = {
    { "PENDING", SLURM_PENDING }, { "REQUEUED", SLURM_PENDING }, { "REQUEUE_HOLD", SLURM_PENDING },
    { "REQUEUE_FED", SLURM_PENDING }, { "SPECIAL_EXIT", SLURM_PENDING },
    { "RESV_DEL_HOLD", SLURM_PENDING }, { "CONFIGURING", SLURM_PENDING },
    { "POWER_UP_NODE", SLURM_PENDING }, { "EXPEDITING", SLURM_PENDING },
    { "RUNNING", SLURM_RUNNING }, { "RESIZING", SLURM_RUNNING }, { "SIGNALING", SLURM_RUNNING },
    { "SUSPENDED", SLURM_SUSPENDED }, { "STOPPED", SLURM_SUSPENDED },
    { "COMPLETING", SLURM_ENDING }, { "STAGE_OUT", SLURM_ENDING },
    { "COMPLETED", SLURM_COMPLETED }, { "FAILED", SLURM_FAILED }, { "CANCELLED", SLURM_CANCELLED },
    { "TIMEOUT", SLURM_TIMEOUT }, { "OUT_OF_MEMORY", SLURM_OUT_OF_MEMORY },
    { "NODE_FAIL", SLURM_NODE_FAIL }, { "PREEMPTED", SLURM_PREEMPTED },
    { "BOOT_FAIL", SLURM_BOOT_FAIL }, { "DEADLINE", SLURM_DEADLINE },
};

int slurm_is_id(const char *text)
{
    const size_t n = strspn(text, DIGITS);
    if (!n || n > 10) return 0;
    if (text[n] != '_') return !text[n];
    const size_t m = strspn(text + n + 1, DIGITS);
    return m > 0 && m <= 10 && !text[n + 1 + m];
}

int slurm_is_alive(enum slurm_state s) { return s >= SLURM_PENDING && s <= SLURM_ENDING; }

/* --- one line -------------------------------------------------------------------- */

/* "PENDING", "CANCELLED by 1000", and "OUT_OF_ME+" where a column was too narrow. */
static enum slurm_state state_of(const char *text)
{
    const size_t n = strcspn(text, " +");

    for (size_t i = 0; i < sizeof words / sizeof *words && n; i++)
        if (!strncmp(words[i].word, text, n) && (text[n] == '+' || !words[i].word[n]))
            return words[i].state;
    return SLURM_UNKNOWN;
}

/* Is index k in "[0-7,9%2]", waiting members of an array that squeue lists as one? */
static int has_index(const char *list, long k)
{
    for (list++; *list >= '0' && *list <= '9';) {
        char *end;
        const long lo = strtol(list, &end, 10), hi = *end == '-' ? strtol(end + 1, &end, 10) : lo;
        if (k >= lo && k <= hi) return 1;
        if (*end != ',') break;
        list = end + 1;
    }
    return 0;
}

/* Is it the job that SLURM calls `number` alone, and `name` as one of an array?  The number of an
 * array is that of one of its tasks, too, and of all that still wait. */
static int is_job(const char *id, const char *number, const char *name, enum slurm_state state)
{
    if (!strcmp(id, name)) return 1;
    const size_t n = strcspn(id, "_");
    if (!id[n])
        return !strcmp(id, number) &&
               !(state == SLURM_PENDING && !strncmp(name, id, n) && name[n] == '_');
    return !strncmp(id, name, n + 1) && name[n + 1] == '[' &&
           has_index(name + n + 1, atol(id + n + 1));
}

/* "2026-11-29T22:30:00" of this machine's clock; else NAN ("N/A"). */
static double time_of(const char *text)
{
    struct tm tm = { .tm_isdst = -1 };
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    return end && !*end ? (double)mktime(&tm) : NAN;
}

static void put(struct slurm_fact *f, const char *word, const char *why)
{
    f->state = state_of(word);
    snprintf(f->word, sizeof f->word, "%s", word);
    if (f->state != SLURM_UNKNOWN) snprintf(f->why, sizeof f->why, "%s", why);
    else snprintf(f->why, sizeof f->why, "a state that is not known here: %s", word);
}

/* Cut a line at '|' into n fields, the last is the rest.  returns 1 if it has so many, and begins
 * with a number and the name of a job. */
static int cut(char *field[], int n, char *line)
{
    for (int i = 0; i < n; i++) {
        field[i] = i < n - 1 ? strsep(&line, "|") : line;
        if (!field[i]) return 0;
    }
    return field[0][0] && strspn(field[0], DIGITS) == strlen(field[0]) &&
           strspn(field[1], DIGITS) > 0 && field[2][0];
}

static int refuse(char odd[64], const char *line)
{
    snprintf(odd, 64, "%.63s", line);
    return 0;
}

/* Parse a copy of the line, because a refused line is shown whole. */
static int next_line(char line[512], char **text)
{
    for (char *p; (p = strsep(text, "\n")) != NULL;) {
        p[strcspn(p, "\r")] = '\0';
        if (!p[0]) continue;
        snprintf(line, 512, "%s", p);
        return 1;
    }
    return 0;
}

int slurm_read_queue(struct slurm_fact *f, int n, char *text, char odd[64])
{
    char line[512], copy[512], *field[5];

    while (next_line(line, &text)) {
        memcpy(copy, line, sizeof copy);
        if (!cut(field, 5, copy)) return refuse(odd, line);
        for (int i = 0; i < n; i++) {
            if (!f[i].id[0] || !is_job(f[i].id, field[0], field[1], state_of(field[2]))) continue;
            const char *why = field[4];
            put(&f[i], field[2], strcmp(why, "None") && strcmp(why, "(null)") ? why : "");
            f[i].began = time_of(field[3]);
        }
    }
    return 1;
}

int slurm_read_history(struct slurm_fact *f, int n, char *text, char odd[64])
{
    char line[512], copy[512], why[64], *field[4];

    while (next_line(line, &text)) {
        memcpy(copy, line, sizeof copy);
        if (!cut(field, 4, copy)) return refuse(odd, line);
        const enum slurm_state state = state_of(field[2]);
        char *colon;
        const long code = strtol(field[3], &colon, 10);
        const long sig = *colon == ':' ? strtol(colon + 1, NULL, 10) : 0;
        if (code) snprintf(why, sizeof why, "exit code %ld", code);
        else if (sig) snprintf(why, sizeof why, "signal %ld", sig);
        else why[0] = '\0';
        for (int i = 0; i < n; i++) {
            /* A job that has left the queue has ended, even if sacct does not know it yet. */
            if (f[i].state == SLURM_GONE && state <= SLURM_GONE) continue;
            if (f[i].id[0] && (f[i].state == SLURM_GONE || f[i].state == SLURM_UNKNOWN) &&
                is_job(f[i].id, field[0], field[1], state))
                put(&f[i], field[2], why);
        }
    }
    return 1;
}

/* --- asking ---------------------------------------------------------------------- */

static int is_open(const struct slurm_fact *f)
{
    return f->id[0] && (f->state == SLURM_GONE || f->state == SLURM_UNKNOWN);
}

/* Numbers of the jobs that are gone or unknown, of arrays as a whole, each once: "--jobs=1,2"; a
 * counted string, NULL: none.  one [out]: there is only one. */
static char *job_list(const struct slurm_fact *f, int n, int *one)
{
    char *list = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&list, &bytes);
    int count = 0;

    check(out);
    fputs("--jobs=", out);
    for (int i = 0; i < n; i++) {
        const size_t len = strcspn(f[i].id, "_");
        int known = !is_open(&f[i]);
        for (int j = 0; j < i && !known; j++)
            known = is_open(&f[j]) && strcspn(f[j].id, "_") == len && !memcmp(f[i].id, f[j].id, len);
        if (!known) fprintf(out, "%s%.*s", count++ ? "," : "", (int)len, f[i].id);
    }
    if (fclose(out) != 0) leave(fail(ERR_MEMORY, "out of memory: list of jobs"));
    char *counted = count ? mem_string(list) : NULL;
    free(list);
    if (one) *one = count == 1;
    return counted;
}

static void no_answer(struct slurm_fact *f, int n, const char *why)
{
    for (int i = 0; i < n; i++) {
        if (!f[i].id[0] || f[i].state != SLURM_GONE) continue;
        f[i].state = SLURM_UNKNOWN;
        snprintf(f[i].why, sizeof f[i].why, "squeue: %.200s", why);
    }
}

void slurm_ask(struct slurm_fact *f, int n)
{
    char why[TOOL_WHY], odd[64], said[96];
    int one;

    for (int i = 0; i < n; i++) {
        f[i].began = NAN;
        f[i].word[0] = f[i].why[0] = '\0';
        if (!slurm_is_id(f[i].id)) f[i].id[0] = '\0';
        f[i].state = f[i].id[0] ? SLURM_GONE : SLURM_NONE;
    }
    char *list = job_list(f, n, &one);
    if (!list) return;
    char *text = mem_new(ANSWER, 1, "answer of squeue");
    const int code = tool_ask(text, ANSWER, why, (char *const[]){
        "squeue", "--noheader", "--all", "--array", "--states=all", "--format=%A|%i|%T|%S|%r", list,
        NULL });
    /* squeue fails if it is asked about a single job that no longer exists. */
    if (code != 0 && !(one && code > 0 && strstr(why, "Invalid job id"))) no_answer(f, n, why);
    else if (code == 0 && !slurm_read_queue(f, n, text, odd)) {
        snprintf(said, sizeof said, "it answered '%s'", odd);
        no_answer(f, n, said);
    }
    mem_free(text);
    mem_free(list);
}

void slurm_ask_history(struct slurm_fact *f, int n)
{
    char why[TOOL_WHY], odd[64], *list = job_list(f, n, NULL);

    if (!list) return;
    char *text = mem_new(ANSWER, 1, "answer of sacct");
    const int code = tool_ask(text, ANSWER, why, (char *const[]){
        "sacct", "--noheader", "--parsable2", "--allocations",
        "--format=JobIDRaw,JobID,State,ExitCode", list, NULL });
    if (code == 0) slurm_read_history(f, n, text, odd);
    mem_free(text);
    mem_free(list);
}
