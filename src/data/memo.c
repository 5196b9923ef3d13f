/* SPDX-License-Identifier: Apache-2.0 */
#include "src/data/memo.h"

#include <pthread.h>
#include <string.h>

#include "src/base/hash.h"
#include "src/base/mem.h"
#include "src/base/status.h"

enum { PLACES = 1 << 14 };  /* 1 MiB */

struct memo { struct memo *next; struct memo_entry e[PLACES]; };

struct memos { pthread_mutex_t lock; struct memo *idle; };

struct memos *memos_new(void)
{
    struct memos *all = mem_new(1, sizeof *all, "memos");
    check(pthread_mutex_init(&all->lock, NULL) == 0);
    return all;
}

void memos_free(struct memos *all)
{
    if (!all) return;
    for (struct memo *m = all->idle, *next; m; m = next) {
        next = m->next;
        mem_free(m);
    }
    check(pthread_mutex_destroy(&all->lock) == 0);
    mem_free(all);
}

struct memo *memos_take(struct memos *all)
{
    check(pthread_mutex_lock(&all->lock) == 0);
    struct memo *m = all->idle;
    if (m) all->idle = m->next;
    check(pthread_mutex_unlock(&all->lock) == 0);
    return m ? m : mem_new(1, sizeof *m, "memo of a tokenizer");
}

void memos_give(struct memos *all, struct memo *m)
{
    check(pthread_mutex_lock(&all->lock) == 0);
    m->next = all->idle;
    all->idle = m;
    check(pthread_mutex_unlock(&all->lock) == 0);
}

struct memo_entry *memo_find(struct memo *m, const char *text, int64_t n, int *known)
{
    struct memo_entry *e = &m->e[hash_bytes(text, (size_t)n).lo % PLACES];
    *known = e->n == n && memcmp(e->text, text, (size_t)n) == 0;
    return e;
}

void memo_put(struct memo_entry *e, const char *text, int64_t n, const int32_t *ids,
              int64_t count)
{
    if (count > MEMO_IDS) return;
    e->n = (uint8_t)n;
    e->count = (uint8_t)count;
    memcpy(e->text, text, (size_t)n);
    memcpy(e->ids, ids, (size_t)count * sizeof *ids);
}
