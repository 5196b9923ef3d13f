/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/token_npy.h"

#include <stdio.h>
#include <string.h>

#include "src/base/bytes.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#define MAX_HEAD 65536            /* such a header is a hundred bytes            */
#define MAX_SIDE ((int64_t)1 << 48)

/* The dictionary of the header: a Python literal. */
struct npy_text { const char *path, *begin, *p, *end; };

/* What it says. */
struct npy_head { char descr[16]; int fortran; int sides; int64_t side[2]; int seen; };

enum { SEEN_DESCR = 1, SEEN_FORTRAN = 2, SEEN_SHAPE = 4, SEEN_ALL = 7 };

static int wrong(const struct npy_text *r, const char *field, const char *expected)
{
    return fail(ERR_DATA, "%s: header of .npy: %s: expected %s at character %lld", r->path, field,
                expected, (long long)(r->p - r->begin) + 1);
}

static void skip_blanks(struct npy_text *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\t')) r->p++;
}

/* The word that comes now, after blanks. */
static int take(struct npy_text *r, const char *word)
{
    const size_t n = strlen(word);

    skip_blanks(r);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0) return 0;
    r->p += n;
    return 1;
}

/* A string without escapes, of at most room - 1 characters. */
static int take_string(struct npy_text *r, char *out, size_t room)
{
    skip_blanks(r);
    if (r->p == r->end || (*r->p != '\'' && *r->p != '"')) return 0;
    const char *end = memchr(r->p + 1, *r->p, (size_t)(r->end - r->p - 1));
    if (!end || (size_t)(end - r->p - 1) >= room) return 0;
    memcpy(out, r->p + 1, (size_t)(end - r->p - 1));
    out[end - r->p - 1] = '\0';
    r->p = end + 1;
    return 1;
}

static int take_side(struct npy_text *r, int64_t *out)
{
    int64_t x = 0;
    const char *first;

    skip_blanks(r);
    for (first = r->p; r->p < r->end && *r->p >= '0' && *r->p <= '9' && x <= MAX_SIDE; r->p++)
        x = 10 * x + (*r->p - '0');
    *out = x;
    return r->p > first && x <= MAX_SIDE;
}

static int take_shape(struct npy_text *r, struct npy_head *h)
{
    int64_t x;

    if (!take(r, "(")) return wrong(r, "shape", "(");
    while (!take(r, ")")) {
        if (!take_side(r, &x)) return wrong(r, "shape", "a length below 2^48, or )");
        if (h->sides < 2) h->side[h->sides] = x;
        h->sides++;
        if (!take(r, ",") && (skip_blanks(r), r->p == r->end || *r->p != ')'))
            return wrong(r, "shape", ", or )");
    }
    if (h->sides == 1 || h->sides == 2) return OK;
    return fail(ERR_DATA, "%s: header of .npy: shape: %d dimensions, expected one or two", r->path,
                h->sides);
}

static int take_entry(struct npy_text *r, struct npy_head *h)
{
    char key[16] = "";
    int bit = 0, rc = OK;

    if (!take_string(r, key, sizeof key))
        return wrong(r, "key", "'descr', 'fortran_order' or 'shape'");
    if (!strcmp(key, "descr")) bit = SEEN_DESCR;
    if (!strcmp(key, "fortran_order")) bit = SEEN_FORTRAN;
    if (!strcmp(key, "shape")) bit = SEEN_SHAPE;
    if (!bit || (h->seen & bit))
        return fail(ERR_DATA, "%s: header of .npy: %s key '%s'", r->path,
                    bit ? "a second" : "an unknown", key);
    h->seen |= bit;
    if (!take(r, ":")) return wrong(r, key, ":");
    if (bit == SEEN_SHAPE) rc = take_shape(r, h);
    else if (bit == SEEN_DESCR && !take_string(r, h->descr, sizeof h->descr))
        rc = wrong(r, key, "the type of a whole number such as '<u2'");
    else if (bit == SEEN_FORTRAN && !(h->fortran = take(r, "True")) && !take(r, "False"))
        rc = wrong(r, key, "True or False");
    return rc;
}

static int read_text(struct npy_text *r, struct npy_head *h)
{
    int rc = OK;

    if (!take(r, "{")) return wrong(r, "dictionary", "{");
    while (!take(r, "}")) {
        TRY(take_entry(r, h));
        if (!take(r, ",") && (skip_blanks(r), r->p == r->end || *r->p != '}'))
            TRY(wrong(r, "dictionary", ", or }"));
    }
    skip_blanks(r);
    if (r->p != r->end) TRY(wrong(r, "dictionary", "nothing more"));
    if (h->seen != SEEN_ALL)
        TRY(fail(ERR_DATA, "%s: header of .npy: %s is missing", r->path,
                 !(h->seen & SEEN_DESCR) ? "descr" : h->seen & SEEN_SHAPE ? "fortran_order"
                 : "shape"));
out:
    return rc;
}

/* The type by its code: '<' little-endian, '|' one byte; 'u' or 'i'; bytes. */
static int find_type(struct token_file *f, const char *descr)
{
    char name[16] = "";

    if (descr[0] == '>')
        return fail(ERR_DATA, "%s: header of .npy: descr: '%s' is big-endian; save it in Python as "
                    "a.astype('<%s')", f->path, descr, descr + 1);
    if ((descr[0] == '<' || descr[0] == '|') && (descr[1] == 'u' || descr[1] == 'i') &&
        strchr("1248", descr[2]) && descr[2] && !descr[3])
        snprintf(name, sizeof name, "%sint%d", descr[1] == 'u' ? "u" : "", 8 * (descr[2] - '0'));
    f->type = token_type(name);
    if (f->type && (descr[0] == '<') == (f->type->bytes > 1)) return OK;
    return fail(ERR_DATA, "%s: header of .npy: descr: '%s' is no type of whole numbers of 1 to 8 "
                "bytes; save ids in Python as a.astype('<u2') or '<i4'", f->path, descr);
}

static int use_head(struct token_file *f, const struct npy_head *h)
{
    const int64_t columns = h->sides == 2 ? h->side[1] : 1;
    int64_t bytes;
    int rc = OK;

    TRY(find_type(f, h->descr));
    if (h->fortran && h->sides == 2)
        TRY(fail(ERR_DATA, "%s: header of .npy: fortran_order: columns are stored one after "
                 "another; save it in Python as numpy.ascontiguousarray(a)", f->path));
    if (__builtin_mul_overflow(h->side[0], columns, &f->tokens) ||
        __builtin_mul_overflow(f->tokens, (int64_t)f->type->bytes, &bytes) ||
        bytes != f->size - f->at)
        TRY(fail(ERR_DATA, "%s: header of .npy: shape: %lld x %lld ids of type %s are not the %lld "
                 "bytes that follow the header: cut, or damaged", f->path, (long long)h->side[0],
                 (long long)columns, f->type->name, (long long)(f->size - f->at)));
    f->row = h->sides == 2 ? columns : 0;
out:
    return rc;
}

int token_npy_open(struct token_file *f)
{
    unsigned char head[12] = { 0 };
    struct npy_head h = { .seen = 0 };
    char *text = NULL;
    int64_t n = 0;
    int rc = OK;

    f->form = TOKENS_NPY;
    TRY(file_read_at(f->fd, head, f->size < 12 ? (size_t)f->size : 12, 0, f->path));
    if (f->size < 12 || memcmp(head, "\x93NUMPY", 6) != 0)
        TRY(fail(ERR_DATA, "%s: magic: does not begin as a .npy file does (\\x93NUMPY)", f->path));
    if (head[6] < 1 || head[6] > 3 || head[7] != 0)
        TRY(fail(ERR_DATA, "%s: header of .npy: version %d.%d, expected 1.0, 2.0 or 3.0", f->path,
                 head[6], head[7]));
    n = head[6] == 1 ? get_u16(head + 8) : get_u32(head + 8);
    f->at = (head[6] == 1 ? 10 : 12) + n;
    if (n > MAX_HEAD || f->at > f->size)
        TRY(fail(ERR_DATA, "%s: header of .npy: length %lld, but the file has %lld bytes and at "
                 "most %d are allowed", f->path, (long long)n, (long long)f->size, MAX_HEAD));
    text = mem_new(n + 1, 1, "header of .npy");
    TRY(file_read_at(f->fd, text, (size_t)n, f->at - n, f->path));
    struct npy_text r = { f->path, text, text, text + n };
    TRY(read_text(&r, &h));
    TRY(use_head(f, &h));
out:
    mem_free(text);
    return rc;
}

int token_npy_head(char out[TOKEN_NPY_HEAD], const struct token_type *type, int64_t n)
{
    char number[24];
    /* numpy leaves room for 21 digits, so that an array can grow in its file. */
    const int digits = snprintf(number, sizeof number, "%lld", (long long)n);

    memcpy(out, "\x93NUMPY\x01\x00", 8);
    const int used = snprintf(out + 10, TOKEN_NPY_HEAD - 10,
                              "{'descr': '<%c%d', 'fortran_order': False, 'shape': (%s,), }%*s",
                              type->is_signed ? 'i' : 'u', type->bytes, number, 21 - digits, "");
    const int size = (10 + used + 1 + 63) / 64 * 64;
    check(size <= TOKEN_NPY_HEAD);
    memset(out + 10 + used, ' ', (size_t)(size - 10 - used));
    out[size - 1] = '\n';
    put_u16(out + 8, (uint16_t)(size - 10));
    return size;
}
