/* SPDX-License-Identifier: Apache-2.0 */
#include "src/base/launch_token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/status.h"

void launch_token_make(char token[LAUNCH_TOKEN])
{
    unsigned char bytes[(LAUNCH_TOKEN - 1) / 2];

    if (getentropy(bytes, sizeof bytes) != 0) die("the system has no random numbers");
    for (size_t i = 0; i < sizeof bytes; i++) sprintf(token + 2 * i, "%02x", bytes[i]);
}

const char *launch_token(void)
{
    const char *text = getenv(LAUNCH_VARIABLE);
    const size_t n = LAUNCH_TOKEN - 1;

    return text && strlen(text) == n && strspn(text, "0123456789abcdef") == n ? text : NULL;
}

void launch_token_name(char name[LAUNCH_NAME], const char *token)
{
    snprintf(name, LAUNCH_NAME, "%.*s", LAUNCH_NAME - 1, token);
}

void launch_token_assignment(char text[LAUNCH_ASSIGNMENT], const char *token)
{
    snprintf(text, LAUNCH_ASSIGNMENT, LAUNCH_VARIABLE "=%.*s", LAUNCH_TOKEN - 1, token);
}
