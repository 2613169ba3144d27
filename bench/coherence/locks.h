/* SPDX-License-Identifier: MIT */
/* Which words are locks, and how long each is held.
 *
 * A lock is a word that an atomic instruction takes from zero to something else, and that the same core makes zero again:
 * spinlocks, futex locks and pthread mutexes are all like that. In between nothing but its lowest three bits may change (that
 * others wait). It is no lock if others make it zero (a list that its owner empties), if it counts, or if one core alone takes
 * it; a ticket is none, nor is a bit beside others, nor a queue of waiters.
 *
 * A critical section counts from the moment the atomic instruction that takes the lock begins, or from the end of the section
 * before if that is later, to its release: the line's way from core to core is in it, because no other core can be in a
 * section at that time. */
#ifndef LOCKS_H
#define LOCKS_H

#include <stdbool.h>
#include <stdint.h>

struct lock_word {
    uintptr_t address;
    uint64_t since, released, held; /* picoseconds */
    uint64_t sections, foreign;     /* critical sections; how often it did not behave as a lock */
    uint64_t value;                 /* while it is held */
    unsigned holder;                /* core number plus one; 0: free */
    unsigned first;                 /* who held it first, likewise */
    bool shared;                    /* another has held it, too */
    bool allocator;                 /* taken by the allocator's code, not by the program's */
};

/* The word now has `value`, written by an atomic instruction of `core` that began at `begun`. True if it may be a lock, so that
 * lock_stored must be told of plain stores to its line. */
bool lock_changed(uintptr_t address, uint64_t value, unsigned core, uint64_t begun, uint64_t now, bool allocator);

/* The same for a plain store. */
void lock_stored(uintptr_t address, uint64_t value, unsigned core, uint64_t now);

/* Critical sections that end while it is false are not added up. */
extern bool locks_counted;

/* Calls `see` for each that behaved as a lock. */
void locks_walk(void (*see)(const struct lock_word *lock, void *data), void *data);

#endif
