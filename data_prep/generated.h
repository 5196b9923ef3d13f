/* SPDX-License-Identifier: Apache-2.0 */
/* generated.h -- text for measurements without a corpus. */
#ifndef GENERATED_H
#define GENERATED_H

#include <stdint.h>

/* Generate document `number`: lines of 13 words out of 20,000, with frequencies that fall as 1 /
 * rank. Local.
 *
 * n        [in,out] bytes that are wanted, about; bytes that the document has
 * returns  a counted string, the same for the same number */
char *generated_text(int64_t *n, int64_t number);

#endif
