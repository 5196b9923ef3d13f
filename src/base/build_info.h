/* SPDX-License-Identifier: Apache-2.0 */
/* build_info.h -- what this program was built from. */
#ifndef BUILD_INFO_H
#define BUILD_INFO_H

/* The version, "0.2.0"; the version and, where it is known, the commit, "0.2.0 (8885fa8)". */
const char *build_release(void);
const char *build_version(void);

/* The PREFIX of `make install` that it was built for. */
const char *build_prefix(void);

/* One line: version, compiler, real type, flags that change numbers. */
const char *build_text(void);

/* Model name of the processor, "unknown" if there is none. */
const char *build_cpu(void);

#endif
