/* SPDX-License-Identifier: MIT */
/* The heap of another process, by copies of the allocator's structures as they lie in its memory (alloc/observe/structures.h),
   or in its core file. Nothing in it is asked or stopped, so it may hang, and what is read at different moments may not fit
   together while it runs: whatever stands there is within bounds or left out. */
#ifndef TOOLS_HEAP_VIEW_H
#define TOOLS_HEAP_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "observe/structures.h"

#include "counts.h"

/* The lists of a thread. */
struct heap_thread {
    int number;    /* 0: not known */
    char name[32]; /* "" if it is not known */
    uintptr_t address;
    struct cache cache;
    struct cache_slow slow;
};

struct heap_view {
    struct target target;
    int error; /* the first errno that ends the look, ESRCH or EPERM */
    struct counts counts; /* of them the process alone */
    bool is_sealed;       /* takes no commands (control:off) */
    unsigned modes;       /* which are on (kit/modes.h) */
    const void *at[STRUCTURES];
    unsigned region_count, row_count;
    struct region regions[REGIONS_MAX];
    struct class rows[(CLASS_COUNT - 1) * SHARDS_MOST]; /* as they lie there: of a class one or several, its shards */
    struct heap_thread *threads;
    size_t thread_count, thread_room;
    struct span spans[64]; /* the copies of span structures read last, */
    uintptr_t spans_at;    /* which lie there */
};

/* Reads them. Returns 0; or says what is wrong, and returns the exit status. */
int heap_view_open(const struct target *target, struct heap_view *view);
void heap_view_close(struct heap_view *view);

/* Whether it is still the same process; else says so, and returns the exit status. */
int heap_view_end(struct heap_view *view);

/* Copies memory. False if there is none. */
bool heap_view_take(struct heap_view *view, uintptr_t from, void *out, size_t bytes);

/* The structure of a unit. False if it cannot be read. */
bool heap_view_span(struct heap_view *view, const struct region *region, size_t unit, struct span *span);

/* The bits of a span's blocks at home, into HOME_WORDS for each of its units. `span` is that of the unit. */
bool heap_view_home(struct heap_view *view, const struct region *region, size_t unit, const struct span *span, uint64_t *home);

/* Calls `see` with a copy of each entry of a table of addresses, `bytes` of it. */
void heap_view_each_entry(struct heap_view *view, const void *table, size_t bytes, void (*see)(const void *entry, void *data),
                          void *data);

/* Calls `see` with each range that the allocator's own data lie in, but for records of protections. */
void heap_view_each_own(struct heap_view *view, void (*see)(uint64_t start, uint64_t bytes, void *data), void *data);

/* Blocks on a thread's list and spare chain. */
size_t heap_view_listed(const struct heap_thread *thread, unsigned class);

/* Blocks on their way between threads, of a row of a class. */
size_t heap_view_in_transit(struct heap_view *view, const struct class *row);

#endif
