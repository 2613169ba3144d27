/* SPDX-License-Identifier: MIT */
/*
 * Also by processor: probes (USDT), as SystemTap's notes tell of them, which gdb, bpftrace, perf and OpenTelemetry's profiler
 * read. A probe is an instruction that does nothing, and a note in the ELF file that says where it is, what it is called, in
 * which registers its arguments are and where its semaphore is: a number of 16 bits, of those who listen, which they count up
 * and down in the memory of the process. The notes take no memory of a process. Systemtap's own header would be a package
 * more to build with, and lets the compiler choose where arguments are; here they are where a function of the C language
 * has them, for readers that look nowhere else.
 *
 * Addresses in a note are those of the file. `.stapsdt.base` is there to tell by how much a tool that moves a file's contents
 * has moved them: its first byte is where the note says, or as far from there as all else. All files that are linked together
 * have one, also those of SystemTap's header: so its symbol is not hidden, which in the static library would make it a local
 * one, of a section that the linker leaves out where the program has the same.
 */
#ifndef MYALLOC_ARCH_PROBE_H
#define MYALLOC_ARCH_PROBE_H

#include <stdint.h>

#if defined(__x86_64__)
#define ARCH_PROBES 1
#define ARCH_PROBE_1 "rdi"
#define ARCH_PROBE_2 "rsi"
#define ARCH_PROBE_3 "rdx"
#define ARCH_PROBE_ARGUMENT "8@%%"
#elif defined(__aarch64__)
#define ARCH_PROBES 1
#define ARCH_PROBE_1 "x0"
#define ARCH_PROBE_2 "x1"
#define ARCH_PROBE_3 "x2"
#define ARCH_PROBE_ARGUMENT "8@"
#else
#define ARCH_PROBES 0
#endif

/* The probe `provider`:`name`. `arguments` is the text of the note about them, as in ARCH_PROBE_ARGUMENTS_2; they are words.
 * Its semaphore is the variable provider_name_semaphore, a uint16_t of the same file in the section ARCH_PROBE_SECTION. To be
 * used once for each: in a function that is not inlined. */
#define ARCH_PROBE_SECTION ".probes"
#define ARCH_PROBE_NOTE(provider, name, arguments)                                                                     \
    "990: nop\n"                                                                                                       \
    ".pushsection .note.stapsdt, \"\", %%note\n"                                                                       \
    ".balign 4\n"                                                                                                      \
    ".4byte 992f - 991f, 994f - 993f, 3\n" /* lengths of the note's name and contents, its type */                     \
    "991: .asciz \"stapsdt\"\n"                                                                                        \
    "992: .balign 4\n"                                                                                                 \
    "993: .8byte 990b, _.stapsdt.base, " #provider "_" #name "_semaphore\n"                                            \
    ".asciz \"" #provider "\"\n"                                                                                       \
    ".asciz \"" #name "\"\n"                                                                                           \
    ".asciz \"" arguments "\"\n"                                                                                       \
    "994: .balign 4\n"                                                                                                 \
    ".popsection\n"                                                                                                    \
    ".ifndef _.stapsdt.base\n"                                                                                         \
    ".pushsection .stapsdt.base, \"aG\", %%progbits, .stapsdt.base, comdat\n"                                          \
    ".weak _.stapsdt.base\n"                                                                                           \
    "_.stapsdt.base: .space 1\n"                                                                                       \
    ".size _.stapsdt.base, 1\n"                                                                                        \
    ".popsection\n"                                                                                                    \
    ".endif\n"

#if ARCH_PROBES
#define ARCH_PROBE_ARGUMENTS_1 ARCH_PROBE_ARGUMENT ARCH_PROBE_1
#define ARCH_PROBE_ARGUMENTS_2 ARCH_PROBE_ARGUMENTS_1 " " ARCH_PROBE_ARGUMENT ARCH_PROBE_2
#define ARCH_PROBE_ARGUMENTS_3 ARCH_PROBE_ARGUMENTS_2 " " ARCH_PROBE_ARGUMENT ARCH_PROBE_3
#define ARCH_PROBE(provider, name, arguments, first, second, third)                                                    \
    do {                                                                                                               \
        register uintptr_t argument_1 __asm__(ARCH_PROBE_1) = (first);                                                 \
        register uintptr_t argument_2 __asm__(ARCH_PROBE_2) = (second);                                                \
        register uintptr_t argument_3 __asm__(ARCH_PROBE_3) = (third);                                                 \
        __asm__ volatile(ARCH_PROBE_NOTE(provider, name, arguments)                                                    \
                         :                                                                                             \
                         : "r"(argument_1), "r"(argument_2), "r"(argument_3)                                           \
                         : "memory");                                                                                  \
    } while (0)
#endif

#endif
