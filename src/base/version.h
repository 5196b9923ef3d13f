/* SPDX-License-Identifier: Apache-2.0 */
/* version.h -- the version, by semantic versioning (https://semver.org).  This is the one place of
 * it: the Makefile reads this line, and tests/e2e/test_install.sh compares the pages and recipes
 * that also have to name it. */
#ifndef VERSION_H
#define VERSION_H

#define TTT_VERSION "0.2.0"

#endif
