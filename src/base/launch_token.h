/* SPDX-License-Identifier: Apache-2.0 */
/* launch_token.h -- a secret that only the processes of one launcher know.
 *
 *     TTT_LAUNCH=0123456789abcdef0123456789abcdef    in their environment
 *                `-- its name --'
 *
 * The name is public: it is part of file names (beacon.h, fence.h).  The whole token proves that a
 * process was started by this launcher: it is in no file and on no command line.
 */
#ifndef LAUNCH_TOKEN_H
#define LAUNCH_TOKEN_H

/* How the first message of a job begins whose processes found each other (mpi/train/ranks.h). */
#define LAUNCH_ALIVE "processes on "

#define LAUNCH_VARIABLE "TTT_LAUNCH"
enum { LAUNCH_TOKEN = 33, LAUNCH_NAME = 17, LAUNCH_ASSIGNMENT = 64 };

/* A new random token. */
void launch_token_make(char token[LAUNCH_TOKEN]);

/* The token of the launcher that started this process; NULL if there is none, or if the variable
 * does not hold a token. */
const char *launch_token(void);

/* The public part of a token. */
void launch_token_name(char name[LAUNCH_NAME], const char *token);

/* "TTT_LAUNCH=...", as it stands in an environment. */
void launch_token_assignment(char text[LAUNCH_ASSIGNMENT], const char *token);

#endif
