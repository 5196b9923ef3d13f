/* SPDX-License-Identifier: Apache-2.0 */
/* hash.h -- the one checksum family: XXH3-128 (libxxhash).
 *
 * Random damage stays undetected with probability 2^-128.  The hash does not protect against
 * an attacker: hostile files are handled by checks of bounds, not by hashes.
 */
#ifndef HASH_H
#define HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash { uint64_t lo, hi; };

/* Of one region. */
struct hash hash_bytes(const void *data, size_t n);

/* Of several regions, one after another. */
struct hasher;
struct hasher *hasher_new(void);
void hasher_add(struct hasher *h, const void *data, size_t n);
struct hash hasher_get(const struct hasher *h);
void hasher_free(struct hasher *h);

int hash_equal(struct hash a, struct hash b);

/* 32 hexadecimal digits, high word first, and back.  hash_parse returns OK or
 * ERR_DATA without a message. */
#define HASH_HEX 33
void hash_hex(char text[HASH_HEX], struct hash h);
int hash_parse(struct hash *h, const char *text);

/* As 16 bytes on disk: lo then hi, little-endian. */
void hash_store(void *p, struct hash h);
struct hash hash_load(const void *p);

#endif
