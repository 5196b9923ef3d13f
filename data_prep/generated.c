/* SPDX-License-Identifier: Apache-2.0 */
#include "data_prep/generated.h"

#include <math.h>

#include "src/base/mem.h"
#include "src/base/rng.h"

/* Word number k: letters from a hash of the number; frequent words are short. */
static int put_word(char *out, uint64_t key, uint64_t k)
{
    const uint64_t bits = rng_u64(key, k);
    const int n = 2 + (int)(bits % 4) + (k > 100) + (k > 1000) * 2;
    for (int i = 0; i < n; i++)
        out[i] = "etaoinshrdlucmfwypvbgkjqxz"[(bits >> (5 * i + 4) & 31) * 26 / 32];
    out[n] = ' ';
    return n + 1;
}

char *generated_text(int64_t *n, int64_t number)
{
    const uint64_t key = rng_key(1, "words"), draw = rng_key((uint64_t)number, "text");
    const int64_t room = *n;
    char *text = mem_new(room + 32, 1, "text");

    *n = 0;
    for (uint64_t i = 0; *n < room; i++) {
        const double word = exp(rng_uniform(draw, i) * log(20000)) - 1;
        *n += put_word(text + *n, key, (uint64_t)word);
        if (i % 13 == 12) text[*n - 1] = '\n';
    }
    return text;
}
