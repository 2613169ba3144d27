/* SPDX-License-Identifier: MIT */
/*
 * Return addresses for people: the function and the module that an address lies in, and whole call stacks as text. Names come
 * from the dynamic loader, and for static functions from the module's file (symtab.h).
 *
 * Locks: none of ours. The loader's look-up takes the loader's lock, and the thread that holds that may be waiting for a lock
 * of ours in malloc: call these functions while holding no lock of the allocator. Nothing here allocates.
 */
#ifndef MYALLOC_BACKTRACE_H
#define MYALLOC_BACKTRACE_H

#include "base/base.h"

/* What is known about a return address. */
struct backtrace_symbol {
    const char *function; /* C++ names mangled; NULL if unknown */
    size_t offset;        /* of the address from the function's start */
    const char *module;   /* path of the program or library; NULL if the address lies in none */
    size_t module_offset; /* of the address from the module's load address, as addr2line wants it */
    const void *header;   /* of the module in memory, NULL if unknown */
};

/* With room for a name, a function that the dynamic loader does not know is looked for in the module's file, which takes as
 * long as reading its symbol table; its name is cut to the room. Not in a process that is shut in (os.h). */
void backtrace_resolve(const void *address, struct backtrace_symbol *symbol, char *name, size_t room);

/* Adds a line a frame: "    #0 function+0x1a (/path/module+0x11a2) (BuildId: 5f3a...)", in the form that symbolizers know. The
 * module's offset is that of the last byte of the call, so `addr2line -e module offset` names the line of the call, not of what
 * follows it. C++ names stay mangled, because demangling them in full allocates; `myalloc symbolize` reads the output. At
 * most UNWIND_MOST frames. */
struct finding;
void backtrace_print(struct finding *finding, void *const *frames, unsigned count);

/* The same of one address, without number and build-id. Returns `out`. */
char *backtrace_place(const void *address, char *out, size_t room);

/* The same of one address with its build-id, without the function: what a symbolizer needs. Empty if it lies in no module. */
void backtrace_module(const void *address, char *out, size_t room);

#endif
