/* SPDX-License-Identifier: MIT */
/*
 * exit(3) in the handler of a signal. POSIX forbids it where the signal has interrupted malloc, and programs do it: on Ctrl-C,
 * for one. The thread never returns to what it was doing in the allocator, but functions that run at exit allocate and free. If
 * it has been interrupted in the middle, it is served apart from then on (heap/aside.h), and what the allocator itself does at
 * exit is left out. Otherwise everything goes on as usual.
 *
 * In a shared library, exit and quick_exit are ours, and go on to libc's; a call that libc makes itself, in err(3) or error(3),
 * is not seen. In a static program there is but one exit, and what it calls first is what was registered last: a function of
 * ours is called behind those of the program, before libc writes its streams out. Functions of the program's that allocate are
 * told there, as any handler that allocates.
 *
 * What was rejected: in static programs, a destructor of each thread's data, which exit runs first: libc allocates for it, and
 * that block showed in the leak report and in the log of mtrace. To look for exit among the return addresses on the stack once
 * a thread finds that it waits for itself: that is in the middle of a slow path, which has no way out.
 */
#ifndef MYALLOC_EXIT_H
#define MYALLOC_EXIT_H

#include "base/base.h"

/* In a static program, at the start, behind all else that the allocator registers for exit: lets us know of it. */
void exit_arrange(void);

/* For what the allocator does at exit. True if it must be left out; then says so, if it is `what` that is wanted. */
bool exit_leaves_out(const char *what);

#endif
