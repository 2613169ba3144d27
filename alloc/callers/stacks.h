/* SPDX-License-Identifier: MIT */
/*
 * Call stacks, each kept once, so that a block's record needs four bytes to say where it was allocated. The protections and the
 * leak report share them. Stacks are never forgotten: a program has few different ones.
 *
 * F1 a number stays valid for the life of the process; 0 is no stack.
 * F2 what a number names never changes, so reading needs no lock.
 *
 * Memory: a strip (kit/strip.h) of up to STACKS_ROOM, made writable as it fills. When it is full, or the OS refuses, a new
 * stack gets number 0, and its block is reported without one. Lock: LOCK_STACKS, taken by stacks_keep for a new
 * stack.
 */
#ifndef MYALLOC_STACKS_H
#define MYALLOC_STACKS_H

#include "base/base.h"
#include "kit/lock.h"
#include "callers/unwind.h"

#define STACKS_ROOM (64 * MIB)

/* One of them, as it is kept, and the memory of all: a stack's number is its distance from there. For tools
 * (observe/structures.h). */
struct stack {
    uint32_t next; /* number of the next stack in the bucket */
    uint32_t hash;
    uint32_t count;
    void *frames[];
};
extern HIDDEN uint64_t *stacks_words;

/* The number of these frames (at most UNWIND_MOST). 0 if count is 0 or there is no room. */
uint32_t stacks_keep(void *const *frames, unsigned count);

/* Captures the allocator's callers and keeps them; 0 if there are none. Caller holds no lock of the allocator. */
uint32_t stacks_capture(void);

/* The frames of a stack and their number; NULL and 0 for number 0. */
void *const *stacks_frames(uint32_t number, unsigned *count);

extern HIDDEN const struct lock_set stacks_locks;

#endif
