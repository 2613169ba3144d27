/* SPDX-License-Identifier: MIT */
/* Call sites of a heap in another process whose profile is on: what of their blocks is live, and how much free memory they keep
   the allocator from giving back. */
#ifndef TOOLS_HEAP_SITES_H
#define TOOLS_HEAP_SITES_H

#include "heap_parts.h"
#include "samples.h"

/* Of one call stack, call and size class. */
struct heap_site_part {
    const struct sample *sample; /* named */
    uint64_t blocks, bytes;      /* live ones, as the program asked; by estimate */
    uint64_t pinned;             /* free bytes on pages that such blocks are on: of its class, by its part of live blocks */
    uint64_t sparse;             /* the same of pages that are nearly empty */
};

struct heap_sites {
    uint64_t samples; /* of blocks that are live; 0: there is no profile */
    struct heap_site_part *list; /* those that pin most first */
    size_t count;
    struct samples all;
    struct heap_profile profile;
};

/* Reads them, and tells rounding apart in `parts` where they say how much was asked for. */
void heap_sites_read(struct heap_sites *sites, struct heap_view *view, struct heap_parts *parts);

/* Names the functions of all sites. May tell on standard error what it could not find. */
void heap_sites_name(struct heap_sites *sites);
void heap_sites_free(struct heap_sites *sites);

#endif
