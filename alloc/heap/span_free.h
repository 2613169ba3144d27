/* SPDX-License-Identifier: MIT */
/*
 * What the files of the page heap share (span.h): its state, and the free spans in it. span.c takes them, span_return.c brings
 * spans back and gives their memory to the OS, span_walk.c looks at all. Nobody else includes this.
 *
 * A free span is in a tree by length and address, where it is found best fit, and its neighbours are never free (S2, S3). Which
 * of its units are dirty, so that they hold memory, and since when is said of units, so that cuts and merges lose nothing.
 *
 * Caller holds LOCK_SPANS, which is page_heap.lock.
 */
#ifndef MYALLOC_SPAN_FREE_H
#define MYALLOC_SPAN_FREE_H

#include "base/sizeclass.h"
#include "kit/lock.h"
#include "heap/region.h"
#include "heap/span_tree.h"

struct page_heap {
    struct lock lock;
    uint32_t crowded;              /* how often it was taken when it was wanted for a large block (span_lock_for_large) */
    bool hidden;                   /* small spans are not in the unit map (span_show) */
    size_t kept_units;             /* of those that are kept for small spans, all together */
    struct span *held;             /* all HELD spans */
};
extern HIDDEN struct page_heap page_heap;
extern HIDDEN struct span_tree span_trees[2]; /* FREE spans, those that are kept for small ones in the second */

/* Makes a LARGE span something else, so that of several threads one does. False if it is LARGE no more. */
static inline bool span_claim(struct span *span, enum span_state state) {
    uint8_t large = SPAN_LARGE;
    return __atomic_compare_exchange_n(&span->state, &large, (uint8_t)state, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* A state that others may read without LOCK_SPANS, once all else is set. */
static inline void span_set_state(struct span *span, enum span_state state) {
    __atomic_store_n(&span->state, (uint8_t)state, __ATOMIC_RELEASE);
}

/* The same of a span on no shelf, whose tracts have locks of their own; caller holds LOCK_SPANS. One that was freed twice may
 * lie on a shelf by now. */
static inline bool span_claim_heap_locked(struct span *span, enum span_state state) {
    if (atomic_load_explicit(&span->shelf, memory_order_relaxed) != 0 || !span_claim(span, SPAN_HELD))
        return false;
    bool ours = atomic_load_explicit(&span->shelf, memory_order_relaxed) == 0;
    span_set_state(span, ours ? state : SPAN_LARGE);
    return ours;
}

/* A span's state; of one that is next to those in question, which another thread may be putting on a shelf. */
static inline enum span_state span_state_of(const struct span *span) {
    return __atomic_load_n(&span->state, __ATOMIC_ACQUIRE);
}

/* How far a walk over all spans, under LOCK_SPANS alone, goes on from a unit: what lies in tracts changes meanwhile, so only
 * where the state says that a span begins is its length one. A NONE here is a hole, or was a head a moment ago. */
READS_OTHERS static inline size_t span_step_locked(const struct span *span) {
    return span_state_of(span) == SPAN_NONE ? 1 : __atomic_load_n(&span->units, __ATOMIC_RELAXED);
}

/* Takes a lock that guards large blocks. True if it was found taken so often that shelves are to grow, behind the
 * call: at one call in CROWDED_PART or more, some times in a row. */
#define CROWDED_PART 16
#define CROWDED_MOST (16 * CROWDED_PART)
static inline bool crowd_acquire(struct lock *lock, enum lock_rank rank, uint32_t *crowded) {
    if (LIKELY(lock_try_acquire(lock, rank))) {
        *crowded -= *crowded > 0;
        return false;
    }
    lock_acquire(lock, rank);
    *crowded += CROWDED_PART;
    bool much = *crowded >= CROWDED_MOST;
    *crowded = much ? 0 : *crowded;
    return much;
}

/* LOCK_SPANS, to take or free a large block. */
static inline bool span_lock_for_large(void) {
    return crowd_acquire(&page_heap.lock, LOCK_SPANS, &page_heap.crowded);
}

static inline struct region *span_region(const struct span *span) {
    return &regions[span->region];
}

/* The index of a span's first unit in its region. */
static inline size_t span_index(const struct span *span) {
    return (size_t)(span - span_region(span)->spans);
}

/* What the unit map says of a SMALL span (U1): where its class's bin lies in a cache; 0 for a wide class, and while none are
 * shown (span_show). */
static inline unsigned span_map_entry(const struct span *span) {
    return page_heap.hidden || span->class >= FAST_CLASSES ? 0 : span->class * CLASS_STEP;
}

/* Says of units that they are free from now on and may hold anything but zeros; or that they are in use, or hold zeros (S4). */
void span_dirty_set(struct region *region, size_t first, size_t units, bool dirty);

/* Says of the dirty ones among the units that they are old. */
void span_dirty_age(struct region *region, size_t first, size_t units);

/* Which of `units`, at most 64, are free and dirty, bit n for unit first + n; what bits beyond say is undefined. */
uint64_t span_dirty_bits(const struct region *region, size_t first, size_t units);

/* How many of the units are free and dirty. */
size_t span_dirty_count(const struct region *region, size_t first, size_t units);

/* Makes [first, first + units) one FREE span. No FREE span may touch it. */
void span_free_insert(struct region *region, size_t first, size_t units);

/* The same where it is known how many of them are dirty: to count them takes time by the length, which may be gigabytes. */
void span_free_insert_counted(struct region *region, size_t first, size_t units, size_t dirty);

/* The same for units that were made present for small spans, which are to have them: a large block would take the pages, and
 * may never touch them. Counted as dirty, so that they go back with age. When a neighbour joins them they are kept no more. */
void span_free_keep(struct region *region, size_t first, size_t units);

/* The span is FREE no longer, and nothing else yet. */
void span_free_remove(struct span *span);

/* Makes a LARGE span, or one that is nothing else, HELD by this thread, and back: into nothing else yet. `is_block`: it is
 * still the program's (listed). */
void span_hold_locked(struct span *span, bool is_block);
void span_unhold_locked(struct span *span);

/* The FREE span that ends just before unit `first`, or NULL. */
struct span *span_free_before(struct region *region, size_t first);

/* Makes units FREE, as one span with the FREE spans that touch them. Returns that span. */
struct span *span_free_coalesce(struct region *region, size_t first, size_t units);

/* Makes a HELD span FREE, in the same way. */
struct span *span_free_held(struct span *span);

#endif
