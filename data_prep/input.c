#include "data_prep/input.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "src/base/bytes.h"
#include "src/base/encoding.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#define MAX_DEPTH 64  /* of folders: a link to its own parent must end somewhere */

/* What a name says about a file; 0 if it is not one of ours. */
static int classify(struct input *x, const char *path)
{
    static const struct { const char *ending; int jsonl, zst; } kinds[] = {
        { ".txt", 0, 0 }, { ".jsonl", 1, 0 }, { ".txt.zst", 0, 1 }, { ".jsonl.zst", 1, 1 },
    };
    const size_t n = strlen(path);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const size_t k = strlen(kinds[i].ending);
        if (n <= k || strcmp(path + n - k, kinds[i].ending) != 0) continue;
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

static int add(struct inputs *in, const char *path, int named, int depth)
{
    struct input x = { 0 };
    struct stat st;
    char **names = NULL;
    int count = 0, rc = OK;

    if (stat(path, &st) != 0) TRY(fail(ERR_MISSING, "%s: %s", path, strerror(errno)));
    if (S_ISDIR(st.st_mode)) {
        if (depth == MAX_DEPTH) TRY(fail(ERR_MISSING, "%s: folders are nested too deep", path));
        TRY(dir_list(&names, &count, path));
        for (int i = 0; i < count && rc == OK; i++) {
            char *inner = mem_format("%s/%s", path, names[i]);
            rc = add(in, inner, 0, depth + 1);
            mem_free(inner);
        }
    } else if (classify(&x, path)) {
        if (!S_ISREG(st.st_mode)) TRY(fail(ERR_MISSING, "%s: not a regular file", path));
        x.size = st.st_size;
        x.mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
        append(in, x, path);
    } else if (named && encoding_of_name(path)) {
        TRY(fail(ERR_CONFIG, "%s: expected .txt, .jsonl or either with .zst, found %s; read it "
                 "with: %s FILE | ttt prep - --stdin txt, or jsonl", path,
                 encoding_of_name(path)->name, encoding_of_name(path)->command));
    } else if (named) {
        TRY(fail(ERR_CONFIG, "%s: not a .txt, .jsonl, .txt.zst or .jsonl.zst file; "
                 "other names can be read through - and --stdin", path));
    }
out:
    mem_free(names);
    return rc;
}

int inputs_add(struct inputs *in, const char *path, int stdin_jsonl)
{
    if (!strcmp(path, "-")) {
        append(in, (struct input){ .jsonl = stdin_jsonl, .zst = -1, .size = -1, .mtime_ns = -1 },
               path);
        return OK;
    }
    const int64_t before = in->n;
    const int rc = add(in, path, 1, 0);
    if (rc == OK && in->n == before)
        return fail(ERR_MISSING, "%s: holds no .txt, .jsonl, .txt.zst or .jsonl.zst file", path);
    return rc;
}

struct hash inputs_hash(const struct inputs *in)
{
    struct hasher *h = hasher_new();
    for (int64_t i = 0; i < in->n; i++) {
        unsigned char p[16];
        put_u64(p, (uint64_t)in->v[i].size);
        put_u64(p + 8, (uint64_t)in->v[i].mtime_ns);
        hasher_add(h, in->v[i].path, strlen(in->v[i].path) + 1);
        hasher_add(h, p, sizeof p);
    }
    const struct hash out = hasher_get(h);
    hasher_free(h);
    return out;
}

void inputs_done(struct inputs *in)
{
    for (int64_t i = 0; i < in->n; i++) mem_free(in->v[i].path);
    mem_free(in->v);
    *in = (struct inputs){ 0 };
}
