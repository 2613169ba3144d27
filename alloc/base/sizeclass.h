/* SPDX-License-Identifier: MIT */
/*
 * Size <-> class, pure arithmetic. Classes 1..64 are the multiples of 16 up to 1 KiB; above, eight to a
 * doubling up to SMALL_MAX, so that rounding wastes at most an eighth. Class 0 is no class: it is what the unit map
 * says of memory that holds no small blocks, and what malloc(0) meets.
 */
#ifndef MYALLOC_SIZECLASS_H
#define MYALLOC_SIZECLASS_H

#include "base/base.h"

#define CLASS_STEP 16
#define EXACT_MAX ((size_t)1024)
#define EXACT_CLASSES 64
#define SMALL_MAX ((size_t)32768)
#define CLASS_COUNT 105 /* with class 0 */

/* Class of a request of 1..SMALL_MAX bytes. */
static inline unsigned class_of(size_t bytes) {
    if (bytes <= EXACT_MAX)
        return (unsigned)((bytes + CLASS_STEP - 1) / CLASS_STEP);
    size_t last = bytes - 1;
    unsigned top = high_bit(last);
    return (unsigned)(EXACT_CLASSES + 1 + (top - 10) * 8 + ((last >> (top - 3)) & 7));
}

/* Bytes of a block of the class; 0 for class 0. */
static inline size_t class_bytes(unsigned class) {
    if (class <= EXACT_CLASSES)
        return class * (size_t)CLASS_STEP;
    unsigned above = class - EXACT_CLASSES - 1;
    return (size_t)(9 + above % 8) << (above / 8 + 7);
}

/* Blocks that travel together between a thread and the centre, and the most a free list holds. */
unsigned class_batch(unsigned class);

/* Units of a span of the class. */
unsigned class_units(unsigned class);

/* So many blocks of the class, from the start of a span on, fill whole cache lines; 1 for blocks of a line and more. */
static inline unsigned class_line_group(unsigned class) {
    return class_bytes(class) >= CACHE_LINE ? 1 : class % 4 == 0 ? 1 : class % 2 == 0 ? 2 : 4;
}

/* For class_position. */
static inline uint32_t class_reciprocal(unsigned class) {
    return (uint32_t)((((uint64_t)1 << 32) + class_bytes(class) - 1) / class_bytes(class));
}

/* Which block of a span begins at `offset`, without dividing; exact for all blocks of a span, and some other number or
 * that of the block before where no block begins. */
static inline size_t class_position(size_t offset, uint32_t reciprocal) {
    return (size_t)((uint64_t)offset * reciprocal >> 32);
}

/* The smallest class whose blocks hold `bytes` and are aligned to `align` (a power of two up to UNIT), or 0. */
unsigned class_of_aligned(size_t bytes, size_t align);

#endif
