/* SPDX-License-Identifier: MIT */
/*
 * When free memory is given back by age: a sweep (span_sweep.h) each two thirds of decay_ms. What a sweep finds free it calls
 * old, and the next one gives it back, so it goes after two to four thirds of decay_ms, and after decay_ms on average.
 * With background:on a sweep is made each half of decay_ms, so that what is free goes after decay_ms at the latest.
 *
 * A sweep is made in steps, by threads that come by in slow paths: each refill and overflow of a list, large and mapped blocks,
 * the end of a thread. A step is at most STEP_BYTES and STEP_CALLS, about a ms, and the next one is due STEP_MS later, so that
 * no call takes long and all of them together no more than a tenth of one processor; who comes late makes up for STEPS_MOST:
 * a GiB, some 50 ms after a silence. Where nothing was freed for decay_ms, what is free is old, whatever sweeps there were; a
 * sweep then begins anew. Whoever comes by while another thread is in a step goes on. With trim_threshold:none nothing goes.
 *
 * No lock is held while a step is made, and none by who comes by.
 */
#ifndef MYALLOC_DECAY_H
#define MYALLOC_DECAY_H

#include <stdatomic.h>

#include "base/base.h"
#include "base/sizeclass.h"
#include "kit/lock.h"
#include "heap/span_shelf.h"

/* Whether anything could be given back, now or later. */
static inline bool decay_has_work(void) {
    return span_shelf_is_open() || atomic_load_explicit(&span_totals.free_dirty, memory_order_relaxed) != 0;
}

/* Whether it is so much that threads are made to come by (cache_pause.h). */
#define DECAY_WORTH (1 * MIB)
static inline bool decay_is_worth_it(void) {
    return atomic_load_explicit(&span_totals.free_dirty, memory_order_relaxed) >= DECAY_WORTH / UNIT;
}

/* Between the starts of two sweeps, and of two looks for holes (holes.h), in ms: two thirds of decay_ms, or half of it. */
uint64_t decay_period_ms(void);

void decay_look_slow(uint64_t now);

/* decay_ms or trim_threshold has been set: the next step is due at once, not when it was by what was set before. */
void decay_changed(void);

/* When the next step is due, ms; UINT64_MAX if there is nothing to give back. */
uint64_t decay_due(void);

/* For slow paths that hold no lock: makes a step if one is due; `now` in ms. */
static inline void decay_look(uint64_t now) {
    if (decay_has_work())
        decay_look_slow(now);
}

extern HIDDEN const struct lock_set decay_locks;

#endif
