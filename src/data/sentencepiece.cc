/* SPDX-License-Identifier: Apache-2.0 */
// sentencepiece.cc -- a C face for the SentencePiece library; nothing else here.
#include "src/data/sentencepiece_c.h"

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <cstdio>
#include <exception>
#include <string>
#include <unordered_map>
#include <vector>

struct spm { sentencepiece::SentencePieceProcessor processor; };

namespace {

void say(char *why, const std::string &text) { snprintf(why, SPM_WHY, "%s", text.c_str()); }

// No exception may reach C: whatever it is becomes a reason.
template <class Body> int guarded(char *why, Body body)
{
    try {
        const auto status = body();
        if (status.ok()) return 0;
        say(why, status.error_message());
    } catch (const std::exception &e) {
        say(why, e.what());
    } catch (...) {
        say(why, "unknown exception");
    }
    return -1;
}

class Sentences : public sentencepiece::SentenceIterator {
public:
    Sentences(const char *(*next)(void *, size_t *), void *arg) : next_(next), arg_(arg) { Next(); }
    bool done() const override { return done_; }
    void Next() override
    {
        size_t n = 0;
        const char *text = next_(arg_, &n);
        done_ = text == nullptr;
        if (text) value_.assign(text, n);
    }
    const std::string &value() const override { return value_; }
    sentencepiece::util::Status status() const override { return {}; }

private:
    const char *(*next_)(void *, size_t *);
    void *arg_;
    std::string value_;
    bool done_ = false;
};

}  // namespace

struct spm *spm_new(const void *bytes, size_t n, char why[SPM_WHY])
{
    struct spm *s = nullptr;
    const int rc = guarded(why, [&] {
        s = new spm;
        return s->processor.LoadFromSerializedProto({ static_cast<const char *>(bytes), n });
    });
    if (rc == 0) return s;
    delete s;
    return nullptr;
}

void spm_free(struct spm *s) { delete s; }

int spm_vocab(const struct spm *s) { return s->processor.GetPieceSize(); }
int spm_bos(const struct spm *s) { return s->processor.bos_id(); }
int spm_eos(const struct spm *s) { return s->processor.eos_id(); }
int spm_pad(const struct spm *s) { return s->processor.pad_id(); }
int spm_unk(const struct spm *s) { return s->processor.unk_id(); }

int spm_encode(const struct spm *s, const char *text, size_t n,
               void (*take)(void *arg, const int *ids, size_t count), void *arg,
               char why[SPM_WHY])
{
    return guarded(why, [&] {
        std::vector<int> ids;
        const auto status = s->processor.Encode({ text, n }, &ids);
        if (status.ok()) take(arg, ids.data(), ids.size());
        return status;
    });
}

int spm_unknown(const struct spm *s, const char *text, size_t n,
                void (*take)(void *arg, size_t from, size_t to), void *arg, char why[SPM_WHY])
{
    return guarded(why, [&] {
        const auto pieces = s->processor.EncodeAsImmutableProto({ text, n });
        for (const auto &piece : pieces.pieces())
            if (static_cast<int>(piece.id()) == s->processor.unk_id())
                take(arg, piece.begin(), piece.end());
        return s->processor.status();
    });
}

int spm_train(const char *const *options,
              const char *(*next)(void *arg, size_t *n), void *next_arg,
              void (*take)(void *arg, const void *model, size_t n), void *take_arg,
              char why[SPM_WHY])
{
    return guarded(why, [&] {
        std::unordered_map<std::string, std::string> map;
        for (; options[0]; options += 2) map[options[0]] = options[1];
        Sentences sentences(next, next_arg);
        std::string model;
        const auto status = sentencepiece::SentencePieceTrainer::Train(map, &sentences, &model);
        if (status.ok()) take(take_arg, model.data(), model.size());
        return status;
    });
}
