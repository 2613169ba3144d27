/* SPDX-License-Identifier: MIT */
/*
 * A strip: address space for one array of the allocator's own data that grows in place. It lies between two fences of 64 KiB as
 * what budget_reserve gives, reads as zeros, and is committed by its user (os_commit, budget_commit). It begins small, at a
 * place where nothing else is (os_place), and each time it is too short it becomes twice as long at least: so what it reserves,
 * which RLIMIT_AS and locked memory count, stays a small multiple of what is used, and nothing ever moves. Where the kernel
 * does not map at an address that is asked for, the strip is reserved elsewhere in one piece, of a usual length that it keeps.
 *
 * No lock: that of the user.
 */
#ifndef MYALLOC_STRIP_H
#define MYALLOC_STRIP_H

#include "base/base.h"
#include "kit/budget.h"

/* Address space that a strip of `most` bytes needs to grow. */
#define STRIP_PLACE(most) ((most) + 2 * BUDGET_FENCE)

struct strip {
    char *start;     /* NULL before strip_open */
    size_t reserved; /* bytes that may be committed */
    size_t most;     /* that `reserved` may become */
};

/* Lengths of a strip, multiples of a page. */
struct strip_plan {
    size_t first; /* what is reserved at the start, at least */
    size_t usual; /* what is reserved where it cannot grow; less if RLIMIT_AS is short */
    size_t most;
};

/* Reserves a strip at `place`, of STRIP_PLACE(most) bytes, or where that is refused, or NULL, wherever the kernel wants. False
 * if not even `first` bytes can be had. */
bool strip_open(struct strip *strip, char *place, const struct strip_plan *plan);

/* Reserves until there are `bytes`. False if refused. */
bool strip_reach_slow(struct strip *strip, size_t bytes);
static inline bool strip_reach(struct strip *strip, size_t bytes) {
    return bytes <= strip->reserved || strip_reach_slow(strip, bytes);
}

#endif
