/* SPDX-License-Identifier: MIT */
/*
 * The way to the kernel: every system call of the allocator goes through kernel_ask, so that there is one place at which a
 * test's kernel can stand. No name of libc's is involved: no other object can come between, no call is a cancellation point,
 * errno stays.
 */
#ifndef MYALLOC_KERNEL_H
#define MYALLOC_KERNEL_H

#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/base.h"

/* A system call. Returns the result, or an error number, negated. */
long kernel_ask(long number, long a, long b, long c, long d, long e, long f);

/* kernel(SYS_name, arguments...): up to six, integers or pointers. */
#define kernel(...) KERNEL_PADDED(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define KERNEL_PADDED(number, a, b, c, d, e, f, ...)                                                                   \
    kernel_ask((number), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* Whether a result is an error number, negated; the kernel keeps 4095 of them. */
static inline bool kernel_refused(long result) {
    return (unsigned long)result >= (unsigned long)-4095;
}

/* The error number of a result; 0 if it is none. */
static inline int kernel_error(long result) {
    return kernel_refused(result) ? (int)-result : 0;
}

/* What the process was given at its start (getauxval(3)); 0 if nothing of that type was. */
uintptr_t kernel_given(unsigned long type);

/* clock_gettime(2), without entering the kernel where it offers that. Zeros if it refuses. */
void kernel_time(clockid_t clock, struct timespec *now);

/* Where the handler of a signal returns to. NULL where the kernel needs no help. */
extern void (*const kernel_signal_return)(void);

#endif
