/* SPDX-License-Identifier: Apache-2.0 */
/* What a data set was made from: another option or input is found and named, the same one is known
 * again, and a file's content is believed unread only if nothing can have changed it. */
#include "tests/unit/store_test.h"

#include "data_prep/find.h"
#include "data_prep/format.h"
#include "data_prep/origin_memo.h"

static void put_text(const char *path, const char *text) { put_file(path, text, strlen(text)); }

/* Three files whose content is known, and two options. */
static void make(struct origin *o)
{
    static const char *const names[] = { "a.txt", "b.txt", "c\033.txt" };
    *o = (struct origin){ .began_ns = 50 * ORIGIN_MARGIN_NS };
    origin_option(o, "--field", "%s", "text");
    origin_option(o, "--level", "%d", 3);
    for (int i = 0; i < 3; i++) {
        const char *path = at(names[i]);
        put_text(path, names[i]);
        assert_int_equal(inputs_add(&o->in, path, NULL), OK);
        o->in.v[i].changed_ns = (7 + i) * ORIGIN_MARGIN_NS;
    }
    assert_int_equal(origin_digest(o, at("nowhere"), 2), OK);
    o->began_ns = 50 * ORIGIN_MARGIN_NS;
}

static void contents_decide(void **state)
{
    (void)state;
    struct origin a, b;

    make(&a);
    make(&b);
    assert_true(hash_equal(a.in.v[1].content, hash_bytes("b.txt", 5)));
    const struct hash same = origin_inputs_hash(&a);
    b.in.v[1].inode++;
    b.in.v[1].changed_ns++;
    b.in.v[2].path[0] = 'x';
    assert_true(hash_equal(origin_inputs_hash(&b), same));
    const struct input keep = b.in.v[1];
    b.in.v[1].content.hi ^= 1;
    assert_false(hash_equal(origin_inputs_hash(&b), same));
    b.in.v[1] = keep;
    b.in.v[1].size++;
    assert_false(hash_equal(origin_inputs_hash(&b), same));
    b.in.v[1] = keep;
    b.in.v[1].format = format_of_name("jsonl");
    assert_false(hash_equal(origin_inputs_hash(&b), same));
    b.in.v[1] = b.in.v[0];
    b.in.v[0] = keep;
    assert_false(hash_equal(origin_inputs_hash(&b), same));
    origin_done(&a);
    origin_done(&b);
}

static void the_memo_is_believed_only_if_certain(void **state)
{
    (void)state;
    static const struct { int64_t inode, size, changed, began; int at, known; } cases[] = {
        { 0, 0, 0, 0, 1, 1 },  /* as recorded */
        { 1, 0, 0, 0, 1, 0 }, { 0, 1, 0, 0, 1, 0 }, { 0, 0, 1, 0, 1, 0 }, { 0, 0, -1, 0, 1, 0 },
        { 0, 0, 0, 0, 2, 0 },  /* another place */
        { 0, 0, 0, 0, 3, 0 },  /* after the last */
        { 0, 0, 0, 8 * ORIGIN_MARGIN_NS + 1000, 1, 0 },  /* looked at too shortly after */
        { 0, 0, 0, 9 * ORIGIN_MARGIN_NS, 1, 1 },
    };
    struct origin o;
    struct memo_of_inputs m;

    make(&o);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct input x = o.in.v[1];
        const int64_t began = o.began_ns;
        if (cases[i].began) o.began_ns = cases[i].began;
        assert_int_equal(origin_write(&o, at(".")), OK);
        o.began_ns = began;
        x.known = 0;
        x.content = (struct hash){ 0, 0 };
        x.inode += (uint64_t)cases[i].inode;
        x.size += cases[i].size;
        x.changed_ns += cases[i].changed;
        origin_memo_read(&m, at("."));
        assert_int_equal(m.n, 3);
        origin_memo_use(&m, &x, cases[i].at);
        origin_memo_done(&m);
        assert_int_equal(x.known, cases[i].known);
        assert_int_equal(hash_equal(x.content, o.in.v[1].content), cases[i].known);
    }
    origin_done(&o);
}

/* Any byte of it: then it says nothing, and nothing wrong. */
static void a_damaged_memo_is_none(void **state)
{
    (void)state;
    struct origin o;
    struct memo_of_inputs m;
    char *text = NULL;
    size_t n = 0;

    make(&o);
    assert_int_equal(origin_write(&o, at(".")), OK);
    char *path = mem_string(at("INPUTS"));
    assert_int_equal(file_slurp(&text, &n, path, 1 << 20), OK);
    for (size_t i = 0; i < n; i++) {
        text[i] ^= 4;
        put_file(path, text, n);
        origin_memo_read(&m, at("."));
        if (m.n || m.options) assert_true(i >= n - 3);  /* after the digits of the hash */
        origin_memo_done(&m);
        text[i] ^= 4;
    }
    for (size_t k = 0; k < n; k += 7) {
        put_file(path, text, k);
        origin_memo_read(&m, at("."));
        assert_int_equal(m.n + m.options, 0);
        origin_memo_done(&m);
    }
    mem_free(text);
    mem_free(path);
    origin_done(&o);
}

static void differs(const struct origin *o, const char *want)
{
    char *found = origin_difference(o, at("."));
    if (!want) assert_null(found);
    else if (!found || !strstr(found, want)) fail_msg("'%s' has no '%s'", found ? found : "", want);
    mem_free(found);
}

static void differences_are_named(void **state)
{
    (void)state;
    struct origin o;

    make(&o);
    assert_int_equal(origin_write(&o, at(".")), OK);
    differs(&o, NULL);
    o.option[1].value[0] = '9';
    differs(&o, "--level was 3, and is 9 now");
    o.option[1].value[0] = '3';
    const struct input keep = o.in.v[2];
    o.in.v[2].size = 77;
    differs(&o, "c\\x1b.txt had 6 bytes, and now has 77");  /* its name as in the record */
    o.in.v[2] = keep;
    o.in.v[2].content.lo++;
    differs(&o, "has the same size, but other content");
    o.in.v[2] = keep;
    o.in.n = 2;
    differs(&o, "was an input, but is not among the inputs now");
    o.in.n = 3;
    origin_done(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contents_decide),
        cmocka_unit_test(the_memo_is_believed_only_if_certain),
        cmocka_unit_test(a_damaged_memo_is_none),
        cmocka_unit_test(differences_are_named),
    };
    return cmocka_run_group_tests(tests, work_make, work_remove);
}
