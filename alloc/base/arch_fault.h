/* SPDX-License-Identifier: MIT */
/*
 * What kind of access a SIGSEGV or SIGBUS was, by the context that its handler got: the kernel passes on what the processor
 * says, each in its own form; of how many bytes, by the instruction; whether the address is known at all; the stack pointer.
 * Apart from arch.h, which every file includes, because <ucontext.h> defines names such as REG_ERR.
 */
#ifndef MYALLOC_ARCH_FAULT_H
#define MYALLOC_ARCH_FAULT_H

#include <string.h>
#include <ucontext.h>

#include "base/base.h"

#if defined(__x86_64__)
#include "base/operand_x86.h"
#elif defined(__aarch64__)
#include "base/operand_aarch64.h"
#endif

#if defined(__x86_64__)
/* The page fault's error code: bit 4 tells the fetch of an instruction, bit 1 a write. */
static inline enum arch_access arch_access(const void *context) {
    greg_t error = ((const ucontext_t *)context)->uc_mcontext.gregs[REG_ERR];
    return error & 16 ? ARCH_EXECUTE : error & 2 ? ARCH_WRITE : ARCH_READ;
}

#define ARCH_INSTRUCTION_MOST 15 /* bytes */

static inline uintptr_t arch_instruction(const void *context) {
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
}

static inline uintptr_t arch_stack_pointer(const void *context) {
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RSP];
}

/* Exception 13, general protection, is what an address leads to that no page table can have; it comes without the address. */
static inline bool arch_address_known(const void *context) {
    return ((const ucontext_t *)context)->uc_mcontext.gregs[REG_TRAPNO] != 13;
}

/* What rcx counts is left to do, from rsi or to rdi; upwards, unless bit 10 of the flags says downwards. Of that, what the
 * processor has not done before the byte at `p` counts. */
static inline size_t arch_access_bytes(const void *context, const uint8_t *code, size_t length, uintptr_t p) {
    const greg_t *registers = ((const ucontext_t *)context)->uc_mcontext.gregs;
    bool repeated;
    size_t bytes = operand_bytes(code, length, &repeated);
    if (!repeated)
        return bytes;
    uintptr_t from = (uintptr_t)registers[arch_access(context) == ARCH_WRITE ? REG_RDI : REG_RSI];
    size_t count = (size_t)registers[REG_RCX], whole = count * bytes;
    bool known = !(registers[REG_EFL] & 0x400) && count < SIZE_LIMIT && p - from < whole;
    return known ? whole - (p - from) : 0;
}
#elif defined(__aarch64__)
#define ARCH_ESR_MAGIC 0x45535201 /* of the kernel's <asm/sigcontext.h> */

/* The kernel appends records, each with its magic number and size in front; one has the syndrome register. In that, the top
 * six bits are a class, of which 0x20 and 0x21 are instruction aborts and 0x22 is a program counter that is no multiple of
 * four, and bit 6 tells a write. */
static inline enum arch_access arch_access(const void *context) {
    const ucontext_t *user = context;
    const unsigned char *at = user->uc_mcontext.__reserved, *end = at + sizeof user->uc_mcontext.__reserved;
    for (uint32_t head[2]; at + 16 <= end; at += head[1]) {
        uint64_t syndrome;
        memcpy(head, at, sizeof head);
        memcpy(&syndrome, at + sizeof head, sizeof syndrome);
        if (head[0] == ARCH_ESR_MAGIC)
            return syndrome >> 26 >= 0x20 && syndrome >> 26 <= 0x22 ? ARCH_EXECUTE : syndrome & 64 ? ARCH_WRITE : ARCH_READ;
        if (head[1] < sizeof head)
            break;
    }
    return ARCH_ACCESS;
}

#define ARCH_INSTRUCTION_MOST 4 /* bytes */

static inline uintptr_t arch_instruction(const void *context) {
    return ((const ucontext_t *)context)->uc_mcontext.pc;
}

static inline uintptr_t arch_stack_pointer(const void *context) {
    return ((const ucontext_t *)context)->uc_mcontext.sp;
}

static inline bool arch_address_known(const void *context) {
    (void)context;
    return true;
}

static inline size_t arch_access_bytes(const void *context, const uint8_t *code, size_t length, uintptr_t p) {
    bool repeated;
    (void)context, (void)p;
    return operand_bytes(code, length, &repeated);
}
#else
static inline enum arch_access arch_access(const void *context) {
    (void)context;
    return ARCH_ACCESS;
}

#define ARCH_INSTRUCTION_MOST 1

static inline uintptr_t arch_instruction(const void *context) {
    (void)context;
    return 0;
}

static inline uintptr_t arch_stack_pointer(const void *context) {
    (void)context;
    return 0;
}

static inline bool arch_address_known(const void *context) {
    (void)context;
    return true;
}

static inline size_t arch_access_bytes(const void *context, const uint8_t *code, size_t length, uintptr_t p) {
    (void)context, (void)code, (void)length, (void)p;
    return 0;
}
#endif

#endif
