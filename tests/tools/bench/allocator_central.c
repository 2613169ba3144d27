/* SPDX-License-Identifier: MIT */
/* An allocator with one lock for all, which is held for most of each call. Nothing is ever freed. */
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

enum { HEAP = 1 << 26, HEAD = 16, SECTION = 400 };

static _Alignas(64) _Atomic int central_lock;
static _Alignas(64) volatile long central_work;
static _Alignas(64) char heap[HEAP];
static size_t used;

static void *take(size_t alignment, size_t size) {
    while (atomic_exchange(&central_lock, 1) != 0)
        while (atomic_load_explicit(&central_lock, memory_order_relaxed) != 0)
            ;
    for (int i = 0; i < SECTION; i++)
        central_work = i;
    size_t start = (used + HEAD + alignment - 1) / alignment * alignment;
    char *p = size < HEAP && start + size <= HEAP ? heap + start : NULL;
    if (p != NULL) {
        memcpy(p - HEAD, &size, sizeof size);
        used = start + size;
    }
    atomic_store_explicit(&central_lock, 0, memory_order_release);
    return p;
}

void *malloc(size_t size) {
    return take(HEAD, size);
}

void *calloc(size_t count, size_t size) {
    return take(HEAD, count * size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return take(alignment > HEAD ? alignment : HEAD, size);
}

void *realloc(void *old, size_t size) {
    size_t had = 0;
    void *p = take(HEAD, size);
    if (old != NULL)
        memcpy(&had, (char *)old - HEAD, sizeof had);
    return p != NULL ? memcpy(p, old != NULL ? old : p, had < size ? had : size) : NULL;
}

void free(void *p) {
    (void)p;
}
