/* SPDX-License-Identifier: Apache-2.0 */
/* Records of files and of standard input: zstd frames of all kinds, pipes that bring a byte at a
 * time, byte order marks, and what is lost where a file is cut or damaged. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "data_prep/decoder.h"
#include "data_prep/format.h"
#include "data_prep/frame.h"
#include "data_prep/reader.h"
#include "data_prep/source.h"
#include "src/base/bytes.h"
#include "src/base/file.h"
#include "src/base/limit.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/status.h"

#include <cmocka.h>

static char dir[] = "/tmp/ttt-reader.XXXXXX";

/* Bytes that grow. */
struct bytes { char p[1 << 20]; int64_t n; };
static struct bytes content, packed;

static void add(struct bytes *b, const void *p, int64_t n)
{
    assert_true(b->n + n <= (int64_t)sizeof b->p);
    memcpy(b->p + b->n, p, (size_t)n);
    b->n += n;
}

/* A zstd frame of the library's.  flags: 1: it tells its size; 2: it has no checksum. */
static void add_frame(const char *p, int64_t n, int flags)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    char *out = malloc(ZSTD_compressBound((size_t)n));
    ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, flags & 1);
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, !(flags & 2));
    const size_t size = ZSTD_compress2(c, out, ZSTD_compressBound((size_t)n), p, (size_t)n);
    assert_false(ZSTD_isError(size));
    add(&packed, out, (int64_t)size);
    free(out);
    ZSTD_freeCCtx(c);
}

/* One of our own: a window of 2^log bytes and a single block as it is. */
static void add_window(int log, const char *p, int64_t n)
{
    const unsigned char head[6] = { 0x28, 0xb5, 0x2f, 0xfd, 0, (unsigned char)((log - 10) << 3) };
    const uint32_t block = (uint32_t)n << 3 | 1;
    const unsigned char size[3] = { (unsigned char)block, (unsigned char)(block >> 8),
                                    (unsigned char)(block >> 16) };
    add(&packed, head, 6);
    add(&packed, size, 3);
    add(&packed, p, n);
}

static void add_skipped(int kind, int64_t n)
{
    unsigned char head[8];
    put_u32(head, 0x184d2a50u + (uint32_t)kind);
    put_u32(head + 4, (uint32_t)n);
    add(&packed, head, 8);
    for (int64_t i = 0; i < n; i++) add(&packed, "\x28", 1);
}

/* Lines of JSON that do not compress to nothing: blocks of some 128 KiB. */
static void make_content(int64_t lines)
{
    char line[200];
    content.n = 0;
    for (int64_t i = 0; i < lines; i++)
        add(&content, line, sprintf(line, "{\"text\": \"%lld %016llx %016llx %016llx\"}\n", (long long)i,
                                    (unsigned long long)rng_u64(1, 3 * (uint64_t)i),
                                    (unsigned long long)rng_u64(1, 3 * (uint64_t)i + 1),
                                    (unsigned long long)rng_u64(1, 3 * (uint64_t)i + 2)));
}

struct all { char *raw; int64_t n, records, bad, rests, bytes; char why[400]; struct data_place next; };

/* Everything from a place on: raw bytes of good records, one after another, and counts. */
static struct all read_from(const char *path, int jsonl, int zst, struct data_place from, int64_t most)
{
    const int is_stdin = !strcmp(path, "-");
    struct input input = { .path = (char *)(uintptr_t)path, .size = -1,
                           .format = format_of_name(jsonl ? "jsonl" : "txt"),
                           .decoder = zst < 0 ? NULL : decoder_of_name(zst ? "zstd" : "none") };
    struct inputs in = { .v = &input, .n = 1 };
    int fd = -1, more = 1;

    if (!is_stdin) {
        assert_int_equal(file_open(&fd, &input.size, path), OK);
        file_close(fd);
    }
    struct reader *r = reader_new(&in, from);
    struct all a = { .raw = malloc(sizeof content.p) };
    while (a.records < most) {
        struct record x;
        assert_int_equal(reader_next(r, &x, &more), OK);
        if (!more) break;
        a.records++;
        a.bytes += x.bytes;
        a.rests += x.rest;
        a.next = x.next;
        if (x.bad) {
            a.bad++;
            snprintf(a.why, sizeof a.why, "%s", x.bad);
        } else {
            memcpy(a.raw + a.n, x.raw, (size_t)x.n);
            a.n += x.n;
            if (jsonl) a.raw[a.n++] = '\n';
        }
        mem_free(x.raw);
        mem_free(x.bad);
    }
    reader_free(r);
    return a;
}

static struct all read_all(const char *path, int jsonl, int zst)
{
    return read_from(path, jsonl, zst, (struct data_place){ 0 }, INT64_MAX);
}

/* Packed bytes as a file. */
static const char *put(const char *name, const struct bytes *b)
{
    static char path[100];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(file_replace(path, b->p, (size_t)b->n), OK);
    return path;
}

struct pipe { int fd; const struct bytes *b; int64_t step; };

static void *feed(void *arg)
{
    const struct pipe *p = arg;
    for (int64_t at = 0, n; at < p->b->n; at += n) {
        n = at < 2000 ? p->step : 4096;
        if (n > p->b->n - at) n = p->b->n - at;
        if (write(p->fd, p->b->p + at, (size_t)n) != n) break;
        if (at < 160) usleep(300);  /* so that the first reads see one byte */
    }
    close(p->fd);
    return NULL;
}

/* The same through a pipe. */
static struct all read_piped(const struct bytes *b, int jsonl, int64_t step)
{
    const int keep = dup(STDIN_FILENO);
    struct pipe p = { .b = b, .step = step };
    pthread_t thread;
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    p.fd = ends[1];
    if (step == 1) fcntl(ends[0], F_SETFL, O_NONBLOCK);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    assert_int_equal(pthread_create(&thread, NULL, feed, &p), 0);
    const struct all a = read_all("-", jsonl, -1);
    dup2(keep, STDIN_FILENO);  /* closes the reading end */
    close(keep);
    pthread_join(thread, NULL);
    return a;
}

static void is_content(struct all a, int64_t bytes)
{
    if (a.bad) fail_msg("%s", a.why);
    assert_int_equal(a.n, content.n);
    assert_memory_equal(a.raw, content.p, (size_t)a.n);
    assert_int_equal(a.bytes, bytes);
    free(a.raw);
}

/* As a file and through pipes of several widths. */
static void packed_is_content(const char *name)
{
    is_content(read_all(put(name, &packed), 1, 1), content.n);
    for (int64_t step = 1; step < 100000; step *= 7)
        is_content(read_piped(&packed, 1, step), content.n);
}

static void frames_of_all_kinds(void **state)
{
    (void)state;
    make_content(3000);
    packed.n = 0;
    add_frame(content.p, content.n, 1);
    packed_is_content("one.zst");

    for (int kind = 0; kind < 16; kind += 5) {  /* skippable in front, between and at the end */
        packed.n = 0;
        add_skipped(kind, kind * 11);
        add_skipped(kind, 0);
        add_frame(content.p, 1000, kind & 1);
        add_skipped(kind, 70000);
        add_frame(content.p + 1000, content.n - 1000, 0);
        add_skipped(kind, 3);
        packed_is_content("skipped.zst");
    }
    packed.n = 0;
    for (int64_t at = 0; at < content.n; at += 777)
        add_frame(content.p + at, content.n - at < 777 ? content.n - at : 777, at % 2);
    packed_is_content("many.zst");

    is_content(read_piped(&content, 1, 1), content.n);  /* not compressed */
}

/* Windows up to 2 GiB, as of zstd --long=31, and their memory is counted. */
static void windows(void **state)
{
    char text[100];
    int64_t got = 0;
    (void)state;

    for (int log = 10; log <= 33; log++) {
        if (((int64_t)1 << log) + ((int64_t)64 << 20) > limit_memory() && log < 32) continue;
        packed.n = 0;
        add_window(log, "{\"text\": \"x\"}\n", 14);
        assert_int_equal(frame_look(packed.p, packed.n).window, (int64_t)1 << log);
        const char *path = put("window.zst", &packed);
        struct all a = read_all(path, 1, 1);
        assert_int_equal(a.bad, log > 31);
        assert_int_equal(a.n, log > 31 ? 0 : 14);
        if (log > 31) assert_non_null(strstr(a.why, "byte 0 needs a window of"));
        if (log > 31) assert_non_null(strstr(a.why, "; compress it again with zstd --long=31"));
        free(a.raw);
        if (log > 31) continue;

        struct input in = { .path = (char *)(uintptr_t)path,
                            .format = format_of_name("jsonl"),
                            .decoder = decoder_of_name("zstd") };
        struct source *s;
        const int64_t before = mem_live_bytes();
        assert_int_equal(source_open(&s, &in, 0), OK);
        for (int64_t n = 0; n < 14; n += got) {
            assert_int_equal(source_read(s, text, sizeof text, &got), OK);
            assert_true(got > 0);
        }
        assert_true(mem_live_bytes() - before >= (int64_t)1 << log);
        source_close(s);
        assert_int_equal(mem_live_bytes(), before);
    }
}

/* The head of a later frame may come byte by byte, too. */
static void window_in_a_pipe(void **state)
{
    (void)state;
    packed.n = 0;
    add_skipped(0, 100);
    add_window(32, "{\"text\": \"x\"}\n", 14);
    struct all a = read_piped(&packed, 1, 1);
    assert_true(a.bad == 1 && strstr(a.why, "the zstd frame at byte 108 needs a window of"));
    free(a.raw);
}

/* Wherever a file is cut, the whole lines before are read, and all bytes are accounted for. */
static void cut_files(void **state)
{
    (void)state;
    make_content(8000);  /* four blocks */
    packed.n = 0;
    add_skipped(3, 5);
    add_frame(content.p, content.n, 1);
    const int64_t whole = packed.n;
    int64_t some = 0;
    for (int64_t at = 1; at < whole; at += at < 40 ? 1 : 9973) {
        struct bytes *b = &packed;
        b->n = at;
        struct all a = read_all(put("cut.zst", b), 1, 1);
        struct all text = read_all(put("cut.txt.zst", b), 0, 1);  /* one document: all of it is lost */
        assert_int_equal(text.n, 0);
        if (at > 40) assert_int_equal(text.bytes, content.n);
        free(text.raw);
        b->n = whole;
        if (at == 13) {  /* nothing but a skippable frame */
            assert_non_null(strstr(a.why, "empty file"));
            free(a.raw);
            continue;
        }
        char where[100];
        snprintf(where, sizeof where, "the file ends at byte %lld inside the zstd frame that begins "
                 "at byte %d: ", (long long)at, at < 13 ? 0 : 13);
        if (a.bad != 1 || !strstr(a.why, where)) fail_msg("cut at %lld: %s", (long long)at, a.why);
        assert_memory_equal(a.raw, content.p, (size_t)a.n);
        assert_int_equal(a.rests, 1);
        if (at > 40) assert_int_equal(a.bytes, content.n);
        some += a.n > 100000 && a.n < content.n;
        free(a.raw);
    }
    assert_true(some > 10);
}

/* Where the second block of the frame at p begins (RFC 8878, 3.1.1). */
static char *second_block(char *p)
{
    static const int content_bytes[] = { 0, 2, 4, 8 };
    const int flags = (unsigned char)p[4], single = flags >> 5 & 1;
    int bytes = content_bytes[flags >> 6];
    if (single && !bytes) bytes = 1;
    p += 5 + !single + bytes;
    const uint32_t block = (uint32_t)(unsigned char)p[0] | (uint32_t)(unsigned char)p[1] << 8 |
                           (uint32_t)(unsigned char)p[2] << 16;
    return p + 3 + (block >> 3);
}

/* Bytes that come before an error when `room` are asked for at a time; its words in `why`. */
static int64_t read_rooms(const char *path, int64_t room, char why[400])
{
    struct input in = { .path = (char *)(uintptr_t)path,
                            .format = format_of_name("jsonl"),
                            .decoder = decoder_of_name("zstd") };
    char *part = malloc((size_t)room);
    struct source *s;
    int64_t n = 0, got = 1;
    int rc = source_open(&s, &in, 0);

    while (rc == OK && got > 0) {
        rc = source_read(s, part, room, &got);
        assert_memory_equal(part, content.p + n, (size_t)got);
        n += got;
    }
    assert_int_equal(rc, ERR_DATA);
    snprintf(why, 400, "%s", source_why(s));
    source_close(s);
    free(part);
    return n;
}

/* How much is asked for at a time changes neither what is given nor what is said. */
static void rooms(void **state)
{
    char why[2][400];
    (void)state;

    make_content(8000);
    packed.n = 0;
    add_frame(content.p, content.n, 1);
    *second_block(packed.p) |= 6;
    const char *path = put("rooms.zst", &packed);
    const int64_t n = read_rooms(path, 1 << 20, why[0]);
    assert_true(n > 50000);
    for (int64_t room = 1; room < 1000000; room = 5 * room + 2) {
        assert_int_equal(read_rooms(path, room, why[1]), n);
        assert_string_equal(why[0], why[1]);
    }

    packed.n = 0;  /* frames that fill the room to the last byte, the last one cut */
    int64_t last = 0;
    for (int64_t i = 0; i < 5; i++) {
        last = packed.n;
        add_frame(content.p + 777 * i, 777, 1 | 2);
    }
    packed.n -= 9;
    assert_int_equal(read_rooms(put("rooms.zst", &packed), 777, why[0]), 4 * 777);
    snprintf(why[1], 400, "the zstd frame that begins at byte %lld: 0 of 777", (long long)last);
    assert_non_null(strstr(why[0], why[1]));
}

/* The block before a damaged one is read; a whole frame before it, too. */
static void damaged_files(void **state)
{
    (void)state;
    make_content(8000);
    for (int sum = 0; sum < 2; sum++) {  /* what the decoder sees at once, or by the checksum only */
        packed.n = 0;
        add_frame(content.p, 100000, 1);
        const int64_t first = packed.n;
        add_frame(content.p + 100000, content.n - 100000, 1);
        if (sum) packed.p[packed.n - 1] ^= 0x55;
        else *second_block(packed.p + first) |= 6;  /* a kind of block that there is not */
        struct all a = read_all(put("damaged.zst", &packed), 1, 1);
        char where[60];
        snprintf(where, sizeof where, sum ? "the content of the zstd frame from byte %lld to byte"
                 : "zstd frame that begins at byte %lld: ", (long long)first);
        if (a.bad != 1 || !strstr(a.why, where)) fail_msg("'%s' is not in '%s'", where, a.why);
        assert_true(a.n > 200000 && (a.n == content.n) == sum);
        assert_memory_equal(a.raw, content.p, (size_t)a.n);
        if (!sum) assert_true(llabs(a.bytes - content.n) < content.n / 50);  /* an estimate */
        else assert_true(a.bytes >= 2 * content.n - 100000);  /* given, and lost */
        free(a.raw);
    }
    char where[60];
    struct all a;

    packed.n = 0;
    add_frame(content.p, 1000, 1);
    packed.p[4] = (char)(packed.p[4] | 1);  /* a dictionary's number follows, of one byte */
    memmove(packed.p + 6, packed.p + 5, (size_t)packed.n++ - 5);
    packed.p[5] = 7;
    a = read_all(put("dictionary.zst", &packed), 1, 1);
    assert_true(a.bad == 1 && strstr(a.why, "the zstd frame at byte 0 was made with a dictionary"));
    free(a.raw);

    packed.n = 0;  /* other bytes after a frame */
    add_frame(content.p, 100000, 1);
    const int64_t first = packed.n;
    add(&packed, "\n", 1);
    a = read_all(put("more.zst", &packed), 1, 1);
    snprintf(where, sizeof where, "expected a zstd frame at byte %lld", (long long)first);
    assert_true(a.bad == 1 && strstr(a.why, where));
    free(a.raw);
}

/* Reading begins anywhere a record ends, and brings the same. */
static void resumed(void **state)
{
    (void)state;
    make_content(300);
    struct bytes *b = &packed;
    b->n = 0;
    add(b, "\xef\xbb\xbf", 3);
    for (int64_t i = 0; i < content.n; i++) {
        add(b, content.p + i, 1);
        if (content.p[i] == '\n' && i % 3 == 0) add(b, "\r\n \n\xef\xbb\xbf\n\xef\xbb\xbf", 11);
    }
    for (int zst = 0; zst < 2; zst++) {
        static struct bytes plain;
        if (!zst) plain = *b;
        if (zst) {
            b->n = 0;
            add_frame(plain.p, 5000, 0);
            add_skipped(1, 1);
            add_frame(plain.p + 5000, plain.n - 5000, 1);
        }
        const char *path = put(zst ? "r.zst" : "r", b);
        for (int64_t most = 1; most <= 300; most += 23) {
            struct all head = read_from(path, 1, zst, (struct data_place){ 0 }, most);
            struct all tail = read_from(path, 1, zst, head.next, INT64_MAX);
            assert_int_equal(head.bad + tail.bad, 0);
            assert_int_equal(head.n + tail.n, content.n);
            assert_memory_equal(head.raw, content.p, (size_t)head.n);
            assert_memory_equal(tail.raw, content.p + head.n, (size_t)tail.n);
            free(head.raw);
            free(tail.raw);
        }
    }
}

static void text_files(void **state)
{
    static const struct { const char *text; int64_t n; const char *raw, *why; } rows[] = {
        { "\xef\xbb\xbfhello\n", 9, "hello\n", NULL },
        { "hello\n", 6, "hello\n", NULL },
        { "a\xef\xbb\xbf", 4, "a\xef\xbb\xbf", NULL },
        { "\xef\xbb\xbf", 3, "", "no document in it" },
        { "", 0, "", "empty file" },
        { "\xff\xfeh\0i\0", 6, "", ":1: expected UTF-8, found UTF-16 text (little-endian); convert" },
        { "h\0i\0", 4, "", "found UTF-16 text (little-endian, without a byte order mark); " },
        { "\x1f\x8b\x08 and more", 12, "", "found a file compressed with gzip; convert it with: gzip -dc" },
        { "\x28\xb5\x2f\xfd", 4, "", "found a file compressed with zstd" },
    };
    static struct bytes b;
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        b.n = 0;
        add(&b, rows[i].text, rows[i].n);
        packed.n = 0;
        add_frame(b.p, b.n, 1);
        for (int how = 0; how < 3; how++) {
            struct all a = how == 2 && i < 7 ? read_piped(&b, 0, 1) : how == 1
                         ? read_all(put("t.zst", &packed), 0, 1) : read_all(put("t.txt", &b), 0, 0);
            assert_int_equal(a.records, 1);
            assert_int_equal(a.n, strlen(rows[i].raw));
            assert_memory_equal(a.raw, rows[i].raw, (size_t)a.n);
            assert_int_equal(a.bad, rows[i].why != NULL);
            assert_int_equal(a.rests, a.bad);
            if (how == 2 && i < 7 && rows[i].why && strstr(rows[i].why, "convert"))
                assert_non_null(strstr(a.why, "pipe it through a converter: "));
            else if (rows[i].why && !strstr(a.why, rows[i].why)) fail_msg("%s: %s", rows[i].why, a.why);
            assert_int_equal(a.bytes, how == 2 && i == 4 ? 0 : rows[i].n == 3 ? a.bytes : rows[i].n);
            free(a.raw);
        }
    }
}

static int begin(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : 1;
}

static int end(void **state)
{
    (void)state;
    return dir_remove(dir) == OK ? 0 : 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_all_kinds), cmocka_unit_test(windows),
        cmocka_unit_test(window_in_a_pipe), cmocka_unit_test(cut_files), cmocka_unit_test(damaged_files), cmocka_unit_test(resumed),
        cmocka_unit_test(text_files), cmocka_unit_test(rooms),
    };
    signal(SIGPIPE, SIG_IGN);  /* a reader that has seen enough */
    const int failed = cmocka_run_group_tests(tests, begin, end);
    return failed || mem_live_blocks() != 0;
}
