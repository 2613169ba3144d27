/* SPDX-License-Identifier: MIT */
/*
 * exit(3) in the handler of a signal. POSIX forbids it where the signal has interrupted malloc, and programs do it: on Ctrl-C,
 * for one. The thread never returns to what it was doing in the allocator, but functions that run at exit allocate and free. If
 * it has been interrupted in the middle, it is served apart from then on (heap/aside.h), and what the allocator itself does at
 * exit is left out. Otherwise everything goes on as usual.
 *
 * In a shared library, exit and quick_exit are ours, and go on to libc's; a call that libc makes itself, in err(3) or error(3),
 * is not seen. In a static program there is but one exit: the first thing that it does is to run the destructors of its
 * thread's data, among which is one of ours (exit_arrange). What was rejected: to look for exit among the return addresses on
 * the stack once a thread finds that it waits for itself. That is in the middle of a slow path, which has no way out.
 */
#ifndef MYALLOC_EXIT_H
#define MYALLOC_EXIT_H

#include "base/base.h"

/* In a static program, at a thread's first use of a list: lets us know when it calls exit. libc may allocate. exit_start is the
 * same for the thread that runs our constructor; before it, exit_arrange does nothing. */
void exit_arrange(void);
void exit_start(void);

/* For what the allocator does at exit. True if it must be left out; then says so, if it is `what` that is wanted. */
bool exit_leaves_out(const char *what);

#endif
