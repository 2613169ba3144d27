/* SPDX-License-Identifier: MIT */
/*
 * The switch between fast and watched (rank 20). A mode is something that must see every call: the checks, the fills,
 * the log, the record of leaks. While any is on, every call reaches a slow path, without one instruction more on the
 * fast ones:
 *  - threads keep no lists (cache_set_lists), so a malloc finds its list empty and arrives in front_alloc_slow;
 *  - the unit map shows no small span (span_show), so a free arrives in front_free_slow as if its block were large.
 * There, and in the slow parts of realloc and malloc_usable_size, watch_any() sends the call to front_watched.c, which
 * serves each mode in turn. A mode needs no more than a bit here and its lines there.
 *
 * W1 while a mode is on, no small span is in the unit map, and lists only shrink: a thread empties its own at its first
 *    slow call, of which every free is one.
 *
 * So a mode that is switched on late sees every free from then on, and every allocation of a thread but those that its
 * lists still serve before that first slow call. Blocks from before are not known to the mode; it must tell them from
 * others by its own records.
 *
 * Lock: LOCK_WATCH, while switching; span and class locks are taken under it.
 */
#ifndef MYALLOC_WATCH_H
#define MYALLOC_WATCH_H

#include <stdatomic.h>

#include "base.h"

enum watch_mode {
    WATCH_START = 16,  /* from the start until the environment has been read; nothing else is on then */
    WATCH_CHECK = 1,   /* canaries, quarantine: never switched off again, blocks are laid out differently */
    WATCH_PERTURB = 2, /* allocated and freed bytes are filled */
    WATCH_TRACE = 4,   /* the log of mtrace() */
    WATCH_LEAKS = 8,   /* who allocated what is still there */
    WATCH_GUARD = 32,  /* some blocks lie on guarded pages: never switched off again, does not need to see every call */
    WATCH_HARDEN = 64, /* all blocks are hardened: never switched off again */
};

extern HIDDEN _Atomic unsigned watch_modes;

static inline bool watch_any(void) {
    return UNLIKELY(atomic_load_explicit(&watch_modes, memory_order_acquire) != 0);
}

/* Nothing else is on. */
static inline bool watch_only(enum watch_mode mode) {
    return atomic_load_explicit(&watch_modes, memory_order_acquire) == mode;
}

/* True if any of the modes is on. */
static inline bool watch_has(unsigned modes) {
    return (atomic_load_explicit(&watch_modes, memory_order_acquire) & modes) != 0;
}

/* Switches on what the environment asks for, once it can be read. Until then does nothing. */
void watch_start(void);

/* Switch modes, any bits of enum watch_mode. Any time, by any thread that holds no lock of the allocator. */
void watch_on(unsigned modes);
void watch_off(unsigned modes);

void watch_fork_acquire(void);
void watch_fork_release(void);
void watch_fork_reset(void);

#endif
