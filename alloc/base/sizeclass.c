/* SPDX-License-Identifier: MIT */
#include "base/sizeclass.h"

/* 8 KiB: with up to 64, blocks of 8 KiB took a quarter fewer instructions, but loads 4 to 6 % more memory (alloc/README.md). */
#define BATCH_BYTES (8 * KIB)
#define BATCH_MAX 256 /* only the class of 16 bytes would have more, 512 */
#define BATCH_MIN 2   /* a list of one block would go to the central lists at every second call */

unsigned class_batch(unsigned class) {
    size_t fit = BATCH_BYTES / class_bytes(class);
    return (unsigned)(fit > BATCH_MAX ? BATCH_MAX : fit < BATCH_MIN ? BATCH_MIN : fit);
}

/* What is left behind the last block of a span is never touched, so it costs addresses and no memory, but for its share of
 * the last page. */
unsigned class_units(unsigned class) {
    size_t block = class_bytes(class);
    size_t units = units_for(block);
    while ((units * UNIT) % block > units * UNIT / 8)
        units++;
    return (unsigned)units;
}

/* A span starts on a unit, which is a multiple of `align`, and block k lies k times its size behind: all blocks are aligned
 * if the size is a multiple of `align`. */
unsigned class_of_aligned(size_t bytes, size_t align) {
    size_t rounded = align_up(bytes ? bytes : 1, align);
    if (rounded > SMALL_MAX || align > UNIT)
        return 0;
    for (unsigned class = class_of(rounded); class < CLASS_COUNT; class++)
        if (class_bytes(class) % align == 0)
            return class;
    return 0;
}
