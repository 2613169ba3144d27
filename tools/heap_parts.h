/* SPDX-License-Identifier: MIT */
/* Where the resident memory of another process is: the parts of alloc/observe/resident.def, counted from outside by the rules
   of alloc/heap/resident_heap.h, and what lies beside the heap by the names that the kernel has for it. Together they are
   beyond.resident, but for what the process has changed meanwhile. Of a core file, what it holds stands for what was resident
   (core_areas.h), and huge pages are not known. */
#ifndef TOOLS_HEAP_PARTS_H
#define TOOLS_HEAP_PARTS_H

#include "areas.h"
#include "heap_view.h"
#include "other_parts.h"

/* Of a size class, in bytes of resident memory but where it says blocks. */
struct class_parts {
    uint64_t blocks, listed, transit; /* blocks that are not at home; of them, on lists of threads, between threads */
    uint64_t spans, memory;           /* its spans, and their address space */
    uint64_t used, live;              /* in blocks that are not at home; that are in use */
    uint64_t rounding;                /* of live and sampled, where a profile tells it */
    uint64_t sampled;                 /* in blocks that a profile samples, which lie in slabs; not in `used` */
    uint64_t beside, holes;           /* free on pages with such blocks; pages without */
    uint64_t pages, sparse;           /* pages with such blocks; those of them of which they have less than a quarter */
    uint64_t sparse_free;             /* what is free on the latter */
};

/* Blocks in use that are of no class, their bytes in the heap and in mappings of their own. */
struct large_parts {
    uint64_t blocks, heap, mapped;
};

/* What lies in a unit of the heap. */
enum unit_kind { UNIT_NONE, UNIT_FREE, UNIT_SMALL, UNIT_LARGE, UNIT_FOREIGN };
struct unit_part {
    uint8_t kind, class;     /* class: of UNIT_SMALL */
    uint16_t resident, used; /* bytes that have memory; those of them that blocks have which are not at home */
};

struct heap_parts {
#define PART(name, words, advice) uint64_t name;
#include "observe/resident.def"
#undef PART
    uint64_t huge;          /* of the heap, in huge pages */
    uint64_t trim_least;    /* what malloc_trim would give back at least */
    uint64_t listed_large;  /* of `lists`, in large blocks */
    uint64_t *listed;       /* of each thread of the view, its part of `lists` */
    bool rounding_known, is_core;
    struct class_parts classes[CLASS_COUNT];
    struct large_parts large; /* their rounding is a part of them */
    struct unit_part *units; /* of all regions, one behind another */
    size_t unit_count, unit_room;
    struct other_parts beyond; /* what is not the allocator's, `others` in all; and what the kernel says of the process */
};

/* Counts them. Returns 0, or errno where the pages cannot be told. */
int heap_parts_count(struct heap_parts *parts, struct heap_view *view);
void heap_parts_free(struct heap_parts *parts);

/* The nth part, in the order of resident.def: its name, what it is, what brings it down, its bytes; false behind the last. */
struct part_row {
    const char *name, *words, *advice;
    uint64_t bytes;
    bool is_known; /* else bytes is 0 */
};
bool heap_parts_row(const struct heap_parts *parts, size_t n, struct part_row *row);

#endif
