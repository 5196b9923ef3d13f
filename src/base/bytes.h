/* SPDX-License-Identifier: Apache-2.0 */
/* bytes.h -- little-endian numbers in byte arrays, whatever the machine. */
#ifndef BYTES_H
#define BYTES_H

#include <stdint.h>

static inline uint64_t get_u64(const void *p)
{
    const unsigned char *b = p;
    uint64_t x = 0;
    for (int i = 7; i >= 0; i--) x = x << 8 | b[i];
    return x;
}

static inline uint32_t get_u32(const void *p)
{
    const unsigned char *b = p;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline uint16_t get_u16(const void *p)
{
    const unsigned char *b = p;
    return (uint16_t)(b[0] | b[1] << 8);
}

static inline void put_u64(void *p, uint64_t x)
{
    unsigned char *b = p;
    for (int i = 0; i < 8; i++) b[i] = (unsigned char)(x >> 8 * i);
}

static inline void put_u32(void *p, uint32_t x)
{
    unsigned char *b = p;
    for (int i = 0; i < 4; i++) b[i] = (unsigned char)(x >> 8 * i);
}

static inline void put_u16(void *p, uint16_t x)
{
    unsigned char *b = p;
    b[0] = (unsigned char)x;
    b[1] = (unsigned char)(x >> 8);
}

#endif
