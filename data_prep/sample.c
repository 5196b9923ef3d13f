/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/sample.h"

#include "src/base/hash.h"
#include "src/base/mem.h"

#define MOST (SAMPLE_BYTES / 8)  /* of one document */

struct text { char *p; int64_t n; uint64_t lot; };

/* A text is kept if its lot, a hash, is below a limit, which is halved whenever
 * too much was kept: what remains is the same as if the limit had been known. */
struct sample {
    struct text *texts;
    int64_t      count, room, bytes, seen, given;
    uint64_t     limit;
};

struct sample *sample_new(void)
{
    struct sample *s = mem_new(1, sizeof *s, "sample");
    s->limit = UINT64_MAX;
    return s;
}

void sample_free(struct sample *s)
{
    if (!s) return;
    for (int64_t i = 0; i < s->count; i++) mem_free(s->texts[i].p);
    mem_free(s->texts);
    mem_free(s);
}

static void thin_out(struct sample *s)
{
    int64_t kept = 0;
    s->limit /= 2;
    s->bytes = 0;
    for (int64_t i = 0; i < s->count; i++) {
        if (s->texts[i].lot >= s->limit) {
            mem_free(s->texts[i].p);
            continue;
        }
        s->texts[kept++] = s->texts[i];
        s->bytes += s->texts[i].n;
    }
    s->count = kept;
}

void sample_add(struct sample *s, char **text, int64_t n)
{
    const uint64_t lot = hash_bytes(*text, (size_t)n).lo;
    s->seen += n;
    if (lot >= s->limit) return;
    if (s->count == s->room) {
        s->room = 2 * s->room + 64;
        s->texts = mem_resize(s->texts, s->room, sizeof *s->texts, "sample");
    }
    if (n > MOST) {  /* its beginning, up to the end of a character */
        for (n = MOST; ((unsigned char)(*text)[n] & 0xc0) == 0x80;) n--;
        *text = mem_resize(*text, n, 1, "sample");
    }
    s->texts[s->count++] = (struct text){ *text, n, lot };
    s->bytes += n;
    *text = NULL;
    while (s->bytes > SAMPLE_BYTES) thin_out(s);
}

const char *sample_next(void *arg, int64_t *n)
{
    struct sample *s = arg;
    if (s->given == s->count) return NULL;
    *n = s->texts[s->given].n;
    return s->texts[s->given++].p;
}

int64_t sample_bytes(const struct sample *s) { return s->bytes; }
int64_t sample_seen(const struct sample *s) { return s->seen; }
