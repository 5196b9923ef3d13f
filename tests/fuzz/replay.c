/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c -- a main() for a target without libFuzzer: all files of the given folders.
 *
 *     fuzz_conf tests/fuzz/corpus/conf ...
 *
 * Prints "N inputs", and before that the name of each on standard error: if the program ends
 * early, the last one is to blame. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "tests/fuzz/fuzz.h"

static int run(const char *path)
{
    char *data = NULL;
    size_t n = 0;

    fprintf(stderr, "%s\n", path);
    if (file_slurp(&data, &n, path, (size_t)1 << 26) != OK) return 0;
    /* A block of exactly n bytes: a sanitizer sees whoever reads past it. */
    uint8_t *exact = malloc(n ? n : 1);
    memcpy(exact, data, n);
    mem_free(data);
    const int64_t live = mem_live_blocks();
    LLVMFuzzerTestOneInput(exact, n);
    promise(mem_live_blocks() == live);
    free(exact);
    return 1;
}

int main(int argc, char **argv)
{
    int count = 0;

    for (int i = 1; i < argc; i++) {
        char **names;
        int n;
        if (dir_list(&names, &n, argv[i]) != OK) return 1;
        for (int k = 0; k < n; k++) {
            char *path = mem_format("%s/%s", argv[i], names[k]);
            if (names[k][0] != '.') count += run(path);
            mem_free(path);
        }
        mem_free(names);
    }
    printf("%d inputs\n", count);
    return 0;
}
