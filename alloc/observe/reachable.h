/* SPDX-License-Identifier: MIT */
/*
 * Which blocks can still be reached: those that a word in a root points to, or into, and those that a word in
 * a reachable block points to. Roots are the writable mappings of the process that are not the allocator's own: global
 * variables, stacks and thread-local data of all threads that live, memory that the program mapped itself.
 *
 * The scan is conservative: a number that looks like an address makes a block reachable. On the other hand it misses addresses
 * that only another thread's registers hold, and addresses that are kept encoded. Threads are not stopped; memory is read
 * through the kernel, so that a mapping which vanishes meanwhile is an error and no trap.
 *
 * Locks: those of the structures that are asked whether a page is the allocator's own, one at a time; the caller holds none.
 * Stopping the threads was rejected: it needs a signal that the program may use, and at exit most threads are gone.
 */
#ifndef MYALLOC_REACHABLE_H
#define MYALLOC_REACHABLE_H

#include "base/base.h"

enum reachable_kind {
    BLOCK_LOST,      /* no word that was looked at points to it */
    BLOCK_LOST_WITH, /* only words in other lost blocks do */
    BLOCK_HELD,      /* reachable */
    BLOCK_UNSEEN,    /* no word has pointed to it until now; not in a result */
};

struct reachable_block {
    uintptr_t start;
    size_t bytes, blocks; /* `blocks` is for leaks.c, which sums up blocks of one call stack in the first of them */
    uint32_t stack;       /* stacks.h; for leaks.c */
    uint32_t next;        /* for the scan: the next block of those whose contents are to be looked at */
    uint8_t kind;         /* enum reachable_kind */
};

/* To be called when a thread ends, with an address in its thread-local data. libc keeps the stack for a later thread, and the
 * frames that are left there are no roots. The last 1024 threads are remembered. */
void reachable_thread_ended(const void *local);

/* A part of memory that is the allocator's own and no root. */
struct reachable_range {
    uintptr_t start, end;
};

/* Sets the kind of each of the blocks: at least one, sorted by address, disjoint. No roots are the ranges in `own`, what the
 * allocator's structures say is theirs, and what lies below `stack` on this thread's stack, where the caller's own frames hold
 * addresses of blocks. False if memory cannot be read: no kind is right then. */
bool reachable_mark(struct reachable_block *blocks, size_t count, const struct reachable_range *own, size_t own_count,
                const void *stack);

#endif
