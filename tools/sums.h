/* SPDX-License-Identifier: MIT */
/* What is added up of a process's counts. They are of different moments, so sums are approximate while it allocates. */
#ifndef TOOLS_SUMS_H
#define TOOLS_SUMS_H

#include <stdbool.h>
#include <stdint.h>

#include "counts.h"

/* In bytes. */
struct sums {
    uint64_t live;  /* blocks that are not free, or lie on lists of threads: small, large, mapped */
    uint64_t small; /* the small ones of them */
    uint64_t holes; /* in spans of small blocks, what no such block has */
};

struct sums sums_of(const struct counts *counts);

/* Whether the option limit has a number: neither none nor the control group's. */
bool sums_has_limit(const struct counts *counts);

/* Bytes of the spans of each class, into memory[counts->classes]. Exact for the sum of all. Of a class that has longer spans
   beside its usual ones the page does not tell how many: it has what its blocks need, and what the spans of all take beyond
   that is shared out by what each could have. */
void sums_of_classes(const struct counts *counts, uint64_t *memory);

#endif
