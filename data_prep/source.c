/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/source.h"

#include "data_prep/decoder.h"
#include "data_prep/raw.h"
#include "src/base/mem.h"
#include "src/base/status.h"

struct source {
    struct raw            raw;
    const struct decoder *decoder;
    void                 *state;   /* of the decoder                            */
    int64_t               given;   /* bytes of content, since the beginning     */
    char                 *why;     /* NULL, or how the content is damaged       */
};

/* Decode what comes before byte `offset`, and drop it. */
static int skip(struct source *s, int64_t offset)
{
    char *waste = mem_new(RAW_ROOM, 1, "skipped input");
    int64_t got = 1;
    int rc = OK;

    while (offset > 0 && got > 0) {
        TRY(source_read(s, waste, offset < RAW_ROOM ? offset : RAW_ROOM, &got));
        offset -= got;
    }
out:
    mem_free(waste);
    return rc;
}

int source_open(struct source **out, const struct input *in, int64_t offset)
{
    struct source *s = mem_new(1, sizeof *s, "input");
    int rc = OK;

    *out = s;
    TRY(raw_open(&s->raw, in->path));
    s->decoder = in->decoder;
    if (!s->decoder) {
        TRY(raw_fill(&s->raw, DECODER_LOOK));
        s->decoder = decoder_of_content(s->raw.bytes, s->raw.end);
    }
    TRY(s->decoder->open(&s->state, &s->raw));
    if (offset > 0 && s->decoder->seek) {
        TRY(s->decoder->seek(s->state, offset));
        s->given = offset;
    } else TRY(skip(s, offset));
out:
    return rc;
}

void source_close(struct source *s)
{
    if (!s) return;
    if (s->decoder) s->decoder->close(s->state);
    raw_close(&s->raw);
    mem_free(s->why);
    mem_free(s);
}

int source_read(struct source *s, char *out, int64_t room, int64_t *got)
{
    *got = 0;
    if (s->why) return ERR_DATA;
    const int rc = s->decoder->read(s->state, out, room, got, &s->why);
    s->given += *got;
    return rc;
}

const char *source_why(const struct source *s) { return s->why; }
int64_t source_taken(const struct source *s) { return s->raw.taken; }
int64_t source_left(const struct source *s) { return s->decoder->left(s->state, s->given); }
