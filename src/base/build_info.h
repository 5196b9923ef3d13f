/* build_info.h -- what this program was built from. */
#ifndef BUILD_INFO_H
#define BUILD_INFO_H

/* Revision, as `git describe` gives it. */
const char *build_version(void);

/* One line: revision, compiler, real type, flags that change numbers. */
const char *build_text(void);

/* Model name of the processor, "unknown" if there is none. */
const char *build_cpu(void);

#endif
