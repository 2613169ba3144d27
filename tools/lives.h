/* SPDX-License-Identifier: MIT */
/* What a recording tells when its events are added up: sizes, lifetimes, threads, who gives back whose blocks. */
#ifndef TOOLS_LIVES_H
#define TOOLS_LIVES_H

#include "course.h"
#include "recording.h"
#include "table.h"

enum { LIVES_CLASSES = 65, LIVES_CALLS = 8, LIVES_RARE = 5 };

/* Blocks of sizes with the same number of bits: 0, 1, 2 to 3, 4 to 7 and so on. */
struct lives_class {
    uint64_t blocks, bytes, left_blocks, left_bytes;
    uint64_t ages[65]; /* blocks that ended, by the bits of their lifetime in nanoseconds */
};

struct lives_thread {
    uint64_t events, blocks, bytes;
    uint64_t own, others, by_others; /* frees: of own blocks, of others', of its blocks by others */
    uint64_t begun, ended;           /* nanoseconds */
};

/* Blocks of `owner` that `by` has given back: places of threads. */
struct lives_pair {
    size_t by, owner;
    uint64_t blocks, bytes;
};

struct lives {
    uint64_t events, calls[LIVES_CALLS], rare[LIVES_RARE], nulls; /* nulls: free(NULL) */
    uint64_t blocks, bytes;
    uint64_t live_blocks, live_bytes, peak_bytes, peak_blocks, peak_time; /* live: at the end */
    uint64_t touched_bytes, touched_of; /* of blocks of whose pages it is told: what had memory, their sizes */
    uint64_t unknown, end; /* frees of blocks whose birth is not in the file; the time of the last event */
    struct lives_class classes[LIVES_CLASSES];
    struct lives_thread *threads;
    struct lives_pair *pairs; /* the most blocks first */
    size_t pair_count, pair_room;
    struct table *table, *places;
    struct course course; /* of what is live: over time, or where there is none, over the events */
};

/* Reads all of it. NULL, or what is wrong with the recording. */
const char *lives_read(struct lives *lives, const struct recording *recording);

void lives_free(struct lives *lives);

#endif
