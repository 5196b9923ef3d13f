/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/input.h"

#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "data_prep/decoder.h"
#include "data_prep/format.h"
#include "src/base/mem.h"

/* The length of a name of n bytes without the ending; -1: it has another ending, or nothing else.
 *  */
static int64_t without(const char *path, int64_t n, const char *ending)
{
    const int64_t k = (int64_t)strlen(ending);
    return n > k && strncasecmp(path + n - k, ending, (size_t)k) == 0 ? n - k : -1;
}

int input_classify(struct input *x, const char *path)
{
    const struct decoder *d;
    const struct format *f;

    for (int i = 0; (d = decoder_row(i)) != NULL; i++) {
        const int64_t n = without(path, (int64_t)strlen(path), d->ending);
        if (n < 0) continue;
        for (int k = 0; (f = format_row(k)) != NULL; k++) {
            int e = 0;
            while (f->endings[e] && without(path, n, f->endings[e]) < 0) e++;
            if (!f->endings[e]) continue;
            x->format = f;
            x->decoder = d;
            return 1;
        }
    }
    return 0;
}

/* Append one of a list to what `all` holds. */
static void list(char **all, const char *more, int first, int last)
{
    char *old = *all;
    *all = mem_format("%s%s%s", old, first ? "" : last ? " or " : ", ", more);
    mem_free(old);
}

char *input_endings(void)
{
    char *all = mem_string("");
    const struct decoder *d;
    const struct format *f;

    for (int k = 0; (f = format_row(k)) != NULL; k++)
        for (int e = 0; f->endings[e]; e++)
            list(&all, f->endings[e], k + e == 0, !format_row(k + 1) && !f->endings[e + 1]);
    list(&all, " (also with ", 1, 0);
    for (int i = 1; (d = decoder_row(i)) != NULL; i++)
        list(&all, d->ending, i == 1, !decoder_row(i + 1));
    list(&all, ")", 1, 0);
    return all;
}

void inputs_append(struct inputs *in, struct input x, const struct stat *st, const char *path)
{
    x.size = st ? st->st_size : -1;
    if (st) x.inode = st->st_ino;
    if (st) x.changed_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
    x.path = mem_string(path);
    if ((in->n & (in->n - 1)) == 0)
        in->v = mem_resize(in->v, in->n ? 2 * in->n : 1, sizeof *in->v, "list of inputs");
    in->v[in->n++] = x;
    if (x.size > 0) in->bytes += x.size;
}

void inputs_leave(struct inputs *in, const char *path, enum data_left why,
                  struct data_files what)
{
    const int64_t n = in->left_n;
    if ((n & (n - 1)) == 0)
        in->left = mem_resize(in->left, n ? 2 * n : 1, sizeof *in->left, "list of what is left");
    in->left[in->left_n++] = (struct left){ mem_string(path), why, what };
}

void inputs_done(struct inputs *in)
{
    for (int64_t i = 0; i < in->n; i++) mem_free(in->v[i].path);
    for (int64_t i = 0; i < in->left_n; i++) mem_free(in->left[i].path);
    mem_free(in->v);
    mem_free(in->left);
    *in = (struct inputs){ 0 };
}
