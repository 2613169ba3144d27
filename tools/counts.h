/* SPDX-License-Identifier: MIT */
/* The allocator's counts in another process, by its page of numbers (observe/page.h). */
#ifndef TOOLS_COUNTS_H
#define TOOLS_COUNTS_H

#include <stddef.h>
#include <stdint.h>

#include "observe/page.h"
#include "process.h"

enum { COUNTS_CLASSES = 512 }; /* more than there are */

struct counts {
    struct process process;
    uint64_t numbers[PAGE_NUMBERS]; /* in bytes, or of what they count */
    size_t classes;
    struct {
        uint64_t size, blocks, spans; /* bytes of a block; blocks in use or on lists of threads; spans */
    } class[COUNTS_CLASSES];
};

/* Reads them. Returns 0; or says what is wrong and what would help, and returns the exit status. */
int counts_read(int number, struct counts *counts);

#endif
