#include "src/conf/conf.h"

#include <stdarg.h>
#include <string.h>

#include "src/base/encoding.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"
#include "src/base/utf8.h"
#include "src/conf/conf_reader.h"

#define MAX_ERRORS 50  /* said; the rest is counted */

__attribute__((format(printf, 4, 0)))
static void complain(struct reader *r, struct place at, const char *key, const char *format,
                     va_list ap)
{
    char what[1024];

    if (r->errors++ >= MAX_ERRORS && !r->stopped) return;
    r->said++;
    vsnprintf(what, sizeof what, format, ap);
    fail(ERR_CONFIG, "%s:%zu:%zu: %s%s%s", at.file, at.line, at.column, key ? key : "",
         key ? ": " : "", what);
}

void conf_complain(struct reader *r, struct place at, const char *key, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    complain(r, at, key, format, ap);
    va_end(ap);
}

void conf_refuse(struct reader *r, const char *path, const char *format, ...)
{
    const int i = conf_find(r->schema, path);
    const struct place top = { r->name, 1, 1 };
    va_list ap;

    check(i >= 0);
    if (r->bad[i]) return;
    va_start(ap, format);
    complain(r, r->where[i].line ? r->where[i] : top, path, format, ap);
    va_end(ap);
    r->bad[i] = 1;
}

void conf_unknown(struct reader *r, struct place at, const char *path)
{
    const struct conf_schema *s = r->schema;
    const char *dot = strrchr(path, '.'), *leaf = dot ? dot + 1 : path;
    struct nearest n = { .to = path };

    if (r->errors < MAX_ERRORS)  /* else it is only counted */
        for (int i = 0; i < s->count; i++) nearest_try(&n, s->keys[i].path);
    for (int i = s->count - 1; i >= 0; i--)  /* right name, wrong section */
        if (!strcmp(strrchr(s->keys[i].path, '.') + 1, leaf)) n.best = s->keys[i].path;
    conf_complain(r, at, path, "expected a known key, found an unknown one%s%s%s",
                  n.best ? " (did you mean " : "; ", n.best ? n.best : s->lists,
                  n.best ? "?)" : " lists them");
}

/* The value as it can be shown: short. */
static void presentable(char out[64], const char *text)
{
    int n = 0;
    for (; *text && n < 50; text++) out[n++] = *text;
    while (n > 0 && *text && (*text & 0xc0) == 0x80) n--, text--;  /* no half character */
    strcpy(out + n, *text ? "..." : "");
}

void conf_forget(struct reader *r, int i)
{
    const struct conf_key *k = &r->schema->keys[i];
    if (conf_is_list(k)) memset(conf_at(r->values, k), 0, k->size);
}

void conf_give(struct reader *r, int i, const char *text, int plain, struct place at)
{
    const struct conf_key *k = &r->schema->keys[i];
    char expected[256], found[64], entry[32] = "";

    r->where[i] = at;
    r->bad[i] = !conf_store(r->values, k, text, plain);
    if (!r->bad[i]) return;
    conf_expected(expected, sizeof expected, k);
    presentable(found, text);
    if (plain && !*text) {
        conf_complain(r, at, k->path, "expected %s, found nothing", expected);
        return;
    }
    struct nearest n = { .to = text };
    if (k->type == CONF_ENUM)
        for (int j = 0; k->names[j]; j++) nearest_try(&n, k->names[j]);
    if (k->type == CONF_LAYER)
        for (int j = 0; conf_layer(j); j++) nearest_try(&n, conf_layer(j));
    const char *mark = plain ? "'" : "\"";
    if (k->type == CONF_LAYER && r->entry)
        snprintf(entry, sizeof entry, " in entry %d of the list", r->entry);
    conf_complain(r, at, k->path, "expected %s, found %s%s%s%s%s%s%s", expected, mark, found, mark,
                  entry, n.best ? " (did you mean " : "", n.best ? n.best : "", n.best ? "?)" : "");
}

/* Override number i, "key.path=value", counted from 0. */
static void override(struct reader *r, const char *set, int i)
{
    const char *equals = strchr(set, '=');
    struct place at = { "--set", (size_t)i + 1, 1 };
    char path[64], found[64];

    if (!equals || equals == set || (size_t)(equals - set) >= sizeof path) {
        presentable(found, set);
        conf_complain(r, at, NULL, "expected key.path=value, found '%s'", found);
        return;
    }
    snprintf(path, sizeof path, "%.*s", (int)(equals - set), set);
    const int key = conf_find(r->schema, path);
    if (key < 0) {
        conf_unknown(r, at, path);
        return;
    }
    at.column = (size_t)(equals - set) + 2;
    /* Nothing behind the sign is the empty text, not YAML's null. */
    const int plain = equals[1] != '\0' || !conf_is_text(&r->schema->keys[key]);
    conf_forget(r, key);
    if (conf_is_list(&r->schema->keys[key]) && equals[1] == '[')
        conf_yaml_list(r, key, equals + 1, at);
    else conf_give(r, key, equals + 1, plain, at);
}

/* Text must be UTF-8 without control characters: libyaml would guess UTF-16,
 * and a zero byte would end a string early.  It would also take a byte order
 * mark for a column, so that the second key does not stand below the first. */
int conf_readable(struct reader *r, const char *name, const char **begin, size_t *bytes)
{
    const size_t mark = (size_t)utf8_mark(*begin, (int64_t)*bytes);
    const char *text = *begin += mark;
    const size_t n = *bytes -= mark, good = (size_t)utf8_valid(text, (int64_t)n);
    const struct encoding *e = encoding_of(text, (int64_t)n);
    struct place at = { name, 1, 1 };

    if (e) {
        char *found = encoding_sentence(e, 0);
        conf_complain(r, at, NULL, "expected UTF-8, %s", found);
        mem_free(found);
        return 0;
    }
    for (size_t i = 0; i < good; i++) {
        const unsigned char b = (unsigned char)text[i];
        if (b == '\n') {
            at.line++;
            at.column = 1;
            continue;
        }
        if ((b < 0x20 && b != '\t' && b != '\r') || b == 0x7f) {
            conf_complain(r, at, NULL, "expected text, found the control character 0x%02x", b);
            return 0;
        }
        at.column += (b & 0xc0) != 0x80;
    }
    if (good == n) return 1;
    e = encoding_guess(text, (int64_t)n, (int64_t)good);
    char *found = e ? encoding_sentence(e, 0) : mem_string("");
    conf_complain(r, at, NULL, "expected UTF-8, found the byte 0x%02x%s%s",
                  (unsigned char)text[good], e ? "; " : "", found);
    mem_free(found);
    return 0;
}

static int parse(const struct conf_schema *s, void *values, const char *text, size_t n,
                 const char *name, enum source source, char *const *sets, int n_sets,
                 const struct conf_models *models)
{
    struct reader r = { .schema = s, .values = values, .name = name, .source = source,
                        .models = models };

    check(s->count <= CONF_MAX_KEYS);
    memset(values, 0, s->size);
    for (int i = 0; i < s->count; i++) {
        const struct conf_key *k = &s->keys[i];
        if (k->preset) check(conf_store(values, k, k->preset, !conf_is_text(k)));
    }
    if (n > CONF_MAX_FILE)
        return fail(ERR_CONFIG, "%s:1:1: expected at most %zu bytes, found %zu", name, CONF_MAX_FILE,
                    n);
    if (conf_readable(&r, name, &text, &n)) conf_yaml(&r, name, text, n);
    else r.stopped = 1;
    for (int i = 0; i < n_sets; i++) override(&r, sets[i], i);
    if (!r.stopped && s->between) s->between(&r);
    if (r.errors > r.said) fail(ERR_CONFIG, "%s: %d more errors", name, r.errors - r.said);
    conf_bases_done(&r);
    return r.rc != OK ? r.rc : r.errors ? ERR_CONFIG : OK;
}

int schema_parse(const struct conf_schema *s, void *values, const char *text, size_t n,
                 const char *name, char *const *sets, int n_sets)
{
    return parse(s, values, text, n, name, FROM_TEXT, sets, n_sets, NULL);
}

static int read_file(const struct conf_schema *s, void *values, const char *file,
                     enum source source, char *const *sets, int n_sets,
                     const struct conf_models *models)
{
    char *text = NULL;
    size_t n = 0;
    int64_t size = 0;
    int fd = -1, rc = OK;

    TRY(file_open(&fd, &size, file));
    if (size > (int64_t)CONF_MAX_FILE)
        TRY(fail(ERR_CONFIG, "%s:1:1: expected at most %zu bytes, found %lld", file, CONF_MAX_FILE,
                 (long long)size));
    TRY(file_slurp(&text, &n, file, CONF_MAX_FILE));
    TRY(parse(s, values, text, n, file, source, sets, n_sets, models));
out:
    file_close(fd);
    mem_free(text);
    return rc;
}

int schema_read(const struct conf_schema *s, void *values, const char *file, char *const *sets,
                int n_sets)
{
    return read_file(s, values, file, FROM_FILE, sets, n_sets, NULL);
}

int conf_parse(struct conf *c, const char *text, size_t n, const char *name, char *const *sets,
               int n_sets, const struct conf_models *models)
{
    return parse(&conf_run, c, text, n, name, FROM_TEXT, sets, n_sets, models);
}

int conf_read(struct conf *c, const char *file, char *const *sets, int n_sets,
              const struct conf_models *models)
{
    return read_file(&conf_run, c, file, FROM_FILE, sets, n_sets, models);
}

int conf_read_stored(struct conf *c, const char *file)
{
    return read_file(&conf_run, c, file, FROM_RUN, NULL, 0, NULL);
}

int conf_parse_stored(struct conf *c, const char *text, const char *name)
{
    return parse(&conf_run, c, text, strlen(text), name, FROM_RUN, NULL, 0, NULL);
}

void conf_pass(const struct conf *c, struct pass_opts *o, int bos)
{
    *o = (struct pass_opts){
        .context = c->train.context,
        .slice_tokens = c->train.slice_tokens,
        .micro_batch = c->train.micro_batch,
        .inner_group = c->train.inner_group,
        .remat = (enum remat)c->train.remat,
        .sequence_mode = (enum sequence_mode)c->train.sequence_mode,
        .mask_token = c->data.mask_bos ? bos : -1,
        .bf16 = c->train.precision == PRECISION_BF16,
        .bf16_moments = c->optim.state == MOMENTS_BF16,
    };
}

void conf_optim(const struct conf *c, struct optim_opts *o) { *o = c->optim; }
