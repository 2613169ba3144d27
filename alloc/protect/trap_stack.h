/* SPDX-License-Identifier: MIT */
/*
 * Stacks for the handler of faults (trap.h), for the case that a thread's own cannot be touched: it ran over its end into what
 * lies below, or it was a block that has been freed. The kernel ends the process without a word where the handler has no
 * other stack.
 *
 * The main thread gets one at the start, with fault_report:on. Further threads get theirs at their first slow call, with
 * fault_stacks:on only: a program that has shut itself in by a filter of system calls (seccomp) may not allow that one, and not
 * all that do so are seen (os_is_shut_in); none is made where that is known. A thread that has an alternate stack keeps its
 * own, and one that sets its own later replaces ours.
 *
 * Memory: 64 KiB of addresses and two fences a thread, touched when a handler runs, given back when the thread ends; in the
 * child of a fork those of the threads that are gone stay mapped.
 */
#ifndef MYALLOC_TRAP_STACK_H
#define MYALLOC_TRAP_STACK_H

#include "base/base.h"
#include "kit/tunables.h"

/* For this thread: NULL if it has one, if none is wanted, or if it is refused. */
void *trap_stack_begin(void);

/* The same for a thread that is not the main one. Inline: the first call of each process comes by, and the code of this
 * folder is not in memory then. */
void *trap_stack_begin_thread_slow(void);
static inline void *trap_stack_begin_thread(void) {
    return UNLIKELY(tunables.fault_stacks) ? trap_stack_begin_thread_slow() : NULL;
}

/* At the end of the thread that got it. Where the process is shut in, the stack stays. */
void trap_stack_end(void *stack);

#endif
