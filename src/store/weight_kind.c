/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/weight_kind.h"

#include <stdint.h>
#include <string.h>

#include "src/base/bytes.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/status.h"

#define CONVERT                                                                             \
    "; convert it in Python: from transformers import AutoModelForCausalLM as M; "          \
    "M.from_pretrained('THIS_FOLDER').save_pretrained('NEW_FOLDER')"
#define PICKLE                                                                              \
    "a pickle of PyTorch, a program that Python runs to read it, so it is not read here" CONVERT

/* What files begin with. */
static const struct { const char *bytes; size_t n; const char *what; } magics[] = {
    { "PK\3\4", 4, PICKLE }, { "\x80\2", 2, PICKLE }, { "\x80\3", 2, PICKLE },
    { "\x80\4", 2, PICKLE }, { "\x80\5", 2, PICKLE },
    { "GGUF", 4, "a GGUF file, mostly of rounded weights; take the model's safetensors" },
    { "\x89HDF", 4, "an HDF5 file of TensorFlow" CONVERT },
    { "version https://git-lfs", 23, "only a pointer of Git LFS; fetch the file itself: git lfs pull" },
};

/* What files are called: the first of the rows that is there is named. */
static const struct { const char *begin, *end, *what; } names[] = {
    { "pytorch_model", ".bin", PICKLE }, { "", ".bin", PICKLE }, { "", ".pt", PICKLE },
    { "", ".pth", PICKLE }, { "", ".ckpt", PICKLE },
    { "", ".gguf", "a GGUF file, mostly of rounded weights; take the model's safetensors" },
    { "", ".h5", "an HDF5 file of TensorFlow" CONVERT },
    { "", ".msgpack", "a file of Flax" CONVERT },
    { "adapter_model", ".safetensors", "an adapter (LoRA), not a model; merge it into its model first" },
    { "model-0", ".safetensors", "one of several files, and model.safetensors.index.json, which says what "
      "is in which, is missing; fetch it, too" },
    { "", ".safetensors", "of another name; if it is the whole model, call it model.safetensors" },
};
#define NAMES (int)(sizeof names / sizeof *names)

int weight_kind_file(const char *path)
{
    unsigned char head[32] = { 0 };
    int64_t size = 0;
    int fd = -1;

    if (file_open(&fd, &size, path) != OK) return OK;
    const size_t n = size < (int64_t)sizeof head ? (size_t)size : sizeof head;
    const int rc = file_read_at(fd, head, n, 0, path);
    file_close(fd);
    /* The length of a header may look like a pickle's begin. */
    const uint64_t header = get_u64(head);
    if (n > 8 && header >= 2 && header <= (uint64_t)size - 8 && head[8] == '{') return OK;
    for (size_t i = 0; rc == OK && i < sizeof magics / sizeof *magics; i++)
        if (magics[i].n <= n && !memcmp(head, magics[i].bytes, magics[i].n))
            return fail(ERR_DATA, "%s is %s", path, magics[i].what);
    return OK;
}

static int fits(const char *name, int row)
{
    static const char *const others[] = { ".", "training_args", "optimizer", "scheduler",
                                          "rng_state" };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (!strncmp(name, others[i], strlen(others[i]))) return 0;

    const size_t n = strlen(name), b = strlen(names[row].begin), e = strlen(names[row].end);
    return n > b + e - (b > 0) && !strncmp(name, names[row].begin, b) &&
           !strcmp(name + n - e, names[row].end);
}

int weight_kind_folder(const char *folder)
{
    char **list = NULL;
    int count = 0, rc = OK;

    if (dir_list(&list, &count, folder) != OK) return OK;
    for (int row = 0; row < NAMES && rc == OK; row++)
        for (int i = 0; i < count && rc == OK; i++)
            if (fits(list[i], row))
                rc = fail(ERR_DATA, "%s: no model.safetensors; %s is %s", folder, list[i],
                          names[row].what);
    mem_free(list);
    return rc;
}
