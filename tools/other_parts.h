/* SPDX-License-Identifier: MIT */
/* What of another process's resident memory is not the allocator's, by the names that the kernel has for its areas. */
#ifndef TOOLS_OTHER_PARTS_H
#define TOOLS_OTHER_PARTS_H

#include "areas.h"
#include "heap_view.h"

struct other_part {
    char *name;
    uint64_t bytes;
};

struct other_parts {
    struct other_part *list; /* the largest first; none of no bytes */
    size_t count, room;
    uint64_t bytes;    /* of all of them */
    uint64_t resident; /* of the whole process, as the kernel counts it by areas (Rss) */
    uint64_t swapped;  /* of the whole process */
    uint64_t lazy;     /* resident, and given back by MADV_FREE */
};

/* Counts them; `ours` are all pages with memory that are the allocator's, and are sorted here. */
void other_parts_count(struct other_parts *parts, const struct heap_view *view, const struct areas *areas, struct runs *ours);
void other_parts_free(struct other_parts *parts);

#endif
