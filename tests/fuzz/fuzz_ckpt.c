/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint with one writer file, as sections MANIFEST and w000.ttc.  Leaves, hashes and the
 * root are made right wherever a record can be read at all: only its meaning can be refused. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "src/base/bytes.h"
#include "src/base/mem.h"
#include "src/base/status.h"
#include "src/infer/load.h"
#include "src/store/ckpt.h"
#include "src/store/dims_json.h"
#include "src/store/manifest.h"
#include "src/store/shuffle.h"
#include "src/store/tile.h"
#include "tests/fuzz/fuzz.h"

/* Places in the header of a record: store/FORMAT.md. */
enum { DTYPE = 264, CODEC = 488, FILTER = 492, STORED = 496, LEAF = 504, PAYLOAD = 520,
       HASH = 536 };
enum { MOST_TENSOR = 1 << 24, MOST_PARAMETERS = 1000000 };

static uint8_t unpacked[TILE_BYTES], raw[TILE_BYTES];

/* The leaf of a record whose payload can be unpacked, else what it says. */
static struct hash leaf_of(const uint8_t *head, const uint8_t *payload, size_t stored)
{
    const char *dtype = (const char *)head + DTYPE;
    const int size = strstr(dtype, "64") ? 8 : strstr(dtype, "32") ? 4 : 2;
    const uint8_t *bytes = payload;
    size_t n = stored;

    if (get_u32(head + CODEC) == 1) {
        n = ZSTD_decompress(unpacked, sizeof unpacked, payload, stored);
        if (ZSTD_isError(n)) return hash_load(head + LEAF);
        bytes = unpacked;
    }
    if (get_u32(head + FILTER) == 1 && n <= sizeof raw) {
        unshuffle(raw, bytes, (int64_t)n / size, size);
        bytes = raw;
    }
    struct hasher *h = hasher_new();
    hasher_add(h, head, CODEC);
    hasher_add(h, bytes, n);
    const struct hash leaf = hasher_get(h);
    hasher_free(h);
    return leaf;
}

/* Headers of the records before `end`, and their leaves in the index after it. */
static void repair_records(uint8_t *file, size_t end, struct hash *leaves, size_t tiles)
{
    size_t at = 0;

    for (size_t k = 0; k < tiles; k++) {
        uint8_t *head = file + at, *entry = file + end + k * 48;
        if (end - at < TILE_HEAD) {
            leaves[k] = hash_load(entry + 32);
            continue;
        }
        head[DTYPE + 7] = '\0';
        uint64_t stored = get_u64(head + STORED);
        if (stored > end - at - TILE_HEAD) stored = end - at - TILE_HEAD;
        leaves[k] = leaf_of(head, head + TILE_HEAD, stored);
        hash_store(head + LEAF, leaves[k]);
        hash_store(head + PAYLOAD, hash_bytes(head + TILE_HEAD, stored));
        hash_store(head + HASH, hash_bytes(head, HASH));
        hash_store(entry + 32, leaves[k]);
        at += TILE_HEAD + stored;
    }
}

static json_t *hex(struct hash h)
{
    char text[HASH_HEX];
    hash_hex(text, h);
    return json_string(text);
}

/* Both files with right hashes; a MANIFEST that is no JSON only gets its own. */
static void repair(const struct section *manifest, uint8_t *file, size_t n)
{
    json_t *m = json_loadb((const char *)manifest->data, manifest->n, 0, NULL);
    json_t *first = json_array_get(json_object_get(m, "files"), 0);
    json_t *scalars = json_object_get(m, "scalars");
    const json_int_t said = json_integer_value(json_object_get(first, "tiles"));
    size_t sealed, tiles = said > 0 && (uint64_t)said <= n / 48 ? (size_t)said : 0;
    const uint8_t *bytes = manifest->data;
    size_t count = manifest->n;
    char *text = NULL;

    if (json_is_object(first) && json_is_object(scalars)) {
        struct hash *leaves = mem_new((int64_t)tiles + 1, sizeof *leaves, "leaves");
        const size_t end = n - 48 * tiles;
        repair_records(file, end, leaves, tiles);
        json_object_set_new(first, "bytes", json_integer((json_int_t)n));
        json_object_set_new(first, "index", hex(hash_bytes(file + end, n - end)));
        json_object_set_new(m, "root", hex(manifest_root(leaves, (int64_t)tiles, scalars)));
        mem_free(leaves);
        text = json_dumps(m, JSON_SORT_KEYS | JSON_COMPACT);
    }
    if (text) {
        bytes = (const uint8_t *)text;
        count = strlen(text) + 1;
        text[count - 1] = '\n';
    }
    char *whole = fuzz_seal_text(bytes, count, "XXH3-128 ", &sealed);
    fuzz_put("MANIFEST", whole, sealed);
    fuzz_put("w000.ttc", file, n);
    mem_free(whole);
    free(text);
    json_decref(m);
}

static void as_model(const struct ckpt *c, const char *folder)
{
    struct param_table t = { 0 };
    struct dims d;
    struct model *m;
    struct load_info info;

    if (dims_of_info(&d, ckpt_info(c), folder) != OK) return;
    const int good = model_layout(&t, &d) == OK && t.total <= MOST_PARAMETERS;
    param_done(&t);
    if (!good) return;
    if (load_model(&m, &info, folder) == OK) model_free(m);
    load_done(&info);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct sections rest = sections_of(data, n);
    struct section s, manifest = { .n = 0 }, tiles = { .n = 0 };
    const char *folder = fuzz_folder();
    struct ckpt *c;

    while (section_next(&s, &rest)) {
        if (!strcmp(s.name, "MANIFEST")) manifest = s;
        if (!strcmp(s.name, "w000.ttc")) tiles = s;
    }
    uint8_t *file = mem_new((int64_t)tiles.n + 1, 1, "file");
    if (tiles.n) memcpy(file, tiles.data, tiles.n);
    repair(&manifest, file, tiles.n);
    mem_free(file);
    if (ckpt_open(&c, folder) != OK) return 0;
    for (int i = 0; i < ckpt_count(c); i++) {
        const struct tensor *t = ckpt_tensor(c, i);
        const int64_t size = tensor_n(t) * dtype_bytes(t->dtype);
        if (size > MOST_TENSOR) continue;
        void *room = mem_new(size ? size : 1, 1, "tensor");
        (void)ckpt_read(c, i, room);
        mem_free(room);
    }
    (void)ckpt_verify(c);
    as_model(c, folder);
    ckpt_close(c);
    return 0;
}
