/* SPDX-License-Identifier: MIT */
/*
 * Where the allocator under test lives. Two implementations:
 *  sandbox.c  The allocator is linked in under other names (subject_malloc, …) and without its constructor, and its
 * calls to the C library arrive here: memory lies at fixed addresses, the clock is set by the input, calls may be
 *             refused, and all of the allocator's state can be put back to what it was when the program was loaded. So
 *             many inputs run in one process, each from the same start, and a replay is the same to the address.
 *  open.c     The allocator is the process's own malloc, preloaded or linked, on the real OS. One input a process.
 */
#ifndef TESTS_FUZZ_SANDBOX_H
#define TESTS_FUZZ_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const bool sandbox_closed; /* it is sandbox.c: nobody but the calls allocates, memory is refused only on order */

/* A process begins: the environment's variables (NULL-terminated, kept), the limit of its address space (SIZE_MAX:
 * none). */
void sandbox_begin(char **environment, size_t address_space);
/* In the first thread: what the constructor does. */
void sandbox_start(void);
/* Calls what was registered with atexit; with `late`, what came by __cxa_atexit also. */
void sandbox_exit(bool late);
/* The process is gone: memory, files and state. All its threads have ended. */
void sandbox_end(void);

/* Of the next calls to the OS for memory, `after` succeed, then `count` are refused. */
void sandbox_refuse(unsigned after, unsigned count);
/* Calls refused since the beginning. */
unsigned sandbox_refused(void);

void sandbox_clock_forward(unsigned milliseconds);
/* What another caller of sbrk does. */
void sandbox_foreign_sbrk(intptr_t bytes);
/* Whether libc says that there is one thread. */
void sandbox_threaded(bool several);

/* What the allocator wrote to standard error since the last time: lines, and the text of the last (cut). */
unsigned sandbox_lines(const char **text);

#endif
