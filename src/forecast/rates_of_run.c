/* SPDX-License-Identifier: Apache-2.0 */
#include "src/forecast/rates_of_run.h"

#include <stdio.h>

#include "src/base/file.h"
#include "src/base/mem.h"

int rates_of_run(struct rates *r, char source[CONF_PATH], const char *given, const struct conf *c)
{
    char *measured = mem_format("%s/" RATES_FILE, c->run.dir);
    const char *file = given ? given : c->launch.rates[0] ? c->launch.rates
                     : path_exists(measured) ? measured : NULL;
    const int rc = rates_read(r, file);

    snprintf(source, CONF_PATH, "%s", file ? file : "");
    mem_free(measured);
    return rc;
}
