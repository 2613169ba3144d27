/* SPDX-License-Identifier: MIT */
#include "heap/mode_switch.h"

#include "kit/lock.h"
#include "heap/cache.h"
#include "heap/central.h"
#include "heap/span.h"

static struct lock mode_switch_lock;

static bool counts;         /* calls are to be counted */
_Atomic bool mode_switch_hiding; /* the unit map shows nothing until all threads' lists are counted */

/* Guarded pages are given out, and freed, in calls that are slow anyway; so are the blocks that a profile records. */
static bool needs_all(unsigned modes) {
    return (modes & (MODE_ASIDE - 1) & ~(unsigned)(MODE_START | MODE_GUARDED | MODE_PROFILE)) != 0;
}

/* What lists are, and what the unit map shows, where no mode needs to see all calls. A thread whose lists serve all its calls
 * would never come by, so frees must be slow until each thread has. */
static void settle_locked(void) {
    cache_set_lists(counts ? LISTS_COUNTED : LISTS_PLAIN);
    cache_settle();
    atomic_store_explicit(&mode_switch_hiding, counts && cache_any_plain(), memory_order_relaxed);
    span_show(!mode_switch_hiding);
}

void mode_switch_count(bool on) {
    lock_acquire(&mode_switch_lock, LOCK_MODES);
    counts = on;
    if (!needs_all(modes_active))
        settle_locked();
    lock_release(&mode_switch_lock, LOCK_MODES);
}

COLD void mode_switch_look(void) {
    lock_acquire(&mode_switch_lock, LOCK_MODES);
    if (mode_switch_hiding && !cache_any_plain()) {
        atomic_store_explicit(&mode_switch_hiding, false, memory_order_relaxed);
        span_show(true);
    }
    lock_release(&mode_switch_lock, LOCK_MODES);
}

static void on_locked(unsigned modes) {
    if (needs_all(modes) && !needs_all(modes_active)) {
        cache_set_lists(LISTS_OFF);
        atomic_store_explicit(&mode_switch_hiding, false, memory_order_relaxed);
        span_show(false);
        cache_flush();
        central_flush(); /* what is parked would not be taken by threads without lists */
    }
    /* Last, with release: a thread that sees the mode also sees the emptied unit map; so does a thread that gets a block from
     * it. */
    atomic_fetch_or_explicit(&modes_active, modes, memory_order_release);
}

static void off_locked(unsigned modes) {
    ASSERT((modes & (MODE_CHECK | MODE_START | MODE_GUARDED | MODE_HARDENED | MODE_PROFILE)) == 0);
    unsigned before = atomic_fetch_and_explicit(&modes_active, ~modes, memory_order_release);
    if (needs_all(before) && !needs_all(before & ~modes))
        settle_locked();
}

void mode_switch_on(unsigned modes) {
    lock_acquire(&mode_switch_lock, LOCK_MODES);
    on_locked(modes);
    lock_release(&mode_switch_lock, LOCK_MODES);
}

void mode_switch_off(unsigned modes) {
    lock_acquire(&mode_switch_lock, LOCK_MODES);
    off_locked(modes);
    lock_release(&mode_switch_lock, LOCK_MODES);
}

void mode_switch_follow(unsigned modes, const _Atomic uint64_t *state, uint64_t on) {
    lock_acquire(&mode_switch_lock, LOCK_MODES);
    if (*state == on)
        on_locked(modes);
    else
        off_locked(modes);
    lock_release(&mode_switch_lock, LOCK_MODES);
}

AT_START void mode_switch_started(void) {
    atomic_fetch_and_explicit(&modes_active, ~(unsigned)MODE_START, memory_order_release);
}

const struct lock_set mode_switch_locks = {.rank = LOCK_MODES, .lock = &mode_switch_lock};
