/* SPDX-License-Identifier: MIT */
/*
 * What a thread keeps from one walk over its stack to the next: which of its memory can be read, and
 * what the walk found. A table of 128 walkers is
 * shared by all threads; a thread takes the one that its identity leads to and lets it go after the walk. Where another thread
 * has it, or this one, interrupted by a signal in the middle of a walk, the walk goes without. So nothing waits, thread-local
 * data stay small, and there is nothing to do when a thread ends. What is kept is of use to the thread alone that took it last.
 */
#ifndef MYALLOC_WALKER_H
#define MYALLOC_WALKER_H

#include <stdatomic.h>

#include "callers/memo.h"
#include "callers/stack_memory.h"

struct walker {
    _Atomic uint32_t taken;
    const void *owner; /* identity of the thread that took it last */
    struct stack_memory memory;
    struct memo memo;
};

/* NULL if there is none to be had. */
struct walker *walker_take(void);
void walker_let_go(struct walker *walker);

/* True if `p` lies in what walkers keep: no root for the leak report. */
bool walker_covers(const void *p);

#endif
