/* SPDX-License-Identifier: Apache-2.0 */
/* Between text and fields, by the rows of the table. */
#include <stdio.h>
#include <string.h>

#include "src/base/status.h"
#include "src/base/text.h"
#include "src/base/utf8.h"
#include "src/conf/conf_table.h"
#include "src/layers/pattern.h"

int conf_takes_auto(const struct conf_key *k) { return k->preset && !strcmp(k->preset, "auto"); }

int conf_is_list(const struct conf_key *k) { return k->type == CONF_LIST || k->type == CONF_LAYER; }

int conf_is_text(const struct conf_key *k)
{
    return k->type == CONF_TEXT || k->type == CONF_WORD || k->type == CONF_LIST;
}

static void put_int(void *at, size_t size, int64_t x)
{
    if (size == sizeof(int)) *(int *)at = (int)x;
    else *(int64_t *)at = x;
}

static int64_t get_int(const void *at, size_t size)
{
    return size == sizeof(int) ? *(const int *)at : *(const int64_t *)at;
}

/* UTF-8 that YAML gives back unchanged: no control characters, no ends of lines. */
static int is_printable(const char *text)
{
    int length = 0;

    if (utf8_valid(text, (int64_t)strlen(text)) != (int64_t)strlen(text)) return 0;
    for (; *text; text += length) {
        const uint32_t c = utf8_char(text, &length);
        if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
            c == 0xfffe || c == 0xffff)
            return 0;
    }
    return 1;
}

static int store_text(char *at, size_t size, const char *text)
{
    if (strlen(text) >= size || !is_printable(text)) return 0;
    memset(at, 0, size);
    memcpy(at, text, strlen(text));
    return 1;
}

/* What neither a shell nor #SBATCH lines give a meaning to. */
#define WORD_MARKS "_.,:@%+=/&|()[]*!-"
static int is_word(const char *text)
{
    for (; *text; text++)
        if (!((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
              (*text >= '0' && *text <= '9') || strchr(WORD_MARKS, *text)))
            return 0;
    return 1;
}

/* Append a text to a list; a single empty text is the empty list. */
static int append_text(char *at, size_t size, const char *text)
{
    const size_t used = strlen(at), n = strlen(text);

    if ((used && !n) || used + !!used + n >= size || !is_printable(text)) return 0;
    if (used) at[used] = '\n';
    memcpy(at + used + !!used, text, n);
    return 1;
}

/* Words that mean "nothing" in YAML; a file of that name can be put in quotes. */
static int is_null(const char *text)
{
    static const char *const words[] = { "", "~", "null", "Null", "NULL" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(words[i], text)) return 1;
    return 0;
}

/* Index of text in a list of names that ends with NULL; -1 if it is not there. */
static int name_index(const char *const *names, const char *text)
{
    for (int i = 0; names[i]; i++)
        if (!strcmp(names[i], text)) return i;
    return -1;
}

static int is_layer(const char *text)
{
    for (int i = 0; conf_layer(i); i++)
        if (!strcmp(conf_layer(i), text)) return 1;
    return 0;
}

int conf_store(void *values, const struct conf_key *k, const char *text, int plain)
{
    void *at = conf_at(values, k);
    int64_t n = 0;
    double x = 0;

    if (plain && is_null(text)) return 0;
    if (k->type == CONF_TEXT) return store_text(at, k->size, text);
    if (k->type == CONF_WORD) return is_word(text) && store_text(at, k->size, text);
    if (k->type == CONF_LIST) return append_text(at, k->size, text);
    if (k->type == CONF_LAYER) return is_layer(text) && pattern_add(at, text);
    if (k->type == CONF_ENUM) {
        n = name_index(k->names, text);
        if (n >= 0) put_int(at, k->size, n);
        return n >= 0;
    }
    if (!plain) return 0;
    if (conf_takes_auto(k) && !strcmp(text, "auto")) {
        if (k->type == CONF_DOUBLE) *(double *)at = CONF_AUTO;
        else put_int(at, k->size, CONF_AUTO);
        return 1;
    }
    if (k->type == CONF_DOUBLE) {
        if (!text_double(&x, text) || x < k->min || x > k->max) return 0;
        *(double *)at = x;
        return 1;
    }
    if (k->type == CONF_BOOL) {
        if (strcmp(text, "true") && strcmp(text, "false")) return 0;
        n = text[0] == 't';
    } else if (!text_int(&n, text) || (double)n < k->min || (double)n > k->max) {
        return 0;
    }
    put_int(at, k->size, n);
    return 1;
}

/* The first n bytes of text in quotes.  returns what was written */
static size_t quote(char *out, size_t room, const char *text, size_t n)
{
    size_t used = 0;
    check(room > 2 * n + 2);
    out[used++] = '"';
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"' || text[i] == '\\') out[used++] = '\\';
        out[used++] = text[i];
    }
    out[used++] = '"';
    out[used] = '\0';
    return used;
}

static void show_list(char *out, size_t room, const char *text)
{
    size_t used = 1;

    out[0] = '[';
    while (*text) {
        const size_t n = strcspn(text, "\n");
        used += quote(out + used, room - used - 4, text, n);
        text += n + (text[n] != '\0');
        if (*text) used += (size_t)sprintf(out + used, ", ");
    }
    strcpy(out + used, "]");
}

const char *conf_show(char *out, size_t room, const void *values, const struct conf_key *k)
{
    const void *at = (const char *)values + k->offset;
    char number[TEXT_DOUBLE];

    if (k->type == CONF_TEXT || k->type == CONF_WORD) {
        quote(out, room, at, strlen(at));
        return out;
    }
    if (k->type == CONF_LIST) {
        show_list(out, room, at);
        return out;
    }
    if (k->type == CONF_LAYER) {
        const int list = pattern_is_list(at);
        snprintf(out, room, "%s%s%s", list ? "[" : "", (const char *)at, list ? "]" : "");
        return out;
    }
    if (k->type == CONF_DOUBLE) {
        const double x = *(const double *)at;
        text_of_double(number, x);
        snprintf(out, room, "%s", x == CONF_AUTO && conf_takes_auto(k) ? "auto" : number);
        return out;
    }
    const int64_t n = get_int(at, k->size);
    if (n == CONF_AUTO && conf_takes_auto(k)) snprintf(out, room, "auto");
    else if (k->type == CONF_ENUM) snprintf(out, room, "%s", k->names[n]);
    else if (k->type == CONF_BOOL) snprintf(out, room, "%s", n ? "true" : "false");
    else snprintf(out, room, "%lld", (long long)n);
    return out;
}

/* "a", "a or b", "a, b or c"; i counts from 0 of n. */
static const char *joint(int i, int n) { return i == 0 ? "" : i + 1 < n ? ", " : " or "; }

const char *conf_expected(char *out, size_t room, const struct conf_key *k)
{
    char low[TEXT_DOUBLE], high[TEXT_DOUBLE];
    const char *const automatic = conf_takes_auto(k) ? ", or auto" : "";
    size_t n = 0;
    int count = 0;

    text_of_double(low, k->min);
    text_of_double(high, k->max);
    out[0] = '\0';
    switch (k->type) {
    case CONF_INT:
        snprintf(out, room, "a whole number from %s to %s%s", low, high, automatic);
        break;
    case CONF_DOUBLE:
        snprintf(out, room, "a number from %s to %s%s", low, high, automatic);
        break;
    case CONF_BOOL:
        snprintf(out, room, "%s", conf_takes_auto(k) ? "true, false or auto" : "true or false");
        break;
    case CONF_ENUM:
        while (k->names[count]) count++;
        for (int i = 0; i < count && n < room; i++)
            n += (size_t)snprintf(out + n, room - n, "%s%s", joint(i, count), k->names[i]);
        break;
    case CONF_LAYER:
        while (conf_layer(count)) count++;
        for (int i = 0; i < count && n < room; i++)
            n += (size_t)snprintf(out + n, room - n, "%s%s", joint(i, count), conf_layer(i));
        if (n < room) snprintf(out + n, room - n, ", or a list of them");
        break;
    case CONF_TEXT:
        snprintf(out, room, "printable text of at most %zu bytes", k->size - 1);
        break;
    case CONF_WORD:
        snprintf(out, room, "at most %zu letters, digits and %s", k->size - 1, WORD_MARKS);
        break;
    case CONF_LIST:
        snprintf(out, room, "a list of printable texts, at most %zu bytes", k->size - 1);
        break;
    }
    return out;
}
