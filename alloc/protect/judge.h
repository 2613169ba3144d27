/* SPDX-License-Identifier: MIT */
/*
 * A call for one block of a protection: the block is found under the protection's lock, it and the call are judged, the lock is
 * let go, and what is wrong is told; always in this order, for the program's function or abort may run when a fault is told.
 * `call` names the function that the program called. No lock of the allocator is held by the caller.
 */
#ifndef MYALLOC_JUDGE_H
#define MYALLOC_JUDGE_H

#include "protect/protection.h"

/* Frees a block. Reports what is no live block's start, memory that was changed around it, and a size (UNSIZED if the call does
 * not tell) or alignment (0) that is not the block's. A fault in a live block is told before the block's memory is touched, for
 * the sake of a core file; if the process goes on the block is freed all the same. */
void judge_free(const struct protection *row, void *p, const char *call, size_t bytes, size_t align);

/* Judges a block and a call that uses it and frees it later. */
void judge_use(const struct protection *row, const void *p, const char *call);

/* The size asked for of a live block that starts at `p`, without a look at its memory. False if there is none, which is
 * reported. */
bool judge_size(const struct protection *row, const void *p, const char *call, size_t *bytes);

/* Makes a live block smaller where it is: for want of memory elsewhere. */
void judge_shrink(const struct protection *row, void *p, size_t bytes, const char *call);

/* mprobe(3): reports what is wrong with a block, and returns it. */
enum mcheck_status judge_probe(const struct protection *row, const void *p, const char *call);

/* Looks at all blocks, and reports what is wrong. */
void judge_all(const struct protection *row, const char *call);

#endif
