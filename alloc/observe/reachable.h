/* SPDX-License-Identifier: MIT */
/*
 * Which blocks can still be reached: those that a word in a root points to, or into, and those that a word in
 * a reachable block points to. Roots are the writable mappings of the process that are not the allocator's own: global
 * variables, stacks and thread-local data of all threads that live, memory that the program mapped itself.
 *
 * The scan is conservative: a number that looks like an address makes a block reachable. The other way round it misses
 * what only the registers of another thread hold, and addresses that are kept encoded. Threads are not stopped; memory is
 * read through the kernel, so that a mapping which vanishes meanwhile is an error and no trap.
 */
#ifndef MYALLOC_REACHABLE_H
#define MYALLOC_REACHABLE_H

#include "base/base.h"

enum reachable_kind {
    REACH_LOST,      /* no word found points to it */
    REACH_LOST_WITH, /* only other lost blocks do */
    REACH_HELD,      /* reachable */
    REACH_UNSEEN,
};

struct reachable_block {
    uintptr_t start;
    size_t bytes, blocks; /* leaks.c makes groups of blocks in place */
    uint32_t stack, next; /* `next` is the scan's own */
    uint8_t kind;
    bool root; /* counts as reached */
};

/* To be called when a thread ends, with an address in its thread-local data: libc keeps its stack for a later thread, and
 * what is left there is no root. A bounded number of them is remembered. */
void reachable_thread_ended(const void *local);

/* A part of memory that is the allocator's own and no root. */
struct reachable_range {
    uintptr_t start, end;
};

/* Sets the kind of each of the blocks, at least one, sorted by address and disjoint. `own` are ranges that are no roots,
 * beside what region.h and mapped.h know; nor is what lies below `stack` on this thread's stack, where the caller has left
 * addresses of blocks. False if memory cannot be read; nothing is known then. Under no lock. */
bool reachable_mark(struct reachable_block *blocks, size_t count, const struct reachable_range *own, size_t own_count,
                const void *stack);

#endif
