/* SPDX-License-Identifier: MIT */
/*
 * Shelves: where many threads take and free large blocks, they have memory for these in several places, each with a lock of its
 * own, so that they need not all wait for LOCK_SPANS. There is none, and nothing of all this happens, until threads have often
 * found that lock taken (span_lock_for_large); there are twice as many whenever they still find a lock taken, up to one a
 * processor, and none again when it has become quiet. A thread has that of the processor it is on (os_processor), and where
 * nothing fits there, a block of another one that nobody is at.
 *
 * A shelf has some tracts: runs of TRACT_UNITS that it took from the page heap. Of these it cuts blocks, best fit, and a block
 * that is freed goes back to its tract, whoever frees it. A tract is a few words: which of its units are free is a bit each, so
 * that what is beside each other joins by itself, and a call touches few lines that others have written. A shelf takes a tract
 * more if it has next to nothing free; else what fits nowhere comes from the page heap. A tract that is free as a whole goes
 * back if as much is free besides, and the emptiest one is dissolved where more is free than in use.
 *
 * S5 a SHELVED span is a run of free units of a tract, as long as it can be; what lies between are LARGE, HELD and CACHED spans
 *    that say whose tract it is (shelf); no other span says so. `units` of a shelf is the sum of its SHELVED spans. span_totals
 *    counts these units as large, and blocks as if what was done on shelves since the last settlement were not done:
 *    span_shelf_count says by how much.
 *
 * By age: span_shelf_age, once a sweep (span_sweep.h), dissolves each tract that has a unit free since the sweep before: its
 * blocks are the page heap's from then on, and what is free in it is FREE, the rest of it new and that unit old.
 *
 * Locks: LOCK_SHELF, one a shelf. LOCK_SPANS is taken under it, to take a tract from the page heap and to give it back.
 *
 * Rejected: shelves of what their threads have freed, cut and joined and given to the page heap where nothing fits. Each miss
 * and each overflow took LOCK_SPANS, with 64 threads for 95 % of the run, and what one had freed served no other: README.md.
 */
#ifndef MYALLOC_SPAN_SHELF_H
#define MYALLOC_SPAN_SHELF_H

#include <stdatomic.h>

#include "base/base.h"
#include "kit/lock.h"
#include "kit/report.h"
#include "heap/span_tract.h"
#include "heap/span_types.h"

#define SHELVES_MOST 64        /* a power of two */
#define SHELF_TRACTS 30
#define SHELF_BLOCK_UNITS (TRACT_UNITS / 2) /* the largest block of a tract */

struct shelf {
    struct lock lock;
    uint32_t count;   /* of tracts */
    uint32_t units;   /* free ones of all of them */
    uint32_t crowded; /* how often the lock was taken when it was wanted */
    uint32_t uses;    /* since the last sweep */
    uint64_t handed;  /* blocks taken from here, less those freed to here, since they were settled, modulo 2^64 */
    struct tract tracts[SHELF_TRACTS];
} LINE_ALIGNED;

/* Written seldom. */
struct shelves {
    _Atomic uint32_t count;  /* in use: 0, or a power of two */
    _Atomic uint32_t opened; /* as many as ever were; the others were never touched */
    struct lock growing;     /* guards `opened` and that `count` rises */
} LINE_ALIGNED;
extern HIDDEN struct shelves shelves;
extern HIDDEN struct shelf shelves_all[SHELVES_MOST];

static inline bool span_shelf_is_open(void) {
    return UNLIKELY(atomic_load_explicit(&shelves.count, memory_order_relaxed) != 0);
}

/* A LARGE span of so many units from this thread's shelf. NULL if there is none: then it is to come from the page heap. *zeroed
 * tells if all of it is known to be zero. */
struct span *span_shelf_take(size_t units, bool *zeroed);

/* Of a span that was LARGE when it was found: whether it lies on a shelf's tract, as far as can be said without a lock. */
static inline bool span_shelf_has(const struct span *span) {
    return UNLIKELY(atomic_load_explicit(&span->shelf, memory_order_relaxed) != 0);
}

/* Such a span is freed, or made `units` long where it stands. SHELF_NOT if it lies on none, or does so no more; SHELF_REFUSED,
 * with nothing changed, if it is LARGE no more or the units behind it are taken. Of a free *excess is
 * span_amount_take_excess_locked, if units went to the page heap. */
enum shelf_answer { SHELF_NOT, SHELF_DONE, SHELF_REFUSED };
enum shelf_answer span_shelf_put(struct span *span, size_t *excess);
enum shelf_answer span_shelf_resize(struct span *span, size_t units);

/* Threads have waited for LOCK_SPANS too often. The caller holds no lock of the page heap. */
void span_shelf_grow(void);

/* At the start of a sweep: tracts with a unit that nobody has used since the one before are dissolved. If shelves were hardly
 * used since, there are none from now on. */
void span_shelf_age(void);

/* All tracts are dissolved; there are shelves as before, or none until threads have waited too often again: where memory is
 * refused, nobody is to put any aside before it is asked for once more. */
void span_shelf_empty(void);
void span_shelf_close(void);

/* In a forked child, all locks held: as if who was closing them had done so. */
void span_shelf_forked(void);

/* What is free on shelves, units of it that may hold anything but zeros, and how many more blocks are in use than
 * span_totals.large_count says, modulo 2^64. */
struct shelf_totals {
    size_t spans, units, dirty, handed;
};
void span_shelf_count(struct shelf_totals *totals);

/* Looks whether S5 holds; `found` is what SHELVED spans there are. Caller holds all locks, or is alone. */
void span_shelf_walk(struct walk *walk, const struct shelf_totals *found);

extern HIDDEN const struct lock_set shelf_locks;

#endif
