/* SPDX-License-Identifier: MIT */
/*
 * Slabs: blocks of a class that the unit map does not show. Their frees come to a slow path by themselves, so that a few blocks
 * can be watched while all others of their class stay fast. A slab is a LARGE span of one unit, cut into slots of one class
 * (below FAST_CLASSES), as a SMALL span is; that its `class` is not 0 tells it from a large block. It has none of its class's
 * central list, and nothing of it is ever on a thread's list. Many blocks share a slab, and of it only the pages that they lie
 * in have memory.
 *
 * Z1 a slab's `live` counts the slots in use; it is on the list of its class's slabs with room exactly if it has a free slot;
 *    one without a slot in use is no slab any more, and its span is free.
 *
 * Lock: LOCK_SLABS; LOCK_SPANS is taken under it. Reading what a live block's slab is needs none.
 */
#ifndef MYALLOC_SLAB_H
#define MYALLOC_SLAB_H

#include "base/base.h"
#include "kit/lock.h"
#include "heap/span.h"

/* Whether a span, as span_find gives it, is a slab. */
static inline bool slab_is(const struct span *span) {
    return span->state == SPAN_LARGE && __atomic_load_n(&span->class, __ATOMIC_ACQUIRE) != 0;
}

/* A block of the class, which is below FAST_CLASSES, aligned as the class's are (class_of_aligned). Its bytes are undefined.
 * NULL if memory is refused. */
void *slab_alloc(unsigned class);

/* Frees the block at `p`, in that slab. False if there is none. */
bool slab_free(struct span *slab, void *p);

/* The class of the live block that starts at `p`; 0 if there is none in a slab. */
unsigned slab_class_of(const void *p);

/* True if a block started at `p`, in a slab, and has been freed. */
bool slab_was_block(const void *p);

/* How many there are, their slots in use, and the bytes of these. */
struct slab_totals {
    size_t slabs, blocks, bytes;
};
void slab_count(struct slab_totals *totals);

/* Looks whether Z1 holds. */
struct walk;
void slab_walk(struct walk *walk);

extern HIDDEN const struct lock_set slab_locks;

#endif
