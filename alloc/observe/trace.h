/* SPDX-License-Identifier: MIT */
/*
 * The log of mtrace(): each allocation and free as a line of text, in the form that glibc's `mtrace` script
 * reads (mtrace(3), mtrace(1)):
 *     = Start
 *     @ program:(function+0xOFFSET)[0xOFFSET] + 0xADDRESS 0xSIZE    allocated
 *     @ ... - 0xADDRESS                                             freed
 *     @ ... < 0xADDRESS, @ ... > 0xADDRESS 0xSIZE                   realloc
 *     @ ... ! 0xADDRESS 0xSIZE                                      a realloc refused; "+ (nil) SIZE": another call
 *     = End
 * The offset is that of the calling instruction, not of the return address, which may belong to the next line.
 *
 * T1 a block's line of release is in the log before the block is free, its line of allocation after it is the
 *    program's; so the lines of one address are in order whatever threads do. For realloc, whose old block may be gone
 *    by the time it returns, "<" is written first; if it is refused, ">" takes that back and "!" follows.
 * T2 each write to the file is whole lines.
 *
 * Lines gather in a buffer; it is written when full, at muntrace() and at exit, after which each line is written at
 * once, to miss nothing that is freed later. What _exit, exec or a crash find in the buffer is lost, as with glibc. A
 * forked child does not trace: its blocks are not the parent's. Lock: LOCK_TRACE, held for the buffer and its writing.
 */
#ifndef MYALLOC_TRACE_H
#define MYALLOC_TRACE_H

#include "base/base.h"
#include "kit/lock.h"

/* mtrace(): opens the file that MALLOC_TRACE names, anew and empty, and switches MODE_TRACE on. Nothing happens while a
 * log is open, or if no file is named, or in a set-user-ID program. A line on standard error if the file cannot be
 * written. Not under any lock of the allocator. */
void trace_start(void);

/* muntrace(): ends and closes the log. */
void trace_stop(void);

/* observers.h calls these while MODE_TRACE is on, under no lock of the allocator. */
void trace_allocated(const void *p, size_t bytes); /* p is NULL if it was refused */
void trace_freeing(const void *p);
void trace_resizing(const void *p);
void trace_resized(const void *old, size_t old_usable, const void *p, size_t bytes);

/* In the child of a fork the log is closed without a write: what is in the buffer is the parent's. */
extern HIDDEN const struct lock_set trace_locks;

#endif
