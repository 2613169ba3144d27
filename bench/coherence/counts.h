/* SPDX-License-Identifier: MIT */
/* What is counted, and what each event costs. Only the core whose turn it is counts, and only while the program has more than
 * one thread: what one thread prepares or clears away does not count. */
#ifndef COUNTS_H
#define COUNTS_H

#include <stdbool.h>
#include <stdint.h>

/* Whose line is transferred, and for whom. */
enum kind {
    KIND_DATA,     /* the allocator's own data, for the allocator */
    KIND_LINKS,    /* what the allocator reads or writes in memory of blocks */
    KIND_CONTENTS, /* memory of blocks, for the program */
    KIND_PROGRAM,  /* all else of the program's, its stacks and its tables */
    KINDS
};

struct costs { /* picoseconds */
    uint64_t instruction, pause, atomic, transfer, system_call, clock, mapping, fault, wake;
};

struct counts {
    uint64_t fetches[KINDS], upgrades[KINDS]; /* together: transfers */
    uint64_t atomics[2], atomics_elsewhere[2]; /* by the program, by the allocator; on lines that another core wrote last */
    uint64_t futex_waits[2], system_calls[2];
    bool started;        /* the preload has said so: turns have begun */
    uint64_t threads;    /* the most at a time, beside the first */
    uint64_t operations; /* calls of the allocator */
    uint64_t instructions, accesses, cold, faults;
    uint64_t time, call_time; /* picoseconds: of the run; in the allocator, of all cores together */
};

extern struct costs costs;
extern struct counts counts;
extern bool counting;

#endif
