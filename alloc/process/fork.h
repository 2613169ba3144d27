/* SPDX-License-Identifier: MIT */
/*
 * What runs around fork(2), so that the child finds every structure whole and can allocate at once, whatever the other threads
 * of its parent were doing (POSIX pthread_atfork; glibc promises the same of its own malloc).
 */
#ifndef MYALLOC_FORK_H
#define MYALLOC_FORK_H

/* Registers the handlers, once, at the process's first use of a list. Handlers registered first run last before a fork and
 * first after it: those of the program and of other libraries may then allocate. */
void fork_arrange(void);

/* The same with musl, when the process starts: musl calls __malloc_atfork only where there are threads; this registers the
 * child's part for the rest. */
void fork_arrange_late(void);

#endif
