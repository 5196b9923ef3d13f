/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of a run, as sections: what ttt status reads of it.  Its JSON is always valid. */
#include <stdlib.h>
#include <string.h>

#include "jobs/run_state.h"
#include "src/base/status.h"
#include "tests/fuzz/fuzz.h"

/* An owner's file that is no JSON is one in the making: whoever looks waits for two seconds. */
static int in_the_making(const struct section *s)
{
    json_t *o = json_loadb((const char *)s->data, s->n, JSON_REJECT_DUPLICATES, NULL);
    const int yes = !strncmp(s->name, "fence/", 6) && !o;
    json_decref(o);
    return yes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct sections rest = sections_of(data, n);
    const char *folder = fuzz_folder();
    struct section x;
    struct run_state s;

    while (section_next(&x, &rest))
        if (!in_the_making(&x)) fuzz_put(x.name, x.data, x.n);
    setenv("PATH", "/nonexistent", 1);   /* SLURM's tools */
    run_state_read(&s, folder);
    run_states_judge(&s, 1);
    promise((int)s.phase >= 0 && s.phase < RUN_PHASES && run_phase_name(s.phase));
    promise((s.rc == OK) == !s.error[0]);
    json_t *o = run_state_json(&s);
    char *text = json_dumps(o, 0);
    promise(text);
    json_t *again = json_loads(text, 0, NULL);
    promise(again && json_equal(o, again));
    json_decref(again);
    json_decref(o);
    free(text);
    run_state_done(&s);
    return 0;
}
