/* SPDX-License-Identifier: MIT */
/*
 * A system call, by processor: the instruction itself, and not a function of libc's. Such a function can be defined by another
 * object, too, which may allocate in it (tracers, MPI's and RDMA's libraries); and some of them are cancellation points, so
 * that a thread would end in the middle of free. Neither can happen to an instruction. errno is not touched.
 */
#ifndef MYALLOC_ARCH_CALL_H
#define MYALLOC_ARCH_CALL_H

#include "base/base.h"

/* 1: arch_call is the instruction. 0: a processor that is not named here, for which libc's functions stand. */
#if defined(__x86_64__) || defined(__aarch64__)
#define ARCH_CALLS 1
#else
#define ARCH_CALLS 0
#endif

/* Asks the kernel. Returns what it says: the result, or an error number, negated, from -4095 to -1. */
#if defined(__x86_64__)
static ALWAYS_INLINE long arch_call(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
static ALWAYS_INLINE long arch_call(long number, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
#else
#include <errno.h>
#include <unistd.h>

static inline long arch_call(long number, long a, long b, long c, long d, long e, long f) {
    int saved = errno;
    long result = syscall(number, a, b, c, d, e, f);
    if (result == -1)
        result = -errno;
    errno = saved;
    return result;
}
#endif

/* The function `name`, to which a signal's handler returns: the x86-64's kernel has none of its own to offer. Unwinders and
 * debuggers know the frame of a signal by these very bytes, and by there being no unwind table for them; the nop is for those
 * that look one byte in front. */
#if defined(__x86_64__)
#define ARCH_SIGNAL_RETURN(name)                                                                                       \
    __asm__(".pushsection .text.unlikely,\"ax\",@progbits\n\t.p2align 4\n\tnop\n\t.hidden " #name "\n\t.globl " #name  \
            "\n\t.type " #name ",@function\n" #name ":\n\tmovq $15, %rax\n\tsyscall\n\t.size " #name ", . - " #name    \
            "\n\t.popsection");
#define ARCH_HAS_SIGNAL_RETURN 1
#else
#define ARCH_SIGNAL_RETURN(name)
#define ARCH_HAS_SIGNAL_RETURN 0
#endif

#endif
