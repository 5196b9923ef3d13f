/* SPDX-License-Identifier: Apache-2.0 */
#include "src/data/token_hf.h"

#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/data/spm_json.h"
#include "src/data/token.h"

#define KIND "ttt_tokenizer"  /* key of tokenizer_config.json */

/* --- bytes ------------------------------------------------------------------------ */

/* A byte-pair encoding that knows no character falls back to the bytes of each character. */
static json_t *bytes_json(const struct tokenizer *t)
{
    json_t *vocab = json_object(), *added = json_array();
    const struct { const char *name; int id; } symbols[] = { { "<s>", tokenizer_bos(t) },
                                                             { "</s>", tokenizer_eos(t) } };
    char name[8];

    for (int b = 0; b < 256; b++) {
        snprintf(name, sizeof name, "<0x%02X>", b);
        json_object_set_new(vocab, name, json_integer(b));
    }
    for (int i = 0; i < 2; i++) {
        json_t *token = spm_json_added(symbols[i].name, strlen(symbols[i].name), 1);
        json_object_set_new(token, "id", json_integer(symbols[i].id));
        json_array_append_new(added, token);
        json_object_set_new(vocab, symbols[i].name, json_integer(symbols[i].id));
    }
    return json_pack("{s:s, s:n, s:n, s:o, s:n, s:n, s:n, s:{s:s, s:[{s:s}, {s:s}]},"
                     " s:{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:b, s:o, s:[]}}",
                     "version", "1.0", "truncation", "padding", "added_tokens", added, "normalizer",
                     "pre_tokenizer", "post_processor", "decoder", "type", "Sequence", "decoders",
                     "type", "ByteFallback", "type", "Fuse", "model", "type", "BPE", "dropout",
                     "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 0,
                     "byte_fallback", 1, "ignore_merges", 0, "vocab", vocab, "merges");
}

/* --- both ------------------------------------------------------------------------- */

/* The name of a special token, or NULL. */
static json_t *name_of(const struct tokenizer *t, int id)
{
    const struct spm_model *m = tokenizer_model(t);

    if (id < 0) return NULL;
    if (m) return json_stringn(m->pieces[id].text, (size_t)m->pieces[id].length);
    return json_string(id == tokenizer_bos(t) ? "<s>" : "</s>");
}

/* Put <s> before every text, as documents and prompts begin in this program. */
static json_t *post_processor(const struct tokenizer *t)
{
    json_t *name = name_of(t, tokenizer_bos(t)), *special = json_object();
    const char *bos = json_string_value(name);

    json_object_set_new(special, bos, json_pack("{s:s, s:[i], s:[s]}", "id", bos, "ids",
                                                tokenizer_bos(t), "tokens", bos));
    json_t *result = json_pack(
        "{s:s, s:[{s:{s:s, s:i}}, {s:{s:s, s:i}}],"
        " s:[{s:{s:s, s:i}}, {s:{s:s, s:i}}, {s:{s:s, s:i}}, {s:{s:s, s:i}}], s:o}",
        "type", "TemplateProcessing",
        "single", "SpecialToken", "id", bos, "type_id", 0, "Sequence", "id", "A", "type_id", 0,
        "pair", "SpecialToken", "id", bos, "type_id", 0, "Sequence", "id", "A", "type_id", 0,
        "SpecialToken", "id", bos, "type_id", 1, "Sequence", "id", "B", "type_id", 1,
        "special_tokens", special);
    json_decref(name);
    return result;
}

/* added_tokens_decoder: the added tokens by their ids.  Without tokenizer.json the special ones. */
static json_t *by_id(const struct tokenizer *t, const json_t *tokenizer)
{
    const json_t *added = json_object_get(tokenizer, "added_tokens");
    const int ids[] = { tokenizer_unk(t), tokenizer_bos(t), tokenizer_eos(t), tokenizer_pad(t) };
    json_t *result = json_object();
    char key[16];

    for (size_t i = 0; i < json_array_size(added); i++) {
        json_t *token = json_copy(json_array_get(added, i));
        snprintf(key, sizeof key, "%lld",
                 (long long)json_integer_value(json_object_get(token, "id")));
        json_object_del(token, "id");
        json_object_set_new(result, key, token);
    }
    for (int i = 0; !tokenizer && i < 4; i++) {
        json_t *name = name_of(t, ids[i]);
        if (!name) continue;
        snprintf(key, sizeof key, "%d", ids[i]);
        json_object_set_new(result, key, spm_json_added(json_string_value(name),
                                                        json_string_length(name), 1));
        json_decref(name);
    }
    return result;
}

void token_hf_make(struct token_hf *out, const struct tokenizer *t, int context)
{
    const struct spm_model *m = tokenizer_model(t);
    const struct { const char *key; int id; } special[] = {
        { "bos_token", tokenizer_bos(t) }, { "eos_token", tokenizer_eos(t) },
        { "pad_token", tokenizer_pad(t) }, { "unk_token", tokenizer_unk(t) },
    };

    *out = (struct token_hf){ .special = json_object() };
    out->tokenizer = m ? spm_json(m, &out->doubt) : bytes_json(t);
    if (out->tokenizer) json_object_set_new(out->tokenizer, "post_processor", post_processor(t));
    out->config = json_pack("{s:b, s:b, s:b, s:o, s:b, s:[ss], s:b, s:s}", "add_bos_token", 1,
                            "add_eos_token", 0, "add_prefix_space", m ? m->dummy_prefix : 0,
                            "added_tokens_decoder", by_id(t, out->tokenizer),
                            "clean_up_tokenization_spaces", 0, "model_input_names", "input_ids",
                            "attention_mask", "split_special_tokens", 1,
                            "tokenizer_class",
                            out->tokenizer ? "PreTrainedTokenizerFast" : "LlamaTokenizer");
    check(out->config);
    for (int i = 0; i < 4; i++) {
        json_t *name = name_of(t, special[i].id);
        if (!name) continue;
        json_object_set(out->special, special[i].key, name);
        json_object_set_new(out->config, special[i].key, name);
    }
    if (context > 0)
        json_object_set_new(out->config, "model_max_length", json_integer(context));
    if (m) json_object_set_new(out->config, "legacy", json_true());  /* as SentencePiece itself */
    else json_object_set_new(out->config, KIND, json_string(tokenizer_kind(t)));
}

void token_hf_done(struct token_hf *files)
{
    json_decref(files->tokenizer);
    json_decref(files->config);
    json_decref(files->special);
    mem_free(files->doubt);
    *files = (struct token_hf){ 0 };
}

const char *token_hf_kind(const json_t *config)
{
    return json_string_value(json_object_get(config, KIND));
}
