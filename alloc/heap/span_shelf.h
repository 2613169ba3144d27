/* SPDX-License-Identifier: MIT */
/*
 * Shelves: where many threads take and free large blocks, what one has freed waits beside the page heap for its next one, so
 * that they need not all wait for LOCK_SPANS. There is none, and nothing of all this happens, until threads have often found
 * that lock taken (span_lock_for_large); there are twice as many whenever they still do, and none again when it has become
 * quiet. A thread has one of them, by the order in which threads came here, maybe with others.
 *
 * A shelf is a page heap of a few spans, written down in two cache lines: the best fitting one is cut, neighbours are joined.
 * It has no more than its share of what is in use, and than SHELF_UNITS: beyond that the smallest go to the page heap. If none
 * is large enough all go there, so that they join what they were cut from, before a span is taken from there. What a shelf
 * gives is dirty.
 *
 * S5 a SHELVED span lies on one shelf, which says its place and its length, and nobody else takes, merges, resizes or frees it.
 *    No two on a shelf touch. `units` of a shelf is the sum of what lies there. span_totals counts these units as large, and
 *    blocks as if what was done on shelves since the last settlement were not done: span_shelf_count says by how much.
 *
 * By age: span_shelf_age, once a sweep (span_sweep.h), gives the page heap what lies there since the sweep before, as old.
 *
 * Locks: LOCK_SHELF, one a shelf. Who takes or frees a block only tries it, and goes to the page heap if it is taken, so that
 * nobody waits for a shelf but those who empty, count or fork. LOCK_SPANS is taken under it, to give spans to the page heap.
 *
 * Rejected: a stack or slots without a lock. To cut and to join takes several steps, between which a walk or a fork would find
 * spans that lie nowhere; and a lock that nobody waits for costs what a compare-and-swap costs.
 */
#ifndef MYALLOC_SPAN_SHELF_H
#define MYALLOC_SPAN_SHELF_H

#include <stdatomic.h>

#include "base/base.h"
#include "kit/lock.h"
#include "kit/report.h"
#include "heap/span_types.h"

#define SHELVES_MOST 64        /* a power of two */
#define SHELF_PLACES 12        /* so that a shelf has two cache lines */
#define SHELF_UNITS (1 * MIB / UNIT) /* no shelf has more */

/* What lies on a shelf: a span. */
struct shelved {
    uint32_t first;
    uint16_t units;
    uint8_t region;
    bool old; /* since before the last sweep */
};

struct shelf {
    struct lock lock;
    uint32_t units;  /* of all that lies here */
    uint32_t count;  /* of spans */
    uint32_t uses;   /* since the last sweep */
    uint64_t handed; /* blocks taken from here, less those put here, since they were settled, modulo 2^64 */
    struct shelved lying[SHELF_PLACES];
} LINE_ALIGNED;
_Static_assert(sizeof(struct shelf) == 2 * CACHE_LINE, "a shelf has two cache lines");

/* Written seldom. */
struct shelves {
    _Atomic uint32_t count;  /* in use: 0, or a power of two */
    _Atomic uint32_t opened; /* as many as ever were; the others were never touched */
    _Atomic uint32_t room;   /* units that a shelf may have */
    struct lock growing;     /* guards `opened` and that `count` rises */
} LINE_ALIGNED;
extern HIDDEN struct shelves shelves;
extern HIDDEN struct shelf shelves_all[SHELVES_MOST];

static inline bool span_shelf_is_open(void) {
    return UNLIKELY(atomic_load_explicit(&shelves.count, memory_order_relaxed) != 0);
}

/* A LARGE span of so many units from this thread's shelf; not known to be zero. If there is none, NULL, and LOCK_SPANS is held
 * (span_lock_for_large); what lies there, too small or in pieces, has gone to the page heap. */
struct span *span_shelf_take_or_lock(size_t units, bool *crowded);

/* Puts a LARGE span on this thread's shelf. Where there is no room, the smallest of what lies there goes to the page heap; then
 * *excess is span_amount_take_excess_locked. False, with nothing changed, if the shelf is taken or is too small, or if the span
 * is LARGE no more. */
bool span_shelf_try_put(struct span *span, size_t *excess);

/* Threads have waited for LOCK_SPANS too often. The caller holds no lock of the page heap. */
void span_shelf_grow(void);

/* At the start of a sweep: what lies on shelves since the one before goes to the page heap, as old. What is used at this moment
 * waits for the next sweep. If shelves were hardly used since, there are none from now on. */
void span_shelf_age(void);

/* Everything goes to the page heap; there are shelves as before, or none until threads have waited too often again: where
 * memory is refused, nobody is to put any aside before it is asked for once more. */
void span_shelf_empty(void);
void span_shelf_close(void);

/* What lies on shelves, and how many more blocks are in use than span_totals.large_count says, modulo 2^64. */
struct shelf_totals {
    size_t spans, units, handed;
};
void span_shelf_count(struct shelf_totals *totals);

/* Looks whether S5 holds; `found` is what SHELVED spans there are. Caller holds all locks, or is alone. */
void span_shelf_walk(struct walk *walk, const struct shelf_totals *found);

extern HIDDEN const struct lock_set shelf_locks;

#endif
