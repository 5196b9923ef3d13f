/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.h -- what the targets share.
 *
 * A target is a file fuzz_NAME.c with one function, LLVMFuzzerTestOneInput(): it gives the input
 * to one parser of the program and asserts what must hold for every input.  With clang it is
 * linked with libFuzzer (make fuzz); with gcc and replay.c it runs files (make test).
 *
 * Hashes protect against accidents, not against a person, so a target repairs them in its copy of
 * the input before the parser sees it: otherwise nothing but the hash would ever be tested.
 *
 * Inputs that are several files, or parts of one, are text and binary in sections:
 *
 *     === MANIFEST
 *     {"attempt":1, ...}
 *     === w000.ttc
 *     ...
 *
 * A section ends before the newline of the next "\n=== ", or with the input.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The input breaks a promise: ends the program with a message, in every build. */
#define promise(x) ((x) ? (void)0 : promise_broken(#x, __FILE__, __LINE__))
void promise_broken(const char *what, const char *file, int line);

/* A file in memory that holds these bytes; its path is valid until the next call. */
const char *fuzz_file(const void *data, size_t n);

/* An empty folder in memory, the same one each time, without what was in it. */
const char *fuzz_folder(void);

/* A file in that folder; name as in the input: one that leads elsewhere is left out. */
void fuzz_put(const char *name, const void *data, size_t n);

/* The sections of an input in order. */
struct section { char name[64]; const uint8_t *data; size_t n; };
struct sections { const uint8_t *at, *end; };
struct sections sections_of(const uint8_t *data, size_t n);
int section_next(struct section *s, struct sections *rest);   /* 0: there is none left */

/* Put all of them into fuzz_folder(). */
const char *fuzz_sections(const uint8_t *data, size_t n);

/* Text that ends with `before`, 32 digits and a newline: a counted copy in which the digits are the
 * hash of everything before that end.  Text without such an end gets one. */
char *fuzz_seal_text(const uint8_t *data, size_t n, const char *before, size_t *sealed);

#endif
