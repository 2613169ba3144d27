/* SPDX-License-Identifier: MIT */
/*
 * By processor: functions that hand a call on as if they were not there. ARCH_FORWARD_2(name, next) defines an exported
 * function of two arguments, ARCH_FORWARD_3 one of three. It gives its arguments to `next`, which returns a struct arch_next:
 * the function to call instead, and what stands for the last argument. That function is jumped to, so what it sees as its
 * caller is the caller of this one. No C compiler promises such a jump, hence assembler. Where none is written for a
 * processor, ARCH_FORWARDS is 0.
 */
#ifndef MYALLOC_ARCH_FORWARD_H
#define MYALLOC_ARCH_FORWARD_H

struct arch_next {
    void *function;
    long last;
};

#define ARCH_FORWARDS 1
#define ARCH_FUNCTION(name, body)                                                                                      \
    __asm__(".pushsection .text\n.globl " #name "\n.type " #name ", %function\n.balign 16\n" #name ":\n"              \
            ".cfi_startproc\n" body ".cfi_endproc\n.size " #name ", . - " #name "\n.popsection\n")

#if defined(__x86_64__)
/* Arguments in rdi, rsi, rdx; the two words of the result in rax and rdx. The stack is aligned to 16 at each call. */
#define ARCH_FORWARD_2(name, next)                                                                                     \
    ARCH_FUNCTION(name, "endbr64\npushq %rdi\n.cfi_adjust_cfa_offset 8\ncall " #next "\n"                             \
                        "popq %rdi\n.cfi_adjust_cfa_offset -8\nmovq %rdx, %rsi\njmpq *%rax\n")
#define ARCH_FORWARD_3(name, next)                                                                                     \
    ARCH_FUNCTION(name, "endbr64\npushq %rdi\npushq %rsi\nsubq $8, %rsp\n.cfi_adjust_cfa_offset 24\n"                 \
                        "call " #next "\naddq $8, %rsp\npopq %rsi\npopq %rdi\n"                                       \
                        ".cfi_adjust_cfa_offset -24\njmpq *%rax\n")
#elif defined(__aarch64__)
/* Arguments in x0, x1, x2; the two words of the result in x0 and x1. `hint 34` is bti c, an indirect call's landing place. */
#define ARCH_SAVE "hint 34\nstp x29, x30, [sp, #-32]!\n.cfi_adjust_cfa_offset 32\n.cfi_offset x30, -24\n"
#define ARCH_LEAVE "ldp x29, x30, [sp], #32\n.cfi_adjust_cfa_offset -32\n.cfi_restore x30\nbr x16\n"
#define ARCH_FORWARD_2(name, next)                                                                                     \
    ARCH_FUNCTION(name, ARCH_SAVE "str x0, [sp, #16]\nbl " #next "\nmov x16, x0\nldr x0, [sp, #16]\n" ARCH_LEAVE)
#define ARCH_FORWARD_3(name, next)                                                                                     \
    ARCH_FUNCTION(name, ARCH_SAVE "stp x0, x1, [sp, #16]\nbl " #next "\nmov x16, x0\nmov x2, x1\n"                     \
                                  "ldp x0, x1, [sp, #16]\n" ARCH_LEAVE)
#else
#undef ARCH_FORWARDS
#define ARCH_FORWARDS 0
#endif

#endif
