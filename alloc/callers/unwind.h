/* SPDX-License-Identifier: MIT */
/*
 * The return addresses on the stack: who called the allocator. Only the modes that record callers (checks, leaks, the log of
 * mtrace, guarded and hardened blocks) ask; nothing here is on the way of a plain allocation.
 *
 * The unwinder is that of libc's backtrace(3). It reads the unwind tables, so it sees code without frame pointers, too; to
 * walk frame pointers was rejected, because distributions build without them. Its first use loads libgcc_s, which allocates,
 * and which must not happen inside a malloc that the loader itself called. Hence unwind_prepare, and no frames before it.
 *
 * I1 a capture that is asked for while the unwinder runs in this thread (because the unwinder allocates) finds no frames. So
 *    there is no recursion, and no thread waits for a lock of the unwinder's that it holds itself.
 *
 * Locks: none of ours. In some programs the unwinder takes the loader's lock, and the thread that holds that may be waiting
 * for a lock of ours in malloc: call unwind_capture while holding no lock of the allocator.
 */
#ifndef MYALLOC_UNWIND_H
#define MYALLOC_UNWIND_H

#include "base/base.h"

#define UNWIND_MOST 32 /* frames of one capture at most */

/* The return address of the call that this thread is in; NULL where the front does not set it. */
extern HIDDEN THREAD_LOCAL const void *unwind_caller;

/* True if the call that this thread is in is the unwinder's own: in a capture of ours, or because the program throws or
 * unwinds. The unwinder allocates and frees under a lock of its own, so it must not be called again then; and the blocks that
 * it keeps are not the program's. */
bool unwind_inside(void);

/* Loads what the unwinder needs. To be called when a mode that needs frames is switched on, from the program's own call or a
 * constructor; any number of times. Early in a static program the unwind tables are not there yet; captures find nothing
 * until they are. */
void unwind_prepare(void);

/* Return addresses, innermost first, of the callers of the allocator: without the frames of our own code, and without the
 * next `skip` frames. At most `most` of them, and at most UNWIND_MOST. Returns their number: 0 before unwind_prepare, while
 * the unwinder runs (I1), or where the unwinder finds nothing. errno stays. */
unsigned unwind_capture(void **frames, unsigned most, unsigned skip);

/* In the child of a fork of a process with several threads: a static program's unwinder has a lock of its own, which another
 * thread may have held. Captures find nothing from then on. */
void unwind_fork_reset(void);

#endif
