/* SPDX-License-Identifier: MIT */
/*
 * A tract: a run of units of which a shelf cuts large blocks (span_shelf.h), as bits. Guarded by the lock of its shelf.
 */
#ifndef MYALLOC_SPAN_TRACT_H
#define MYALLOC_SPAN_TRACT_H

#include "base/base.h"

#define TRACT_UNITS 48 /* at most 64, the bits of a word */

/* Bit n stands for unit first + n. */
struct tract {
    uint64_t free;
    uint64_t clean; /* of the free ones: zero, as far as is known */
    uint64_t idle;  /* of the free ones: those that were so at the last sweep, too */
    uint32_t first;
    uint8_t region;
};

/* Where the run of ones starts that ends before bit `at`; `at` if there is none. */
static inline size_t run_start(uint64_t bits, size_t at) {
    uint64_t zeros = ~bits & (((uint64_t)1 << at) - 1);
    return zeros != 0 ? 64 - (size_t)__builtin_clzll(zeros) : 0;
}

/* Where the run of ones that starts at bit `at` ends; `at` if there is none. */
static inline size_t run_end(uint64_t bits, size_t at) {
    uint64_t zeros = at < TRACT_UNITS ? ~bits >> at : 0;
    return zeros != 0 ? at + (size_t)__builtin_ctzll(zeros) : TRACT_UNITS;
}

#define ALL_UNITS (bit_range(0, TRACT_UNITS))

/* For each run of ones, `count` of them from bit `first` on. */
#define EACH_RUN(bits, first, count)                                                                                       \
    for (uint64_t left_ = (bits); left_ != 0;)                                                                             \
        for (size_t first = (size_t)__builtin_ctzll(left_), count = run_end(left_, first) - first; count > 0;              \
             left_ &= ~bit_range(first, count), count = 0)

#endif
