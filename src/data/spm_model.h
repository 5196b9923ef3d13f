/* SPDX-License-Identifier: Apache-2.0 */
/* spm_model.h -- the content of a SentencePiece model file, read without the library.
 *
 * The library encodes.  But the pieces and a few switches are needed to decode
 * exactly, to find where a long text may be cut without changing its tokens, and
 * to refuse damaged files before the library reads them.
 *
 * Where may a text be cut?  Byte-pair encoding merges neighbours whose union is
 * a piece, again and again, best score first.  If no piece contains the
 * characters a b in a row, nothing can ever merge across a boundary a|b, and the
 * merges on both sides do not see each other: tokens(xa by) = tokens(xa) tokens(by).
 * That is exact if scores are distinct (ties are broken by the state of a heap),
 * if normalisation works character by character, and if unknown characters
 * become bytes (else runs of them are joined).
 */
#ifndef SPM_MODEL_H
#define SPM_MODEL_H

#include <stddef.h>
#include <stdint.h>

enum spm_type {
    SPM_NORMAL = 1, SPM_UNKNOWN, SPM_CONTROL, SPM_USER_DEFINED, SPM_UNUSED, SPM_BYTE
};

enum spm_kind { SPM_UNIGRAM = 1, SPM_BPE, SPM_WORD, SPM_CHAR };

#define SPM_SPACE 0x2581u  /* stands for a space in pieces */

struct spm_piece {
    const char *text;    /* into the model's bytes, not terminated */
    int         length;
    int         type;    /* enum spm_type                          */
    float       score;
    uint8_t     byte;    /* of SPM_BYTE                            */
};

struct spm_model {
    struct spm_piece *pieces;         /* a counted block                          */
    int       count;
    int       byte_id[256];           /* id of each byte's piece, -1 if none      */
    int       kind;                   /* enum spm_kind                            */
    int       unk;                    /* id of <unk>, -1 if there is none         */
    int       bpe, byte_fallback;
    int       dummy_prefix;           /* a space is put before every text         */
    int       trims;                  /* leading, trailing, double spaces go away */
    int       suffix;                 /* a space belongs to the word before it    */
    int       raw_spaces;             /* spaces are not replaced by SPM_SPACE     */
    const char *charsmap;             /* compiled table of characters to replace  */
    size_t    charsmap_n;             /* its bytes, 0: none                       */
    int       plain;                  /* none of the last three                   */
    int       distinct;               /* no two pieces have the same score        */
    int       cuttable;               /* spm_model_cut() may be used              */
    int       lossless;               /* with escapes, decode(encode(x)) = x      */
    uint64_t *pairs;                  /* hash set of neighbours inside pieces     */
    uint64_t  pairs_mask;
};

/* Read a model; `bytes` is borrowed until spm_model_done().  path for messages.
 * returns OK or ERR_DATA */
int spm_model_read(struct spm_model *m, const char *bytes, size_t n, const char *path);
void spm_model_done(struct spm_model *m);

/* May a piece be the result of a merge, or a part of one? */
int spm_merges(const struct spm_piece *p);

/* May text be cut between the characters a and b? */
int spm_model_cut(const struct spm_model *m, uint32_t a, uint32_t b);

#endif
