/* SPDX-License-Identifier: MIT */
#include "base/sizeclass.h"

#define BATCH_BYTES (8 * KIB)
#define BATCH_MAX 256
#define BATCH_MIN 2
#define SPAN_BLOCKS_MIN 1

unsigned class_batch(unsigned class) {
    size_t fit = BATCH_BYTES / class_bytes(class);
    return (unsigned)(fit > BATCH_MAX ? BATCH_MAX : fit < BATCH_MIN ? BATCH_MIN : fit);
}

/* Tail space of a span is never touched, so it costs address space alone; still, take the first size that leaves at
 * most an eighth. */
unsigned class_units(unsigned class) {
    size_t block = class_bytes(class);
    size_t units = units_for(block * SPAN_BLOCKS_MIN);
    while ((units * UNIT) % block > units * UNIT / 8)
        units++;
    return (unsigned)units;
}

/* A span starts on a unit, so block k lies at k * size from a multiple of `align`: aligned if the size is. */
unsigned class_of_aligned(size_t bytes, size_t align) {
    size_t rounded = align_up(bytes ? bytes : 1, align);
    if (rounded > SMALL_MAX || align > UNIT)
        return 0;
    for (unsigned class = class_of(rounded); class < CLASS_COUNT; class++)
        if (class_bytes(class) % align == 0)
            return class;
    return 0;
}
