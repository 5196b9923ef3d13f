/* SPDX-License-Identifier: Apache-2.0 */
/* A JSON line, next to jansson: where that finds a string of this name in an object, so do we, the
 * same one.  What it refuses may be right for us, in fields that nobody asked for. */
#include <jansson.h>
#include <string.h>

#include "data_prep/json_field.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/base/utf8.h"
#include "tests/fuzz/fuzz.h"

static void compare(const struct json_path *path, const json_t *want, const char *line, size_t n)
{
    char *text = NULL;
    int64_t text_n = 0;
    int repeats = 0;
    char *wrong = json_field(path, line, (int64_t)n, 0, &text, &text_n, &repeats);

    if (!wrong) promise(text && text[text_n] == '\0' && utf8_valid(text, text_n) == text_n);
    if (json_is_string(want)) {
        promise(!wrong);
        promise((size_t)text_n == json_string_length(want) &&
                !memcmp(text, json_string_value(want), (size_t)text_n));
    } else if (want) promise(wrong);   /* it is there, and no string */
    if (!wrong) mem_free(text);
    mem_free(wrong);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct json_path plain, nested;
    const char *line = (const char *)data;

    fuzz_folder();
    if (n && memchr(data, '\n', n)) return 0;
    promise(json_path_init(&plain, "text") == OK);
    promise(json_path_init(&nested, "meta.text") == OK);
    json_t *o = json_loadb(line, n, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    const json_t *meta = json_object_get(o, "meta"), *exact = json_object_get(o, "meta.text");
    compare(&plain, json_object_get(o, "text"), line, n);
    compare(&nested, exact ? exact : json_object_get(meta, "text"), line, n);
    json_decref(o);
    json_path_done(&plain);
    json_path_done(&nested);
    return 0;
}
