/* SPDX-License-Identifier: MIT */
/*
 * The return addresses on the stack: who called the allocator. Only the modes that record callers (checks, leaks, the log of
 * mtrace, guarded and hardened blocks) ask; nothing here is on the way of a plain allocation.
 *
 * The unwinder is our own. It reads the unwind tables that compilers write for exceptions, so it sees code without frame
 * pointers, too, and follows frame pointers where code has no tables. That of libgcc, which libc's backtrace(3) calls, was
 * rejected: it allocates and waits for locks, must be loaded first, and took nine tenths of the time of the modes that record
 * callers.
 *
 * I1 a capture waits for nothing, allocates nothing of the program's and never faults, whatever the stack and the tables hold:
 *    at any time, in any thread, in a signal's handler, in the middle of the loader, and in a forked child.
 *
 * Memory: tables that are mapped at the first capture and never given back (rows.h, walker.h). Without them a capture finds the
 * same and takes longer.
 */
#ifndef MYALLOC_UNWIND_H
#define MYALLOC_UNWIND_H

#include "base/arch_frame.h"
#include "base/base.h"

#define UNWIND_MOST 32 /* frames of one capture at most */

/* The frame's own address and the return addresses of its callers, innermost first, at most `most`. Returns their number. */
unsigned unwind_walk(const struct arch_frame *start, void **frames, unsigned most);

/* Return addresses, innermost first, of the callers of the allocator: without the frames of our own code, and without the
 * next `skip` frames. At most `most` of them, and at most UNWIND_MOST and
 * what the tunable stack_depth says. Returns their number. errno stays. */
unsigned unwind_capture(void **frames, unsigned most, unsigned skip);

/* The call stack of what a signal has interrupted, by the context that its handler got: where that was and one more, as if it
 * were a return address, too, and the return addresses of its callers. `jumped`: it was led to where no code is; then its
 * caller is found by what a call leaves behind. At most `most`, as above. */
unsigned unwind_interrupted(const void *context, bool jumped, void **frames, unsigned most);

/* To be called when a mode that needs frames is switched on. What was known of code may be wrong by then, because nobody saw
 * the loader allocate (code.h), and is forgotten. What must be read from a file is read now: the program may shut itself in
 * later. Without this captures find the same. */
void unwind_prepare(void);

#endif
