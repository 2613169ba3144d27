/* SPDX-License-Identifier: MIT */
/*
 * Size classes. Classes 1..64 are the multiples of 16 up to 1 KiB; above, there are eight to a doubling up to SMALL_MAX and a
 * few for common sizes (sizeclass.c), so that rounding a size up adds less than an eighth, or no OS page. Class 0 is no class:
 * the unit map has it for memory that holds no small blocks, and malloc(0) finds it first.
 */
#ifndef MYALLOC_SIZECLASS_H
#define MYALLOC_SIZECLASS_H

#include "base/base.h"

#define CLASS_STEP 16
#define EXACT_MAX ((size_t)1024)
#define EXACT_CLASSES 64
#define SMALL_MAX ((size_t)32768)
#define CLASS_COUNT 106 /* class 0, 64 exact ones, 8 for each of the 5 doublings from 1 to 32 KiB but two, 3 more */

/* Blocks above FAST_MAX are of *wide* classes, from FAST_CLASSES on. A thread's list holds at most two of them (class_batch),
 * so half of their calls are slow anyway: their lists lie where slow paths find them, and the unit map does not show their
 * spans. */
#define FAST_MAX ((size_t)16384)
#define FAST_CLASSES 98

extern HIDDEN const uint16_t class_sizes[CLASS_COUNT]; /* bytes of the blocks; 0 for exact classes, which need no table */
extern HIDDEN const uint8_t class_above[(SMALL_MAX - EXACT_MAX) / CLASS_STEP]; /* by a size's steps above EXACT_MAX */

/* Class of a request of 1..SMALL_MAX bytes. */
static inline unsigned class_of(size_t bytes) {
    if (bytes <= EXACT_MAX)
        return (unsigned)((bytes + CLASS_STEP - 1) / CLASS_STEP);
    return class_above[(bytes - 1 - EXACT_MAX) / CLASS_STEP];
}

/* Bytes of a block of the class; 0 for class 0. */
static inline size_t class_bytes(unsigned class) {
    return class <= EXACT_CLASSES ? class * (size_t)CLASS_STEP : class_sizes[class];
}

/* Blocks that move together between a thread's bin and the central free lists; also the most that a bin holds
 * without a window (heap/cache_growth.h). */
unsigned class_batch(unsigned class);

/* Units of a span of the class: as few as leave at most an eighth of the span behind its last block; or of a grown one, for a
 * class that has much memory: as little as can be with up to 8 units. */
unsigned class_units(unsigned class, bool grown);

/* The least number of blocks of the class that, from the start of a span on, fill whole cache lines; 1 for blocks of a line
 * and more, which share at most their first and last line. */
static inline unsigned class_line_group(unsigned class) {
    return class_bytes(class) >= CACHE_LINE ? 1 : class % 4 == 0 ? 1 : class % 2 == 0 ? 2 : 4;
}

/* 2^32 divided by the size of the class's blocks, rounded up: for class_position. Not for class 0. */
static inline uint32_t class_reciprocal(unsigned class) {
    return (uint32_t)((((uint64_t)1 << 32) + class_bytes(class) - 1) / class_bytes(class));
}

/* The number of the block that begins `offset` bytes into a span, without a division. Where no block begins there it is any
 * number; whoever cannot be sure multiplies back. */
static inline size_t class_position(size_t offset, uint32_t reciprocal) {
    return (size_t)((uint64_t)offset * reciprocal >> 32);
}

/* The smallest class whose blocks hold `bytes` and are all aligned to `align`, a power of two. 0 if there is none: the size
 * or the alignment is too large. */
unsigned class_of_aligned(size_t bytes, size_t align);

#endif
