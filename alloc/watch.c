/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include "cache.h"
#include "central.h"
#include "environment.h"
#include "guard.h"
#include "harden.h"
#include "lock.h"
#include "report.h"
#include "seal.h"
#include "span.h"
#include "tunables.h"

_Atomic unsigned watch_modes = WATCH_START;
static struct lock watch_lock;

/* Guarded pages are given out, and freed, in calls that are slow anyway. */
static bool needs_all(unsigned modes) {
    return (modes & ~(unsigned)(WATCH_START | WATCH_GUARD)) != 0;
}

void watch_on(unsigned modes) {
    lock_acquire(&watch_lock, LOCK_WATCH);
    if (needs_all(modes) && !needs_all(watch_modes)) {
        cache_set_lists(false);
        span_show(false);
        cache_flush();
        central_flush(); /* what is parked would not be taken by threads without lists */
    }
    /* Last: whoever sees the mode sees the unit map without entries, and so does whoever gets a block from there. */
    atomic_fetch_or_explicit(&watch_modes, modes, memory_order_release);
    lock_release(&watch_lock, LOCK_WATCH);
}

void watch_start(void) {
    environment_read();
    if (atomic_load_explicit(&environment_state, memory_order_acquire) == 0)
        return;
    bool hardened = tunables.protect == LEVEL_PARANOID && harden_start();
    if (tunables.protect >= LEVEL_CHECK && !hardened && tunables.check == 0 &&
        seal_open(&tunables, sizeof tunables))
        tunables.check = REPORT_SAY | REPORT_ABORT;
    unsigned modes = (hardened ? WATCH_HARDEN : 0) | (tunables.check != 0 ? WATCH_CHECK : 0) |
                     (tunables.perturb != 0 ? WATCH_PERTURB : 0) |
                     (tunables.leaks != 0 ? WATCH_LEAKS : 0);
    if ((tunables.protect == LEVEL_SAMPLE || tunables.protect == LEVEL_PARANOID) && guard_start())
        modes |= WATCH_GUARD;
    if (tunables.check != 0)
        report_set_action((unsigned)tunables.check);
    if (modes != 0)
        watch_on(modes);
    atomic_fetch_and_explicit(&watch_modes, ~(unsigned)WATCH_START, memory_order_release);
}

void watch_off(unsigned modes) {
    ASSERT((modes & (WATCH_CHECK | WATCH_START | WATCH_GUARD | WATCH_HARDEN)) == 0);
    lock_acquire(&watch_lock, LOCK_WATCH);
    unsigned before = atomic_fetch_and_explicit(&watch_modes, ~modes, memory_order_release);
    if (needs_all(before) && !needs_all(before & ~modes)) {
        span_show(true);
        cache_set_lists(true);
    }
    lock_release(&watch_lock, LOCK_WATCH);
}

void watch_fork_acquire(void) {
    lock_fork_acquire(&watch_lock);
}

void watch_fork_release(void) {
    lock_fork_release(&watch_lock);
}

void watch_fork_reset(void) {
    lock_fork_reset(&watch_lock);
}
