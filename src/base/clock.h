/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h -- monotonic seconds. */
#ifndef CLOCK_H
#define CLOCK_H

double clock_s(void);

#endif
