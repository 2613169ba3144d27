/* SPDX-License-Identifier: MIT */
#include "heap/aside.h"

#include <stdatomic.h>

#include "kit/budget.h"

#define CHUNK (64 * KIB) /* a list of 400 handlers of fork takes 28 KiB, all its growth included */

struct chunk {
    struct chunk *next;
    size_t bytes;         /* of all, this included */
    _Atomic size_t used;
};

/* Before each block. Its address is repeated, so that the start of a block is told from other addresses. */
struct head {
    size_t bytes;
    const void *block;
};

bool aside_all;
static _Atomic(struct chunk *) chunks; /* the newest first; none ever goes */

AT_START void aside_begin(void) {
    if (report_thread.aside++ == 0)
        atomic_fetch_add_explicit(&modes_active, MODE_ASIDE, memory_order_relaxed);
}

AT_START void aside_end(void) {
    if (--report_thread.aside == 0)
        atomic_fetch_sub_explicit(&modes_active, MODE_ASIDE, memory_order_relaxed);
}

void aside_begin_for_all(void) {
    if (aside_all)
        return;
    aside_all = true;
    atomic_fetch_add_explicit(&modes_active, MODE_ASIDE, memory_order_relaxed);
}

/* NULL if the chunk has no room. */
static void *cut(struct chunk *chunk, size_t bytes, size_t align) {
    size_t used = atomic_load_explicit(&chunk->used, memory_order_relaxed), start;
    do {
        start = align_up((uintptr_t)chunk + used + sizeof(struct head), align) - (uintptr_t)chunk;
        if (start > chunk->bytes || chunk->bytes - start < bytes)
            return NULL;
    } while (!atomic_compare_exchange_weak_explicit(&chunk->used, &used, start + align_up(bytes, BLOCK_ALIGN),
                                                    memory_order_relaxed, memory_order_relaxed));
    struct head *head = (struct head *)(void *)((char *)chunk + start) - 1;
    *head = (struct head){bytes, head + 1};
    return head + 1;
}

static struct chunk *add_chunk(size_t least) {
    size_t bytes = max_size(CHUNK, align_up(least, OS_PAGE));
    struct chunk *chunk = budget_map(bytes);
    if (chunk == NULL)
        return NULL;
    chunk->bytes = bytes;
    chunk->used = align_up(sizeof *chunk, BLOCK_ALIGN);
    chunk->next = atomic_load_explicit(&chunks, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&chunks, &chunk->next, chunk, memory_order_release, memory_order_relaxed))
        continue;
    return chunk;
}

void *aside_alloc(size_t bytes, size_t align) {
    bytes = max_size(bytes, 1);
    align = max_size(align, BLOCK_ALIGN);
    if (bytes > SIZE_LIMIT / 4 || align > SIZE_LIMIT / 4)
        return NULL;
    struct chunk *newest = atomic_load_explicit(&chunks, memory_order_acquire);
    void *p = newest != NULL ? cut(newest, bytes, align) : NULL;
    if (p != NULL)
        return p;
    newest = add_chunk(bytes + align + sizeof(struct chunk) + 2 * sizeof(struct head));
    return newest != NULL ? cut(newest, bytes, align) : NULL;
}

size_t aside_bytes(const void *p) {
    const struct chunk *chunk = atomic_load_explicit(&chunks, memory_order_acquire);
    while (chunk != NULL && (uintptr_t)p - (uintptr_t)chunk >= chunk->bytes)
        chunk = chunk->next;
    if (chunk == NULL || (uintptr_t)p % BLOCK_ALIGN != 0 ||
        (uintptr_t)p - (uintptr_t)chunk < sizeof *chunk + sizeof(struct head))
        return 0;
    const struct head *head = (const struct head *)p - 1;
    return head->block == p ? head->bytes : 0;
}
