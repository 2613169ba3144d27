/* SPDX-License-Identifier: MIT */
/*
 * By processor: ARCH_CATCH(name, runtime) defines a hidden function
 *
 *     void *name(void *(*function)(size_t, size_t), size_t first, size_t second);
 *
 * that returns what function(first, second) returns, and NULL if that throws a C++ exception, which is caught and dropped: what
 * `try { return function(first, second); } catch (...) { return nullptr; }` is in C++. C has no word for it, so the function
 * is in assembler, with the table by which the C++ runtime knows that it catches. `runtime` is a hidden array with the
 * addresses of the runtime's __gxx_personality_v0, __cxa_begin_catch and __cxa_end_catch; while the first is NULL, an
 * exception goes through the function as if it caught nothing. ARCH_CATCHES is 0 where nothing is written for a processor.
 */
#ifndef MYALLOC_ARCH_CATCH_H
#define MYALLOC_ARCH_CATCH_H

#define ARCH_CATCHES 1

/* The table: calls between NAME_try and NAME_tried are caught at NAME_catch, whatever is thrown (type 0). */
#define ARCH_CATCH_TABLE(name)                                                                                         \
    ".pushsection .gcc_except_table,\"a\"\n.balign 4\n.L" #name "_table:\n.byte 0xff\n.byte 0x03\n"                   \
    ".uleb128 .L" #name "_types - .L" #name "_from\n.L" #name "_from:\n.byte 0x01\n"                                   \
    ".uleb128 .L" #name "_calls_end - .L" #name "_calls\n.L" #name "_calls:\n"                                         \
    ".uleb128 .L" #name "_try - " #name "\n.uleb128 .L" #name "_tried - .L" #name "_try\n"                             \
    ".uleb128 .L" #name "_catch - " #name "\n.uleb128 1\n.L" #name "_calls_end:\n"                                     \
    ".byte 1\n.byte 0\n.balign 4\n.long 0\n.L" #name "_types:\n.popsection\n"

/* 0x9b: by the offset of where the address is; 0x1b: by its offset (DWARF's encodings of pointers). */
#define ARCH_CATCH_FUNCTION(name, runtime, body)                                                                       \
    __asm__(".pushsection .text\n.globl " #name "\n.hidden " #name "\n.type " #name ", %function\n.balign 16\n" #name  \
            ":\n.cfi_startproc\n.cfi_personality 0x9b, " #runtime "\n.cfi_lsda 0x1b, .L" #name "_table\n" body         \
            ".cfi_endproc\n.size " #name ", . - " #name "\n.popsection\n" ARCH_CATCH_TABLE(name))

#if defined(__x86_64__)
#define ARCH_CATCH(name, runtime)                                                                                      \
    ARCH_CATCH_FUNCTION(name, runtime,                                                                                 \
                        "endbr64\nsubq $8, %rsp\n.cfi_adjust_cfa_offset 8\n"                                           \
                        "movq %rdi, %rax\nmovq %rsi, %rdi\nmovq %rdx, %rsi\n"                                          \
                        ".L" #name "_try:\ncall *%rax\n.L" #name "_tried:\njmp 1f\n"                                   \
                        ".L" #name "_catch:\nendbr64\nmovq %rax, %rdi\ncall *8+" #runtime "(%rip)\n"                   \
                        "call *16+" #runtime "(%rip)\nxorl %eax, %eax\n"                                               \
                        "1:\naddq $8, %rsp\n.cfi_adjust_cfa_offset -8\nret\n")
#elif defined(__aarch64__)
/* `hint 34` is bti c, `hint 36` bti j: landing places of calls and of jumps. */
#define ARCH_CATCH_CALL(runtime, offset)                                                                               \
    "adrp x9, " #runtime "\nadd x9, x9, :lo12:" #runtime "\nldr x9, [x9, #" #offset "]\nblr x9\n"
#define ARCH_CATCH(name, runtime)                                                                                      \
    ARCH_CATCH_FUNCTION(name, runtime,                                                                                 \
                        "hint 34\nstp x29, x30, [sp, #-16]!\n.cfi_adjust_cfa_offset 16\n.cfi_offset x30, -8\n"         \
                        ".cfi_offset x29, -16\nmov x3, x0\nmov x0, x1\nmov x1, x2\n"                                   \
                        ".L" #name "_try:\nblr x3\n.L" #name "_tried:\nb 1f\n"                                         \
                        ".L" #name "_catch:\nhint 36\n" ARCH_CATCH_CALL(runtime, 8) ARCH_CATCH_CALL(runtime, 16)       \
                        "mov x0, #0\n1:\nldp x29, x30, [sp], #16\n.cfi_adjust_cfa_offset -16\n.cfi_restore x30\n"      \
                        ".cfi_restore x29\nret\n")
#else
#undef ARCH_CATCHES
#define ARCH_CATCHES 0
#endif

#endif
