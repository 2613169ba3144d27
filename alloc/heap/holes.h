/* SPDX-License-Identifier: MIT */
/*
 * Holes: OS pages inside of used spans in which no block is in use. Their memory goes back to the OS while the span lives, for
 * blocks at home are bits outside of the blocks (home.h). A page goes if no block was in use there during a whole look over the
 * heap and the next, two thirds of decay_ms later: so after about that time, and at most twice two thirds;
 * with background:on it is a half instead of two thirds.
 *
 * A look goes over all spans in the order of addresses, a bounded part of it at each tick. Chains of a class that nobody has
 * passed on since the last look go home first, as they would keep pages. Of a class that soon wants back what it gave nothing
 * is given for a while, each time twice as long, so that a load that goes up and down pays once or twice. Huge pages of which
 * most is in use are left whole.
 *
 * While the OS takes pages no lock is held, and their span is apart: nobody takes blocks out of it (central_class.h).
 */
#ifndef MYALLOC_HOLES_H
#define MYALLOC_HOLES_H

#include <stdatomic.h>

#include "base/base.h"
#include "kit/lock.h"
#include "heap/span_types.h"

/* Whether the heap is so large that holes are worth looking for. */
#define HOLES_HEAP_LEAST (1 * MIB / UNIT) /* units of small blocks */
static inline bool holes_may_be(void) {
    return atomic_load_explicit(&span_totals.small, memory_order_relaxed) > HOLES_HEAP_LEAST;
}

void holes_look_slow(uint64_t now);

/* From time to time gives holes back that are old enough; `now` in ms. For slow paths that hold no lock. */
static inline void holes_look(uint64_t now) {
    if (holes_may_be())
        holes_look_slow(now);
}

/* When holes_look has something to do again, ms, as far as is known without waiting; UINT64_MAX if the heap is too small. */
uint64_t holes_due(void);

/* Sends the chains home that nobody has passed on since the last call, or since the last look began. For who is not in a hurry;
 * with no lock held. */
void holes_flush_transit(void);

/* Gives all holes back at once. Returns the bytes that the OS got. */
size_t holes_return(void);

/* Whether there are holes that may go at the next look, as far as the last one found, or one is being made. */
extern HIDDEN _Atomic bool holes_wait;

extern HIDDEN const struct lock_set holes_locks;

#endif
