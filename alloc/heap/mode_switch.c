/* SPDX-License-Identifier: MIT */
#include "heap/mode_switch.h"

#include "kit/lock.h"
#include "heap/cache.h"
#include "heap/central.h"
#include "heap/span.h"

static struct lock mode_switch_lock;

/* Guarded pages are given out, and freed, in calls that are slow anyway. */
static bool needs_all(unsigned modes) {
    return (modes & (MODE_ASIDE - 1) & ~(unsigned)(MODE_START | MODE_GUARDED)) != 0;
}

void mode_switch_on(unsigned modes) {
    lock_acquire(&mode_switch_lock, LOCK_MODES);
    if (needs_all(modes) && !needs_all(modes_active)) {
        cache_set_lists(false);
        span_show(false);
        cache_flush();
        central_flush(); /* what is parked would not be taken by threads without lists */
    }
    /* Last, with release: a thread that sees the mode also sees the emptied unit map; so does a thread that gets a block from
     * it. */
    atomic_fetch_or_explicit(&modes_active, modes, memory_order_release);
    lock_release(&mode_switch_lock, LOCK_MODES);
}

void mode_switch_off(unsigned modes) {
    ASSERT((modes & (MODE_CHECK | MODE_START | MODE_GUARDED | MODE_HARDENED)) == 0);
    lock_acquire(&mode_switch_lock, LOCK_MODES);
    unsigned before = atomic_fetch_and_explicit(&modes_active, ~modes, memory_order_release);
    if (needs_all(before) && !needs_all(before & ~modes)) {
        span_show(true);
        cache_set_lists(true);
    }
    lock_release(&mode_switch_lock, LOCK_MODES);
}

AT_START void mode_switch_started(void) {
    atomic_fetch_and_explicit(&modes_active, ~(unsigned)MODE_START, memory_order_release);
}

const struct lock_set mode_switch_locks = {.rank = LOCK_MODES, .lock = &mode_switch_lock};
