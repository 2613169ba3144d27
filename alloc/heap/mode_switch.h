/* SPDX-License-Identifier: MIT */
/*
 * The switch between fast and watched: what turns modes (modes.h) on and off. While a mode that must see every call is on,
 * every call reaches a slow path, without one instruction more on the fast ones:
 *  - threads keep no lists (cache_set_lists), so a malloc finds its list empty and arrives in front_alloc_slow;
 *  - the unit map shows no small span (span_show), so a free arrives in front_free_slow as if its block were large.
 * There, and in the slow parts of realloc and malloc_usable_size, modes_any() sends the call to front_watched.c, which
 * serves each mode in turn. A mode needs no more than a bit in modes.h and its lines there.
 *
 * A third state is in between, for a sample of allocations by their bytes: while calls are counted (cache_counted.h), the unit
 * map shows what it shows, but lists are such that each free is slow, and each malloc of what has not been counted yet.
 *
 * W1 while such a mode is on, no small span is in the unit map (looked at as U1), and lists only shrink: a thread empties its
 *    own at its first slow call, of which every free is one, and from then on they stay empty (looked at as K5).
 *
 * So a mode that is switched on late sees every free from then on, and every allocation of a thread but those that its
 * lists still serve before that first slow call. Blocks from before are not known to the mode; it must tell them from
 * others by its own records.
 *
 * Lock: LOCK_MODES, while switching; span and class locks are taken under it.
 */
#ifndef MYALLOC_MODE_SWITCH_H
#define MYALLOC_MODE_SWITCH_H

#include "kit/modes.h"

/* Switch modes, any bits of enum mode. Any time, by any thread that holds no lock of the allocator. */
void mode_switch_on(unsigned modes);
void mode_switch_off(unsigned modes);

/* Has the modes be on if `*state` is `on`, and off if it is not, as it is found under the lock. Who changes it calls this
 * afterwards, so whatever threads do at the same time, the modes are at last what the state is. As above. */
void mode_switch_follow(unsigned modes, const _Atomic uint64_t *state, uint64_t on);

/* Whether threads count their calls, while no mode is on that must see all. Until the last thread has seen that they do, frees
 * are slow as if there were one. Any time, as above. */
void mode_switch_count(bool on);

/* True while that is waited for. */
extern HIDDEN _Atomic bool mode_switch_hiding;

/* Looks whether all threads have seen it by now. Caller holds no lock. */
void mode_switch_look(void);

/* The environment has been read: MODE_START ends. */
void mode_switch_started(void);

extern HIDDEN const struct lock_set mode_switch_locks;

#endif
