/* SPDX-License-Identifier: MIT */
/* How live memory goes, in a few hundred parts of equal length, however long it takes: where there is no room any more, two
   parts become one. */
#ifndef TOOLS_COURSE_H
#define TOOLS_COURSE_H

#include <stddef.h>
#include <stdint.h>

enum { COURSE_PARTS = 512 };

struct course_part {
    uint64_t most_bytes, most_blocks; /* at any moment of it */
    uint64_t bytes, blocks;           /* at its end */
};

struct course {
    struct course_part parts[COURSE_PARTS];
    size_t count;
    uint64_t width; /* of a part; 0: nothing yet */
};

/* What is live from `at` on, a time or what else goes on; one that goes back counts as now. */
void course_add(struct course *course, uint64_t at, uint64_t bytes, uint64_t blocks);

#endif
