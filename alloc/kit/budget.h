/* SPDX-License-Identifier: MIT */
/*
 * What has been taken from the OS: the heap and arenas, mappings of large blocks, the allocator's own data; in
 * bytes of address space. Charged before the OS is asked, refunded after it got the memory back, so the sum is never
 * above tunables.limit but where the limit was lowered later.
 *
 * B1 budget_taken() is the sum of what regions and large mappings say they hold, when no thread is inside the allocator.
 *
 * limit:cgroup is the heap's share of the least memory.max of the process's control group and those above it (version 2),
 * or of memory.limit_in_bytes (version 1), read once: all but an eighth, but at least 16 MiB and at most half are left
 * for the rest of the program. No lock: one atomic sum.
 */
#ifndef MYALLOC_BUDGET_H
#define MYALLOC_BUDGET_H

#include "base/address_map.h"
#include "base/base.h"

/* False if the limit does not allow it; nothing is charged then. */
bool budget_charge(size_t bytes);
void budget_refund(size_t bytes);

/* Address space for the allocator's own data, as os_reserve_zeros gives it, between two guards that are never writable: a
 * program that runs over the end or the start of a mapping beside it faults there. Not charged. NULL if refused. */
void *budget_reserve(size_t bytes);
void budget_unreserve(void *addr, size_t bytes);

/* Memory for own data, between guards that cannot be touched at all: charged and refunded, and counted in budget_own. */
void *budget_map(size_t bytes);
void budget_unmap(void *addr, size_t bytes);

/* Gives the map room for `more` entries beside those it has, in memory of budget_map. False if memory is refused;
 * the map is as it was then. */
bool budget_grow_map_slow(struct address_map *map, size_t more);
static inline bool budget_grow_map(struct address_map *map, size_t more) {
    return LIKELY(address_map_has_room(map, more)) || budget_grow_map_slow(map, more);
}

/* os_commit for own data, never given back. */
bool budget_commit(void *addr, size_t bytes);

/* os_unmap and refund, for what was charged by budget_charge. */
void budget_give_back(void *addr, size_t bytes);

size_t budget_taken(void);
size_t budget_peak(void);
size_t budget_own(void); /* what budget_map and budget_commit have given and not got back */

/* The limit in bytes, SIZE_MAX if there is none. */
size_t budget_limit(void);

#endif
