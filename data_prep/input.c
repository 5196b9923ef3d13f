#include "data_prep/input.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "data_prep/folder.h"
#include "src/base/encoding.h"
#include "src/base/mem.h"
#include "src/base/status.h"

int input_classify(struct input *x, const char *path)
{
    static const struct { const char *ending; int jsonl, zst; } kinds[] = {
        { ".txt", 0, 0 }, { ".jsonl", 1, 0 }, { ".txt.zst", 0, 1 }, { ".jsonl.zst", 1, 1 },
    };
    const size_t n = strlen(path);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const size_t k = strlen(kinds[i].ending);
        if (n <= k || strcasecmp(path + n - k, kinds[i].ending) != 0) continue;
        x->jsonl = kinds[i].jsonl;
        x->zst = kinds[i].zst;
        return 1;
    }
    return 0;
}

static void append(struct inputs *in, struct input x, const char *path)
{
    if ((in->n & (in->n - 1)) == 0)
        in->v = mem_resize(in->v, in->n ? 2 * in->n : 1, sizeof *in->v, "list of inputs");
    x.path = mem_string(path);
    in->v[in->n++] = x;
    if (x.size > 0) in->bytes += x.size;
}

void inputs_append(struct inputs *in, struct input x, const struct stat *st, const char *path)
{
    x.size = st->st_size;
    x.inode = st->st_ino;
    x.changed_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
    append(in, x, path);
}

void inputs_leave(struct inputs *in, const char *path, enum data_left why,
                  struct data_files what)
{
    const int64_t n = in->left_n;
    if ((n & (n - 1)) == 0)
        in->left = mem_resize(in->left, n ? 2 * n : 1, sizeof *in->left, "list of what is left");
    in->left[in->left_n++] = (struct left){ mem_string(path), why, what };
}

int inputs_add(struct inputs *in, const char *path, int stdin_jsonl)
{
    struct input x = { .jsonl = stdin_jsonl, .zst = -1, .size = -1 };
    struct stat st;

    if (!strcmp(path, "-")) {
        append(in, x, path);
        return OK;
    }
    if (stat(path, &st) != 0) return fail(ERR_MISSING, "%s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode)) return folder_add(in, path);
    const int ours = input_classify(&x, path);
    if (!ours && encoding_of_name(path))
        return fail(ERR_CONFIG, "%s: expected .txt, .jsonl or either with .zst, found %s; read it "
                    "with: %s FILE | ttt prep - --stdin txt, or jsonl", path,
                    encoding_of_name(path)->name, encoding_of_name(path)->command);
    if (!ours)
        return fail(ERR_CONFIG, "%s: not a " INPUT_FORMATS " file; other names can be read "
                    "through - and --stdin", path);
    if (!S_ISREG(st.st_mode)) return fail(ERR_MISSING, "%s: not a regular file", path);
    inputs_append(in, x, &st, path);
    return OK;
}

void inputs_done(struct inputs *in)
{
    for (int64_t i = 0; i < in->n; i++) mem_free(in->v[i].path);
    for (int64_t i = 0; i < in->left_n; i++) mem_free(in->left[i].path);
    mem_free(in->v);
    mem_free(in->left);
    *in = (struct inputs){ 0 };
}
