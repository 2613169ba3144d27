/* SPDX-License-Identifier: MIT */
#include "sums.h"

#include "base/sizeclass.h"

struct sums sums_of(const struct counts *counts)
{
    const uint64_t *numbers = counts->numbers;
    struct sums sums = {0};

    for (size_t i = 0; i < counts->classes; i++)
        sums.small += counts->class[i].size * counts->class[i].blocks;
    sums.live = sums.small + numbers[PAGE_AT_large_blocks] + numbers[PAGE_AT_mapped];
    if (numbers[PAGE_AT_small_spans] > sums.small)
        sums.holes = numbers[PAGE_AT_small_spans] - sums.small;
    return sums;
}

bool sums_has_limit(const struct counts *counts)
{
    return counts->numbers[PAGE_AT_limit] < (uint64_t)SIZE_MAX - 1;
}

/* Bytes of its spans if all were of one kind; 0 for a size that this build does not have. */
static uint64_t span_bytes(const struct counts *counts, size_t i, bool grown)
{
    uint64_t size = counts->class[i].size;

    if (size == 0 || size > SMALL_MAX)
        return 0;
    return counts->class[i].spans * class_units(class_of(size), grown) * (uint64_t)UNIT;
}

/* The least that its spans can have: none of them is longer than usual, but its blocks have room. */
static uint64_t least_bytes(const struct counts *counts, size_t i)
{
    uint64_t usual = span_bytes(counts, i, false), most = span_bytes(counts, i, true);
    uint64_t blocks = counts->class[i].size * counts->class[i].blocks;

    return blocks > most ? most : blocks > usual ? blocks : usual;
}

void sums_of_classes(const struct counts *counts, uint64_t *memory)
{
    uint64_t least = 0, most = 0, all = counts->numbers[PAGE_AT_small_spans];
    double part;

    for (size_t i = 0; i < counts->classes; i++) {
        least += least_bytes(counts, i);
        most += span_bytes(counts, i, true);
    }
    part = all <= least || most <= least ? 0 : all >= most ? 1 : (double)(all - least) / (double)(most - least);
    for (size_t i = 0; i < counts->classes; i++) {
        uint64_t own = least_bytes(counts, i);

        memory[i] = own + (uint64_t)(part * (double)(span_bytes(counts, i, true) - own));
    }
}
