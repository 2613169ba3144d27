/* SPDX-License-Identifier: MIT */
/* The directory: which core has which cache line, by the MESI protocol, with caches that never fill up.
 *
 * A line has an owner, the only core that has it and may write it, or any number of sharers, who may read it. Reading what
 * one has, and writing what one owns, costs nothing. All else is a transfer: the line is fetched from another core, or the
 * others' copies are dropped (an upgrade). Transfers of one line come one after the other: `ready` is when the last is done.
 * A line that no core has had since its memory was mapped is cold: it comes from memory, and no other core has a part in it. */
#ifndef DIRECTORY_H
#define DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CORES_MOST = 256, PAGE_BYTES = 4096, LINE_BYTES = 64, GRAIN_BYTES = 16, LINE_WORDS = CORES_MOST / 64 };

struct line {
    uint64_t sharers[LINE_WORDS]; /* a bit for each core that has it */
    uint64_t ready;
    uint32_t transfers; /* of all time */
    uint16_t owner;     /* its number plus one; 0: shared or cold */
    uint16_t writer;    /* who wrote it last; 0: nobody */
    uint8_t block;      /* a bit for each 16 bytes that were part of a block of the program */
    bool lock;          /* a lock word lies in it */
    bool page;          /* the first line of a page: the page is there */
};

enum step { STEP_NONE, STEP_COLD, STEP_FETCH, STEP_UPGRADE };

/* The line of an address; its memory is there from the first use on. */
struct line *line_of(uintptr_t address);

/* Gives core number `core` what a read or a write needs, and says what that took. *exclusive: another core had written it, or
 * this one is to write it, so that the next must wait until it has arrived. */
enum step line_take(struct line *line, unsigned core, bool store, bool *exclusive);

/* True once for each page since it was mapped: the kernel has to bring it. */
bool page_comes(uintptr_t address);

/* The block is the program's. */
void lines_announce(uintptr_t block, size_t size);

/* The memory was unmapped or given back: the lines are cold, no block lies in them. */
void lines_forget(uintptr_t start, size_t size);

/* A transfer of this line is counted; and calls `see` for each of which one was. */
void line_count(struct line *line, uintptr_t address);
void lines_walk(void (*see)(uintptr_t address, const struct line *line, void *data), void *data);

#endif
