/* SPDX-License-Identifier: MIT */
/*
 * Where the allocator's structures lie, for a tool that reads them in another process (`myalloc why`), which may hang or hold
 * any lock. The page of numbers (page.h) leads here. Nothing is kept for such a tool: it reads what the allocator has anyway,
 * by this library's own headers. So these must be the same, which `structures_layout` tells: the places of all fields that it
 * uses, and the lengths of what arrays are made of. Another library is refused, and none is misread.
 *
 * Rejected: to describe each structure to the tool, as debug information does, so that it may be of another version. What a
 * field means changes with its place, and a tool is installed beside its library.
 */
#ifndef MYALLOC_STRUCTURES_H
#define MYALLOC_STRUCTURES_H

#include <stddef.h>
#include <stdint.h>

#include "base/address_map.h"
#include "base/sizeclass.h"
#include "kit/own.h"
#include "callers/stacks.h"
#include "heap/cache.h"
#include "heap/central_class.h"
#include "heap/mapped.h"
#include "heap/region.h"
#include "protect/guarded_pool.h"
#include "protect/hardened_mapped.h"
#include "protect/hardened_pages.h"
#include "protect/hardened_slab.h"
#include "observe/profile_table.h"

enum {
#define STRUCTURE(name, address) STRUCTURE_##name,
#define FIELD(structure, field)
#include "observe/structures.def"
#undef STRUCTURE
#undef FIELD
    STRUCTURES
};

/* The places of the fields, and what else must be the same. */
#define STRUCTURE(name, address)
#define FIELD(structure, field) (uint16_t)offsetof(struct structure, field),
static const uint16_t structures_layout[] = {
#include "observe/structures.def"
    UNIT_SHIFT, CLASS_COUNT, FAST_CLASSES, HOME_WORDS, REGIONS_MAX, OWN_FIRST, OWN_MOST, PARKED_CHAINS, STACK_MOST,
    SHARDS_MOST, PROFILE_CLASS_SHIFT, sizeof(struct region), sizeof(struct span), sizeof(struct class), sizeof(struct cache),
    sizeof(struct cache_slow), sizeof(struct bin), sizeof(struct profile_record), sizeof(struct range),
};
#undef STRUCTURE
#undef FIELD

/* Addresses are those of the process. */
struct structures {
    const uint16_t *layout; /* structures_layout of the library */
    const void *at[STRUCTURES];
};

extern HIDDEN const struct structures structures_of_heap;

#endif
