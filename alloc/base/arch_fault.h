/* SPDX-License-Identifier: MIT */
/*
 * What kind of access a SIGSEGV or SIGBUS was, by the context that its handler got: the kernel passes on what the processor
 * says, each in its own form. Apart from arch.h, which every file includes, because <ucontext.h> defines names such as REG_ERR.
 */
#ifndef MYALLOC_ARCH_FAULT_H
#define MYALLOC_ARCH_FAULT_H

#include <string.h>
#include <ucontext.h>

#include "base/base.h"

#if defined(__x86_64__)
/* The page fault's error code: bit 4 tells the fetch of an instruction, bit 1 a write. */
static inline enum arch_access arch_access(const void *context) {
    greg_t error = ((const ucontext_t *)context)->uc_mcontext.gregs[REG_ERR];
    return error & 16 ? ARCH_EXECUTE : error & 2 ? ARCH_WRITE : ARCH_READ;
}
#elif defined(__aarch64__)
#define ARCH_ESR_MAGIC 0x45535201 /* of the kernel's <asm/sigcontext.h> */

/* The kernel appends records, each with its magic number and size in front; one has the syndrome register. In that, the top
 * six bits are a class, of which 0x20 and 0x21 are instruction aborts, and bit 6 tells a write. */
static inline enum arch_access arch_access(const void *context) {
    const ucontext_t *user = context;
    const unsigned char *at = user->uc_mcontext.__reserved, *end = at + sizeof user->uc_mcontext.__reserved;
    for (uint32_t head[2]; at + 16 <= end; at += head[1]) {
        uint64_t syndrome;
        memcpy(head, at, sizeof head);
        memcpy(&syndrome, at + sizeof head, sizeof syndrome);
        if (head[0] == ARCH_ESR_MAGIC)
            return (syndrome >> 26 & 0x3e) == 0x20 ? ARCH_EXECUTE : syndrome & 64 ? ARCH_WRITE : ARCH_READ;
        if (head[1] < sizeof head)
            break;
    }
    return ARCH_ACCESS;
}
#else
static inline enum arch_access arch_access(const void *context) {
    (void)context;
    return ARCH_ACCESS;
}
#endif

#endif
