/* SPDX-License-Identifier: Apache-2.0 */
/* json_name.h -- names of files, hosts and jobs in JSON, whatever bytes they have. */
#ifndef JSON_NAME_H
#define JSON_NAME_H

#include <jansson.h>

/* A string of any bytes; what is no UTF-8 becomes U+FFFD.  A new reference, never NULL.  For texts from
 * outside: json_pack("s") and json_string() give NULL instead, and with it the whole object. */
json_t *json_name(const char *any);

#endif
