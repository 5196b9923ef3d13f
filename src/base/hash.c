/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/hash.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "src/base/bytes.h"
#include "src/base/mem.h"
#include "src/base/status.h"

struct hasher { XXH3_state_t *x; };

static struct hash from(XXH128_hash_t h) { return (struct hash){ h.low64, h.high64 }; }

struct hash hash_bytes(const void *data, size_t n) { return from(XXH3_128bits(data, n)); }

struct hasher *hasher_new(void)
{
    struct hasher *h = mem_new(1, sizeof *h, "hasher");
    h->x = XXH3_createState();
    check(h->x && XXH3_128bits_reset(h->x) == XXH_OK);
    return h;
}

void hasher_add(struct hasher *h, const void *data, size_t n)
{
    if (n) check(XXH3_128bits_update(h->x, data, n) == XXH_OK);
}

struct hash hasher_get(const struct hasher *h) { return from(XXH3_128bits_digest(h->x)); }

void hasher_free(struct hasher *h)
{
    if (!h) return;
    XXH3_freeState(h->x);
    mem_free(h);
}

int hash_equal(struct hash a, struct hash b) { return a.lo == b.lo && a.hi == b.hi; }

void hash_hex(char text[HASH_HEX], struct hash h)
{
    snprintf(text, HASH_HEX, "%016llx%016llx", (unsigned long long)h.hi, (unsigned long long)h.lo);
}

int hash_parse(struct hash *h, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t word[2] = { 0, 0 };
    if (strlen(text) != HASH_HEX - 1) return ERR_DATA;
    for (int i = 0; i < HASH_HEX - 1; i++) {
        const char *digit = memchr(digits, text[i], 16);
        if (!digit) return ERR_DATA;
        word[i / 16] = word[i / 16] << 4 | (uint64_t)(digit - digits);
    }
    *h = (struct hash){ .hi = word[0], .lo = word[1] };
    return OK;
}

void hash_store(void *p, struct hash h)
{
    put_u64(p, h.lo);
    put_u64((char *)p + 8, h.hi);
}

struct hash hash_load(const void *p)
{
    return (struct hash){ get_u64(p), get_u64((const char *)p + 8) };
}
