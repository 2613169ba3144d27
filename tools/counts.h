/* SPDX-License-Identifier: MIT */
/* The allocator's counts in another process, by its page of numbers (observe/page.h). */
#ifndef TOOLS_COUNTS_H
#define TOOLS_COUNTS_H

#include <stddef.h>
#include <stdint.h>

#include "observe/page.h"
#include "target.h"

enum { COUNTS_CLASSES = 512, COUNTS_ROWS = 16 * COUNTS_CLASSES }; /* more than there are */

/* How a look at a process ended. */
enum counts_result {
    COUNTS_READ,
    COUNTS_ENDED,     /* there is none, or it ended */
    COUNTS_FORBIDDEN, /* the kernel does not let us */
    COUNTS_CHANGED,   /* it began another program meanwhile */
    COUNTS_ABSENT,    /* it does not run on the library */
    COUNTS_VERSION,   /* its page is of another version: `detail` */
    COUNTS_UNSOUND,   /* its page cannot be right */
    COUNTS_REFUSED,   /* anything else: `detail` is errno */
};

struct counts {
    struct process process;
    unsigned detail; /* of a result that is not COUNTS_READ */
    uint64_t numbers[PAGE_NUMBERS]; /* in bytes, or of what they count */
    size_t classes; /* in use, in the order of first use, which a later look finds again */
    struct {
        uint64_t size, blocks, spans; /* bytes of a block; blocks in use or on lists of threads; spans */
    } class[COUNTS_CLASSES];
};

/* Reads them. The process is known; with COUNTS_ENDED its number alone. */
enum counts_result counts_look(int number, struct counts *counts);

/* Reads the page alone; what it says fits this command, its addresses may be any. The process is known in `counts`. */
enum counts_result counts_page(int number, struct counts *counts, struct page *page);

/* The same of a process that runs or a core file. */
enum counts_result counts_target_page(const struct target *target, struct counts *counts, struct page *page);

/* Whether it is still the process of which `counts` were read, and the program. */
enum counts_result counts_still(int number, struct counts *counts);

/* What an errno of a look at a process means. */
enum counts_result counts_result_of(int error, struct counts *counts);

/* Says what is wrong and what would help; returns the exit status, 0 for COUNTS_READ. */
int counts_say(int number, const struct counts *counts, enum counts_result result);

/* Both: returns 0; or says what is wrong and what would help, and returns the exit status. */
int counts_read(int number, struct counts *counts);

#endif
