/* SPDX-License-Identifier: MIT */
/*
 * Where the pages of the heap that have memory are, by what lies in them; and what malloc_trim(0) would give back. For who asks
 * (observe/resident.h): nothing here is counted on the way of an allocation, and nothing is changed.
 *
 * A page counts as what lies in it. In spans of small blocks that may be several things, and then each has its bytes of it:
 * blocks that are not at home, by class, and what is free beside them. A page of such a span in which no block is in use is a
 * hole (holes.h).
 *
 * B3 used + large + cached + mapped + beside + holes + free + ahead + huge_excess + kept = total, which is added up apart, as the kernel
 *    tells pages.
 *
 * No lock is held from page to page: with other threads running the parts are of different moments. Caller holds none.
 */
#ifndef MYALLOC_RESIDENT_HEAP_H
#define MYALLOC_RESIDENT_HEAP_H

#include "base/base.h"
#include "base/sizeclass.h"
#include "os/os.h"

struct resident_heap {
    size_t total;
    size_t used[CLASS_COUNT]; /* of each class, blocks not at home: live, on a list or between threads */
    size_t large, mapped;     /* large blocks in the heap; blocks with a mapping of their own */
    size_t cached;            /* large ones that are free, and that threads keep (cache_large.h) */
    size_t beside;            /* what is free in OS pages that hold a block in use */
    size_t holes;             /* OS pages in used spans in which no block is in use */
    size_t free;              /* dirty units of free spans */
    size_t ahead;             /* what was given back or never handed out, and has memory all the same: made present ahead */
    size_t huge_excess;       /* of what would be holes, free or ahead, what lies in huge pages that are partly in use */
    size_t kept;              /* freed mappings that the OS did not take */
    size_t huge;              /* in huge pages, of all of it */
    size_t own;               /* the allocator's own data; not in total */
    size_t trim;              /* what malloc_trim(0) would give back */
    bool trim_is_least;       /* ... or more, as memory for a look at lists was refused */
};

/* Counts all anew; `pages` is open. */
void resident_heap_count(struct resident_heap *resident, struct os_pages *pages);

/* Bytes that have memory in a range of any addresses. */
size_t resident_heap_in(struct os_pages *pages, const void *start, size_t bytes);

#endif
