#include "data_prep/report.h"

#include "src/base/human.h"
#include "src/base/log.h"
#include "src/base/mem.h"

void report_hidden(struct unspelled *first, struct set *s, const struct doc *d)
{
    for (int64_t i = 0; i < d->chunk_n; i++) {
        const struct hidden *h = &d->chunks[i].hidden;
        if (h->tokens == 0) continue;
        set_hidden(s, h->tokens, h->bytes);
        if (first->where) continue;
        first->where = mem_format("%s:%lld", d->r.input->path, (long long)d->r.line);
        hidden_text(first->text, d->r.raw, h);
    }
}

void report_unk(const struct set *s, const struct unspelled *first)
{
    const int64_t tokens = set_hidden_tokens(s), bytes = set_hidden_bytes(s);
    char size[HUMAN_TEXT], *example = NULL;

    if (tokens == 0) return;
    if (first->where) example = mem_format(", first '%s' (%s)", first->text, first->where);
    log_warn("%s: the tokenizer can't spell %s of the text, %.3g %%%s: %lld tokens, %.3g %%, are "
             "<unk>, and bits per byte is left out in evaluations; a tokenizer with byte fallback "
             "spells all text (--train-tokenizer makes one)", set_dir(s), human_bytes(size, bytes),
             100.0 * (double)bytes / (double)set_text_bytes(s), example ? example : "",
             (long long)tokens, 100.0 * (double)tokens / (double)set_tokens(s));
    mem_free(example);
}
