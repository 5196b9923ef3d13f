/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/origin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "data_prep/decoder.h"
#include "data_prep/format.h"
#include "data_prep/origin_memo.h"
#include "src/base/bytes.h"
#include "src/base/clock.h"
#include "src/base/human.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"

#define ROOM ((int64_t)1 << 20)
#define LONG_BYTES ((int64_t)4 << 30)  /* reading so much takes long enough for a word */

void origin_option(struct origin *o, const char *name, const char *format, ...)
{
    va_list ap;

    check(o->options < (int)(sizeof o->option / sizeof *o->option));
    va_start(ap, format);
    const int n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    char *value = mem_new(n + 1, 1, "option");
    va_start(ap, format);
    vsnprintf(value, (size_t)n + 1, format, ap);
    va_end(ap);
    o->option[o->options++] = (struct origin_option){ name, value };
}

void origin_done(struct origin *o)
{
    for (int i = 0; i < o->options; i++) mem_free(o->option[i].value);
    inputs_done(&o->in);
}

/* ---- contents */

/* The hash of a file's bytes; n [out].  returns 0 or errno */
static int read_content(struct hash *content, int64_t *n, const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) return errno;
    struct hasher *h = hasher_new();
    char *p = mem_new(ROOM, 1, "content of an input");
    ssize_t got;
    int error = 0;

    *n = 0;
    while ((got = read(fd, p, (size_t)ROOM)) != 0) {
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            error = errno;
            break;
        }
        hasher_add(h, p, (size_t)got);
        *n += got;
    }
    *content = hasher_get(h);
    close(fd);
    hasher_free(h);
    mem_free(p);
    return error;
}

/* Remove inputs that can't be read from the list, or fail. */
static int settle(struct inputs *in)
{
    int64_t kept = 0;

    for (int64_t i = 0; i < in->n; i++) {
        struct input *x = in->v + i;
        if (!x->error) {
            in->v[kept++] = *x;
            continue;
        }
        if (!in->skip_bad)
            return fail(x->error == ENOENT ? ERR_MISSING : ERR_IO,
                        "%s: can't read: %s (--skip-bad leaves it out)", x->path,
                        strerror(x->error));
        log_warn("%s: can't read: %s: skipped", x->path, strerror(x->error));
        inputs_leave(in, x->path, LEFT_UNREADABLE, (struct data_files){ 1, x->size });
        in->bytes -= x->size;
        mem_free(x->path);
        x->path = NULL;
    }
    in->n = kept;
    return kept ? OK : fail(ERR_IO, "none of the inputs can be read");
}

int origin_digest(struct origin *o, const char *dir, int threads)
{
    struct inputs *in = &o->in;
    const double start = clock_s();
    struct memo_of_inputs memo;
    char size[HUMAN_TEXT], took[HUMAN_TEXT];
    int64_t to_read = 0, grown = -1;

    o->began_ns = (int64_t)time(NULL) * 1000000000;
    origin_memo_read(&memo, dir);
    for (int64_t i = 0; i < in->n; i++) origin_memo_use(&memo, in->v + i, i);
    origin_memo_done(&memo);
    for (int64_t i = 0; i < in->n; i++) to_read += in->v[i].known ? 0 : in->v[i].size;
    if (to_read > LONG_BYTES)
        log_phase("inputs: reading %s once, to compute their hashes", human_bytes(size, to_read));
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int64_t i = 0; i < in->n; i++) {
        struct input *x = in->v + i;
        int64_t n = 0;
        if (x->known || x->size < 0) continue;  /* standard input can be read once only */
        x->error = read_content(&x->content, &n, x->path);
        x->known = !x->error;
#pragma omp critical(inputs_grown)
        if (x->known && n != x->size) grown = i;
    }
    if (grown >= 0)
        return fail(ERR_IO, "%s: its size changed while it was read: is it still being written?",
                    in->v[grown].path);
    if (to_read > LONG_BYTES)
        log_phase("inputs: done in %s", human_duration(took, clock_s() - start));
    return settle(in);
}

/* ---- hashes */

struct hash origin_options_hash(const struct origin *o)
{
    struct hasher *h = hasher_new();
    for (int i = 0; i < o->options; i++) {
        hasher_add(h, o->option[i].name, strlen(o->option[i].name) + 1);
        hasher_add(h, o->option[i].value, strlen(o->option[i].value) + 1);
    }
    const struct hash out = hasher_get(h);
    hasher_free(h);
    return out;
}

/* Format and compression, where an unknown one counts as zstd: the first two of each are numbered
 * as they were when there were no others. */
static uint64_t form_number(const struct input *x)
{
    const uint64_t d = x->decoder ? (uint64_t)decoder_number(x->decoder) : 1;
    if (!x->format) return (uint64_t)1 << 48;  /* token ids */
    return d / 2 << 32 | (2 * (uint64_t)format_number(x->format) + d % 2);
}

struct hash origin_inputs_hash(const struct origin *o)
{
    struct hasher *h = hasher_new();
    for (int64_t i = 0; i < o->in.n; i++) {
        const struct input *x = o->in.v + i;
        unsigned char p[32];
        put_u64(p, form_number(x));
        put_u64(p + 8, (uint64_t)x->size);
        hash_store(p + 16, x->content);
        hasher_add(h, p, sizeof p);
    }
    const struct hash out = hasher_get(h);
    hasher_free(h);
    return out;
}

/* ---- differences */

static const struct input *find(const struct input *v, int64_t n, const char *path)
{
    for (int64_t i = 0; i < n; i++)
        if (!strcmp(v[i].path, path)) return v + i;
    return NULL;
}

static int same(const struct input *a, const struct input *b)
{
    return a->format == b->format && a->decoder == b->decoder && a->size == b->size &&
           hash_equal(a->content, b->content);
}

static char *other_file(const struct input *then, const struct input *now)
{
    if (then->size != now->size)
        return mem_format("%s had %lld bytes, and now has %lld", now->path, (long long)then->size,
                          (long long)now->size);
    if (then->format != now->format || then->decoder != now->decoder)
        return mem_format("%s is read in another format", now->path);
    return mem_format("%s has the same size, but other content", now->path);
}

/* The first input that differs, by its name then and now. */
static char *other_inputs(const struct memo_of_inputs *then, const struct inputs *now)
{
    for (int64_t i = 0; i < then->n || i < now->n; i++) {
        const struct input *a = i < then->n ? then->v + i : NULL;
        const struct input *b = i < now->n ? now->v + i : NULL;
        if (a && b && same(a, b)) continue;
        if (a && b && !strcmp(a->path, b->path)) return other_file(a, b);
        if (a && !find(now->v, now->n, a->path))
            return mem_format("%s was an input, but is not among the inputs now", a->path);
        if (b && !find(then->v, then->n, b->path))
            return mem_format("%s was not among the inputs", b->path);
        return mem_format("the order of the inputs differs: %s was number %lld",
                          (a ? a : b)->path, (long long)i + 1);
    }
    return NULL;
}

char *origin_difference(const struct origin *o, const char *dir)
{
    struct memo_of_inputs then;
    struct inputs now = { .n = o->in.n };
    char *found = NULL;

    now.v = mem_new(now.n, sizeof *now.v, "inputs");
    for (int64_t i = 0; i < now.n; i++) {
        now.v[i] = o->in.v[i];
        now.v[i].path = text_visible_copy(o->in.v[i].path);  /* as in the memo */
    }
    origin_memo_read(&then, dir);
    for (int i = 0; i < then.options && i < o->options && !found; i++) {
        const struct origin_option *a = then.option + i, *b = o->option + i;
        if (!strcmp(a->name, b->name) && strcmp(a->value, b->value) != 0)
            found = mem_format("%s was %s, and is %s now", a->name, a->value, b->value);
    }
    if (!found && then.n) found = other_inputs(&then, &now);
    origin_memo_done(&then);
    inputs_done(&now);
    return found;
}
