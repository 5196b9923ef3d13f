/* SPDX-License-Identifier: Apache-2.0 */
#include "src/store/json_name.h"

#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/text.h"

json_t *json_name(const char *any)
{
    char *valid = text_repair(any);
    json_t *o = json_string(valid);

    mem_free(valid);
    check(o);
    return o;
}
