/* SPDX-License-Identifier: MIT */
/* The knobs (rank 4): one typed, bounded row each in tunables.def. Read anywhere; written at start and by mallopt. */
#ifndef MYALLOC_TUNABLES_H
#define MYALLOC_TUNABLES_H

#include "base.h"

struct tunables {
#define TUNABLE(name, value, least, most, meaning) size_t name;
#include "tunables.def"
#undef TUNABLE
};

extern HIDDEN struct tunables tunables;

/* mallopt(3): 1 if the parameter is known and the value within its bounds, else 0 and nothing changes. Setting
 * M_MMAP_THRESHOLD, M_MMAP_MAX, M_TRIM_THRESHOLD or M_TOP_PAD ends the dynamic rule, as in glibc. */
int tunables_mallopt(int parameter, int value);

#endif
