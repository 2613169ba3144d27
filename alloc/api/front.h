/* SPDX-License-Identifier: MIT */
/*
 * The semantics of allocation, once each: what malloc, calloc, realloc, aligned_alloc and free mean, without
 * their names. Failure is NULL with ENOMEM in errno and nothing else changed. `call` names the function that the program
 * called: for messages, and to tell what C++ allocated from what C did.
 *
 * The fast paths are here; the slow parts end in the plain allocation (plain.h) or, while a mode is on (modes.h), in
 * front_watched.h.
 */
#ifndef MYALLOC_FRONT_H
#define MYALLOC_FRONT_H

#include <stdatomic.h>

#include "base/base.h"
#include "base/freelist.h"
#include "kit/report.h"
#include "heap/cache.h"
#include "heap/unitmap.h"

/* Sets errno to ENOMEM on failure. */
void *front_alloc_slow(size_t bytes, const char *call);
/* `counted` is the bin that the free has raised; the unit map may have changed since, so it is not asked again. */
void front_free_slow(void *p, const char *call, size_t bytes, size_t align, struct bin THREAD_SEGMENT *counted);

/* The first block of the list for `bytes`; NULL if it is empty, or if `bytes` is not below `end` (at most EXACT_MAX + 1). */
static ALWAYS_INLINE void *front_pop(size_t bytes, size_t end) {
    COUNT(COUNT_OPS);
    return LIKELY(bytes < end) ? cache_pop(cache_bin(align_up(bytes, CLASS_STEP))) : NULL;
}

/* A block of at least `bytes`, aligned to BLOCK_ALIGN. bytes == 0 gives a block of its own, as glibc does. */
static ALWAYS_INLINE void *front_alloc(size_t bytes, const char *call) {
    void *block = front_pop(bytes, EXACT_MAX + 1);
    return LIKELY(block != NULL) ? block : front_alloc_slow(bytes, call);
}

typedef void front_free_other(void *p, const char *call, size_t bytes, size_t align);

static inline void front_free_outside(void *p, const char *call, size_t bytes, size_t align) {
    front_free_slow(p, call, bytes, align, cache_bin(0));
}

/* Frees as front_free_sized does, if the unit of `p` has an index below `limit`, which is at most unitmap.limit; hands over to
 * `other` if not. */
static ALWAYS_INLINE void front_free_below(size_t limit, front_free_other *other, void *p, const char *call, size_t bytes,
                                           size_t align) {
    COUNT(COUNT_OPS);
    size_t index = unitmap_index(p);
    if (UNLIKELY(index >= limit)) {
        other(p, call, bytes, align);
        return;
    }
    struct bin THREAD_SEGMENT *bin = cache_bin(unitmap.table[index]);
    uint64_t mark = unitmap.mark;
    if (UNLIKELY(++bin->count >= 0 || ((struct block *)p)->mark == mark)) {
        front_free_slow(p, call, bytes, align, bin);
        return;
    }
    ((struct block *)p)->mark = mark;
    ((struct block *)p)->next = bin->head;
    /* The list is valid at every instruction: fork copies it (ORDERED, heap/bins.h). */
    atomic_signal_fence(memory_order_release);
    bin->head = p;
}

/* Frees a block; NULL is allowed. Aborts with a message if `p` cannot be a block. The caller says that it asked for
 * `bytes` (or UNSIZED) and `align` (or 0), which only the checks look at. */
static ALWAYS_INLINE void front_free_sized(void *p, const char *call, size_t bytes, size_t align) {
    front_free_below(unitmap.limit, front_free_outside, p, call, bytes, align);
}

static ALWAYS_INLINE void front_free(void *p, const char *call) {
    front_free_sized(p, call, UNSIZED, 0);
}

void *front_zalloc(size_t count, size_t bytes);
void *front_realloc(void *p, size_t bytes, const char *call);

/* A size that is no multiple of `align` is accepted. NULL if `align` is no power of two, or beyond what any address has. */
void *front_aligned(size_t align, size_t bytes, const char *call);

/* Bytes the program may use at `p`; constant while the block lives. 0 for NULL. Aborts if `p` is no block. */
size_t front_usable(const void *p, const char *call);

/* Bytes that a block would have at least that was asked for so; 0 if there can be none. `align`: 0 or a power of two. */
size_t front_size_for(size_t align, size_t bytes);

/* Gives what this thread and the central lists hold back to the spans, and all free memory but `pad` bytes to the OS. Returns
 * the bytes the OS got. */
size_t front_trim(size_t pad);

#endif
