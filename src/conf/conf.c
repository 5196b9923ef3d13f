/* SPDX-License-Identifier: Apache-2.0 */
#include "src/conf/conf.h"

#include <string.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/conf/conf_reader.h"

/* Override number i, "key.path=value", counted from 0. */
static void override(struct conf_reader *r, const char *set, int i)
{
    const char *equals = strchr(set, '=');
    struct conf_place at = { "--set", (size_t)i + 1, 1 };
    char path[64], found[64];

    if (!equals || equals == set || (size_t)(equals - set) >= sizeof path) {
        conf_short(found, set);
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
    /* Nothing after the sign is the empty text, not YAML's null. */
    const int plain = equals[1] != '\0' || !conf_is_text(&r->schema->keys[key]);
    conf_reset_key(r, key);
    if (conf_is_list(&r->schema->keys[key]) && equals[1] == '[')
        conf_yaml_list(r, key, equals + 1, at);
    else conf_give(r, key, equals + 1, plain, at);
}

/* What is read into which struct, and what follows it. */
struct conf_source {
    const struct conf_schema *schema;
    void                     *values;
    enum conf_origin          origin;
    char *const              *sets;        /* overrides               */
    int                       n_sets;
    const struct conf_models *models;      /* NULL: none is looked at */
    void                    (*between)(struct conf_reader *r);  /* checks of keys; NULL: none */
};

static int parse(const struct conf_source *in, const char *text, size_t n, const char *name)
{
    const struct conf_schema *s = in->schema;
    struct conf_reader r = { .schema = s, .values = in->values, .name = name,
                             .origin = in->origin, .models = in->models };

    check(s->count <= CONF_MAX_KEYS);
    memset(in->values, 0, s->size);
    for (int i = 0; i < s->count; i++) {
        const struct conf_key *k = &s->keys[i];
        if (k->preset) check(conf_store(in->values, k, k->preset, !conf_is_text(k)));
    }
    if (n > CONF_MAX_FILE)
        return fail(ERR_CONFIG, "%s:1:1: expected at most %zu bytes, found %zu", name, CONF_MAX_FILE,
                    n);
    if (conf_readable(&r, name, &text, &n)) conf_yaml(&r, name, text, n);
    else r.stopped = 1;
    for (int i = 0; i < in->n_sets; i++) override(&r, in->sets[i], i);
    if (!r.stopped && in->between) in->between(&r);
    if (r.errors > r.printed) fail(ERR_CONFIG, "%s: %d more errors", name, r.errors - r.printed);
    conf_bases_done(&r);
    return r.rc != OK ? r.rc : r.errors ? ERR_CONFIG : OK;
}

static int read_file(const struct conf_source *in, const char *file)
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
    TRY(parse(in, text, n, file));
out:
    file_close(fd);
    mem_free(text);
    return rc;
}

int schema_parse(const struct conf_schema *s, void *values, const char *text, size_t n,
                 const char *name, char *const *sets, int n_sets)
{
    const struct conf_source in = { .schema = s, .values = values, .origin = FROM_TEXT,
                                    .sets = sets, .n_sets = n_sets };
    return parse(&in, text, n, name);
}

int schema_read(const struct conf_schema *s, void *values, const char *file, char *const *sets,
                int n_sets)
{
    const struct conf_source in = { .schema = s, .values = values, .origin = FROM_FILE,
                                    .sets = sets, .n_sets = n_sets };
    return read_file(&in, file);
}

/* The configuration of a run. */
static struct conf_source of_run(struct conf *c, enum conf_origin origin)
{
    return (struct conf_source){ .schema = &conf_run, .values = c, .origin = origin,
                                 .between = conf_check };
}

int conf_parse(struct conf *c, const char *text, size_t n, const char *name, char *const *sets,
               int n_sets, const struct conf_models *models)
{
    struct conf_source in = of_run(c, FROM_TEXT);
    in.sets = sets;
    in.n_sets = n_sets;
    in.models = models;
    return parse(&in, text, n, name);
}

int conf_read(struct conf *c, const char *file, char *const *sets, int n_sets,
              const struct conf_models *models)
{
    struct conf_source in = of_run(c, FROM_FILE);
    in.sets = sets;
    in.n_sets = n_sets;
    in.models = models;
    return read_file(&in, file);
}

int conf_read_stored(struct conf *c, const char *file)
{
    const struct conf_source in = of_run(c, FROM_RUN);
    return read_file(&in, file);
}

int conf_parse_stored(struct conf *c, const char *text, const char *name)
{
    const struct conf_source in = of_run(c, FROM_RUN);
    return parse(&in, text, strlen(text), name);
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
