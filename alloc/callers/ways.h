/* SPDX-License-Identifier: MIT */
/*
 * The way from a capture out of our own code. It goes through seven or eight frames of ours each time, which is more than
 * most captures find that is new, but there are few ways: from each entry point of the allocator one or two. What such a way
 * looked like is kept for all threads: where the return addresses were, as distances from the stack pointer of the capture,
 * and what they were.
 *
 * A way fits if its addresses are read again, one after the other. As long as they are the same the frames are those of the
 * same functions at the same places, whose sizes the tables name as numbers; so the next one is where it was, and can be read.
 * Ways on which the size of a frame is not a number are not kept.
 *
 * Nothing is forgotten: our own code stays where it is. No lock: threads add ways in turns, the others go without.
 */
#ifndef MYALLOC_WAYS_H
#define MYALLOC_WAYS_H

#include "callers/memo.h"
#include "callers/rows.h"

#define WAY_MOST 16 /* frames of ours between the program and the capture at most; a checked malloc has 9 */

bool ways_is_own(const void *address);

/* The frame of the program that the capture at `here` came from. False if no way that is kept fits. */
bool ways_leave(const struct arch_frame *here, struct stack_memory *memory, struct memo_frame *program);

/* Keeps the way from there. */
void ways_learn(const struct arch_frame *here, const struct rows_view *rows, struct stack_memory *memory);

struct lock_set;
extern HIDDEN const struct lock_set ways_locks;

#endif
