/* SPDX-License-Identifier: MIT */
#include "base/sizeclass.h"

/* Class, size of the class below, size of its blocks. Eight to a doubling, and between them three for sizes of which programs
 * that have them have many: 1024 bytes and a header of up to 16 (sqlite's cache: 4.9 % of its heap), a page of 4096 bytes and
 * what belongs to it (sqlite: 3.0 %), 8192 bytes and a header (z3: 3.7 %). Classes of 14 and 15 KiB are left out for them, as
 * thread-local data are scarce: a block of more than 12 KiB touches the same four pages in either. */
#define ABOVE_EXACT(X) \
    X(65, 1024, 1040) X(66, 1040, 1152) X(67, 1152, 1280) X(68, 1280, 1408) X(69, 1408, 1536) X(70, 1536, 1664) \
    X(71, 1664, 1792) X(72, 1792, 1920) X(73, 1920, 2048) X(74, 2048, 2304) X(75, 2304, 2560) X(76, 2560, 2816) \
    X(77, 2816, 3072) X(78, 3072, 3328) X(79, 3328, 3584) X(80, 3584, 3840) X(81, 3840, 4096) X(82, 4096, 4368) \
    X(83, 4368, 4608) X(84, 4608, 5120) X(85, 5120, 5632) X(86, 5632, 6144) X(87, 6144, 6656) X(88, 6656, 7168) \
    X(89, 7168, 7680) X(90, 7680, 8192) X(91, 8192, 8208) X(92, 8208, 9216) X(93, 9216, 10240) X(94, 10240, 11264) \
    X(95, 11264, 12288) X(96, 12288, 13312) X(97, 13312, 16384) X(98, 16384, 18432) X(99, 18432, 20480) \
    X(100, 20480, 22528) X(101, 22528, 24576) X(102, 24576, 26624) X(103, 26624, 28672) X(104, 28672, 30720) \
    X(105, 30720, 32768)

#define SIZE_ROW(class, below, bytes) [class] = bytes,
#define RANGE_ROW(class, below, bytes) [(below - EXACT_MAX) / CLASS_STEP ... (bytes - EXACT_MAX) / CLASS_STEP - 1] = class,

const uint16_t class_sizes[CLASS_COUNT] = {ABOVE_EXACT(SIZE_ROW)};
const uint8_t class_above[(SMALL_MAX - EXACT_MAX) / CLASS_STEP] = {ABOVE_EXACT(RANGE_ROW)};

#define TAIL_PART 8        /* of a span: the most that may be left behind its last block */
#define GROWN_TAIL_PART 64 /* of a grown one (1.6 %), */
#define GROWN_UNITS 8      /* or what is least with spans of up to so many units, 128 KiB */

/* 8 KiB: with up to 64, blocks of 8 KiB took a quarter fewer instructions, but loads 4 to 6 % more memory (alloc/README.md). */
#define BATCH_BYTES (8 * KIB)
#define BATCH_MAX 256 /* only the class of 16 bytes would have more, 512 */
#define BATCH_MIN 2   /* a list of one block would go to the central lists at every second call */

unsigned class_batch(unsigned class) {
    size_t fit = BATCH_BYTES / class_bytes(class);
    return (unsigned)(fit > BATCH_MAX ? BATCH_MAX : fit < BATCH_MIN ? BATCH_MIN : fit);
}

/* What is left behind the last block of a span. It is never touched, so it costs addresses and no memory, but for its share of
 * the last page; where spans are made present as a whole (span.c), it costs memory. */
static size_t tail(size_t block, size_t units) {
    return units * UNIT % block;
}

static size_t grow(size_t block, size_t units) {
    size_t best = units;
    for (; units <= GROWN_UNITS && tail(block, best) > best * UNIT / GROWN_TAIL_PART; units++)
        if (tail(block, units) * best < tail(block, best) * units)
            best = units;
    return best;
}

unsigned class_units(unsigned class, bool grown) {
    size_t block = class_bytes(class), units = units_for(block);
    while (tail(block, units) > units * UNIT / TAIL_PART)
        units++;
    return (unsigned)(grown ? grow(block, units) : units);
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
