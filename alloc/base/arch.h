/* SPDX-License-Identifier: MIT */
/*
 * All that differs between processors, with arch_fault.h: sizes of pages, addresses and cache lines, access to thread-local
 * data, the instruction for a waiting loop. A processor that is not named here gets what is right for each of them, if not the
 * fastest. base/README.md says how to add one.
 */
#ifndef MYALLOC_ARCH_H
#define MYALLOC_ARCH_H

#if defined(__SIZEOF_POINTER__) && __SIZEOF_POINTER__ != 8
#error "myalloc is written for 64-bit systems" /* before the system's headers, which may fail first where there are none */
#endif

#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "myalloc is written for little-endian processors" /* lock.c waits on the low half of a word, canary.h counts bytes */
#endif

/* A page of the OS. The x86-64 has pages of 4 KiB and no others; elsewhere the kernel was built for one of several sizes, and
 * is asked, once, by os/system.c. A unit (base.h) must be whole pages: region_init looks. */
#define OS_PAGE_MIN ((size_t)4096)
#if defined(__x86_64__)
#define ARCH_PAGE_VARIES 0
#define OS_PAGE OS_PAGE_MIN
#define OS_PAGE_MOST OS_PAGE_MIN
#else
#define ARCH_PAGE_VARIES 1
#define OS_PAGE_MOST ((size_t)65536)
#define OS_PAGE os_page_bytes()
size_t os_page_bytes(void) __attribute__((const));
#endif

/* What a transparent huge page has where a page has 4 KiB: the lowest level of page tables left out. With other pages it is
 * larger, and what is asked for then has no effect. */
#define HUGE_PAGE ((size_t)2 << 20)

/* Bits of the highest address that Linux hands to programs that do not ask for more. */
#if defined(__aarch64__)
#define ADDRESS_BITS 48
#else
#define ADDRESS_BITS 47
#endif

/* What two processors pass between them at a time. */
#define CACHE_LINE 64

/* The address `offset` bytes into thread-local data, as an offset that a pointer to THREAD_SEGMENT data takes through the
 * segment register: the compiler has nothing to add up. By itself gcc would first load the thread's base address; clang does
 * well without, and ThreadSanitizer knows no segments. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__)
#define THREAD_SEGMENT __seg_fs
#define THREAD_ADDRESS(symbol, offset)                                                                                 \
    __extension__({                                                                                                    \
        uintptr_t address = (offset);                                                                                  \
        __asm__("addq " #symbol "@gottpoff(%%rip), %0" : "+r"(address) : : "cc");                                      \
        address;                                                                                                       \
    })
#else
#define THREAD_SEGMENT
#define THREAD_ADDRESS(symbol, offset) ((uintptr_t)&(symbol) + (offset))
#endif

/* What kind of access a SIGSEGV or SIGBUS was (arch_fault.h); ARCH_ACCESS: nothing is known of its kind. */
enum arch_access { ARCH_ACCESS, ARCH_READ, ARCH_WRITE, ARCH_EXECUTE };

/* Adds to a word of this thread's by one instruction where the processor has one for that, so that a signal handler of the
 * thread comes before it or behind it: a compiler may also load the word, add and store it. ThreadSanitizer sees no accesses of
 * assembler. */
static inline void arch_add(int32_t *word, int32_t more) {
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
    __asm__ volatile("addl %1, %0" : "+m"(*word) : "er"(more) : "cc");
#else
    *word += more;
#endif
}

/* In a loop that waits for another processor: lets the other hardware thread of this core run, and saves power. */
static inline void arch_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
