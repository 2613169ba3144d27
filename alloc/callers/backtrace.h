/* SPDX-License-Identifier: MIT */
/*
 * Who called: the return addresses on the stack, and their names. For the slow modes only (checking, leaks,
 * mtrace): nothing here is on the way of a plain allocation.
 *
 * The unwinder is that of libc's backtrace(): it reads the unwind tables, so code without frame pointers is seen too. Its
 * first use loads libgcc_s, which allocates and must not happen inside a malloc that the loader itself called; hence
 * backtrace_prepare, and no frames before it. Walking frame pointers was rejected: distributions build without them.
 *
 * B1 a capture inside the unwinder, which may allocate, finds nothing: there is no recursion, and no waiting for oneself.
 *
 * Locks: none of ours. The unwinder and the symbol look-up take the loader's lock in some programs, and whoever holds
 * that may be waiting in malloc: call these functions while holding no lock of the allocator.
 */
#ifndef MYALLOC_BACKTRACE_H
#define MYALLOC_BACKTRACE_H

#include "base/base.h"

#define BACKTRACE_MOST 32 /* frames kept at most */

/* Where the call that this thread is in came from, if the front knows it. */
extern HIDDEN THREAD_LOCAL const void *backtrace_caller;

/* True if this call is the unwinder's: in a capture of ours, or because the program unwinds. The unwinder allocates and
 * frees under a lock of its own, so it must not be called again; and what it keeps is not the program's. */
bool backtrace_inside(void);

/* Loads what the unwinder needs. Call it when a mode that needs frames is switched on, from the program's own call or a
 * constructor. May be called again. Where the unwind tables are not there yet (early in a static program), captures find
 * nothing until they are. */
void backtrace_prepare(void);

/* Return addresses, innermost first, of the callers of the allocator: frames in our own code are left out, and after
 * them `skip` more. At most `most` (itself cut to BACKTRACE_MOST). Returns their number; 0 before backtrace_prepare, in
 * a signal handler that interrupted a capture, or where the unwinder finds nothing. errno stays. */
unsigned backtrace_capture(void **frames, unsigned most, unsigned skip);

/* What is known about a return address. */
struct backtrace_symbol {
    const char *function; /* C++ names mangled; NULL if unknown */
    size_t offset;        /* of the address from the function's start */
    const char *module;   /* path of the program or library; NULL if the address lies in none */
    size_t module_offset; /* of the address from the module's load address, as addr2line wants it */
    char name[256];       /* room for a function that only the module's file knows */
};

/* With `thorough`, a function that the dynamic loader does not know is looked for in the module's file, which takes as
 * long as reading its symbol table. */
void backtrace_resolve(const void *address, struct backtrace_symbol *symbol, bool thorough);

/* A line a frame: "    #0 function+0x1a (/path/module+0x11a2)". The module's offset is that of the last byte of the call,
 * so `addr2line -e module offset` names the line of the call, not of what follows it. C++ names stay mangled: demangling
 * allocates; pipe the output through c++filt. */
void backtrace_print(int fd, void *const *frames, unsigned count);

/* After fork, in the child of a process with several threads. */
void backtrace_fork_reset(void);

#endif
