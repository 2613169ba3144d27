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

/* The same for a libc whose fork calls us by itself (__malloc_atfork) but only where there are threads: in its child, what
 * is to be put right is put right in any case. Called when the process starts. */
void fork_arrange_late(void);

#endif
