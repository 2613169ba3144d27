/* SPDX-License-Identifier: MIT */
/*
 * A stack frame, by processor: registers under the numbers that unwind tables have for them (DWARF's), this thread's own at the
 * moment, and where the kernel puts those of a function that a signal interrupts. ARCH_UNWINDS is 0 for a processor that is
 * not named here: no frames are found there.
 */
#ifndef MYALLOC_ARCH_FRAME_H
#define MYALLOC_ARCH_FRAME_H

#include <string.h>

#include "base/base.h"

/* ARCH_SP, ARCH_FP: the stack and the frame pointer. ARCH_RA: the register whose value in the caller's frame is where it goes
 * on. ARCH_CODE_BYTES: the instructions by which a signal's handler returns. ARCH_CALL_PUSHES: a call leaves on the stack where
 * its caller goes on, else in ARCH_RA. */
#if defined(__x86_64__)
#define ARCH_UNWINDS 1
#define ARCH_CALL_PUSHES 1
enum { ARCH_FP = 6, ARCH_SP = 7, ARCH_RA = 16, ARCH_REGISTERS = 17, ARCH_CODE_BYTES = 9 };
#elif defined(__aarch64__)
#define ARCH_UNWINDS 1
#define ARCH_CALL_PUSHES 0
enum { ARCH_FP = 29, ARCH_RA = 30, ARCH_SP = 31, ARCH_REGISTERS = 32, ARCH_CODE_BYTES = 8 };
#else
#define ARCH_UNWINDS 0
#define ARCH_CALL_PUSHES 0
enum { ARCH_FP, ARCH_SP, ARCH_RA, ARCH_REGISTERS, ARCH_CODE_BYTES };
#endif

struct arch_frame {
    uintptr_t value[ARCH_REGISTERS];
    uint64_t known;   /* a bit for each register whose value is known */
    uintptr_t pc;     /* where the frame's function is, or goes on when what it called returns */
    bool interrupted; /* pc is not behind a call: a signal came there */
};

static inline bool arch_knows(const struct arch_frame *frame, unsigned number) {
    return number < ARCH_REGISTERS && (frame->known >> number & 1) != 0;
}

/* Registers that a call leaves as they are, and the place of the call of this, which must be inlined. */
static ALWAYS_INLINE void arch_frame_here(struct arch_frame *frame) {
#if defined(__x86_64__)
    __asm__ volatile("movq %%rbx, 24(%0)\n\tmovq %%rbp, 48(%0)\n\tmovq %%rsp, 56(%0)\n\tmovq %%r12, 96(%0)\n\t"
                     "movq %%r13, 104(%0)\n\tmovq %%r14, 112(%0)\n\tmovq %%r15, 120(%0)\n\t"
                     "leaq 1f(%%rip), %%rax\n\tmovq %%rax, 128(%0)\n1:"
                     :
                     : "r"(frame->value)
                     : "rax", "memory");
    frame->pc = frame->value[ARCH_RA];
    frame->known = 1u << 3 | 1u << ARCH_FP | 1u << ARCH_SP | 0xfu << 12 | 1u << ARCH_RA;
#elif defined(__aarch64__)
    __asm__ volatile("stp x19, x20, [%1, #152]\n\tstp x21, x22, [%1, #168]\n\tstp x23, x24, [%1, #184]\n\t"
                     "stp x25, x26, [%1, #200]\n\tstp x27, x28, [%1, #216]\n\tstp x29, x30, [%1, #232]\n\t"
                     "mov %0, sp\n\tstr %0, [%1, #248]\n\tadr %0, 1f\n1:"
                     : "=&r"(frame->pc)
                     : "r"(frame->value)
                     : "memory");
    frame->known = UINT64_C(0xfff80000) | UINT64_C(1) << ARCH_SP;
#else
    frame->pc = 0;
    frame->known = 0;
#endif
    frame->interrupted = true;
}

/* A return address without what the processor may have put above it to know it again (pointer authentication). */
static inline uintptr_t arch_return_address(uintptr_t stored) {
#if defined(__aarch64__)
    return stored & (((uintptr_t)1 << ADDRESS_BITS) - 1);
#else
    return stored;
#endif
}

/* True if these are the instructions by which a signal's handler returns. */
static inline bool arch_is_signal_return(const unsigned char *code) {
#if defined(__x86_64__)
    return memcmp(code, "\x48\xc7\xc0\x0f\0\0\0\x0f\x05", ARCH_CODE_BYTES) == 0; /* mov $15, %rax; syscall */
#elif defined(__aarch64__)
    return memcmp(code, "\x68\x11\x80\xd2\x01\0\0\xd4", ARCH_CODE_BYTES) == 0; /* mov x8, #139; svc #0 */
#else
    (void)code;
    return false;
#endif
}

/* Bytes of the stack in front of the context that a signal's handler gets. */
#if defined(__aarch64__)
#define ARCH_CONTEXT_OFFSET 128
#else
#define ARCH_CONTEXT_OFFSET 0
#endif

/* Where the kernel has stored a register for that return, as an offset from the stack pointer before it; -1 for the pc. On the
 * x86-64 a ucontext_t lies there, whose registers begin at byte 40; on aarch64 a siginfo_t of 128 bytes lies in front of it,
 * and the registers begin at byte 184 of it, behind the address of a fault. */
static inline size_t arch_signal_offset(int number) {
#if defined(__x86_64__)
    static const unsigned char at[ARCH_REGISTERS] = {144, 136, 152, 128, 112, 104, 120, 160, 40,
                                                     48,  56,  64,  72,  80,  88,  96,  168};
    return at[number < 0 ? (int)ARCH_RA : number];
#else
    return ARCH_CONTEXT_OFFSET + 184 + 8 * (size_t)(number < 0 ? (int)ARCH_REGISTERS : number);
#endif
}

/* The frame that a signal has interrupted, all registers, by the context that its handler got. */
static inline void arch_frame_of_signal(struct arch_frame *frame, const void *context) {
    const char *sp = (const char *)context - ARCH_CONTEXT_OFFSET;
    for (int i = 0; i < (int)ARCH_REGISTERS; i++)
        memcpy(&frame->value[i], sp + arch_signal_offset(i), sizeof frame->value[i]);
    memcpy(&frame->pc, sp + arch_signal_offset(-1), sizeof frame->pc);
    frame->known = ARCH_UNWINDS ? (UINT64_C(1) << ARCH_REGISTERS) - 1 : 0;
    frame->interrupted = true;
}

#endif
