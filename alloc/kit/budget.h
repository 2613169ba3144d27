/* SPDX-License-Identifier: MIT */
/*
 * The budget: the sum of what has been taken from the OS, and its limit (the tunable `limit`). The sum has the brk heap and
 * mapped regions, mappings of blocks, and the allocator's own data, in bytes of address space. Bytes are charged before the OS
 * is asked for them and refunded after it has them back, so the sum is above the limit only where the limit was lowered later.
 * That it is what regions, mapped blocks and own data say they hold is N1 (observe/stats.h).
 *
 * limit:cgroup is the heap's share of the least memory.max of the process's control group and those above it (version 2),
 * or of memory.limit_in_bytes (version 1), read once: an eighth of that limit is left to the rest of the program, but at least
 * 16 MiB and at most half. No lock: one atomic sum.
 */
#ifndef MYALLOC_BUDGET_H
#define MYALLOC_BUDGET_H

#include "base/address_map.h"
#include "base/base.h"

/* What has been taken, the most that it was, and what of it is own data (budget_own). */
struct budget_sums {
    _Atomic size_t taken, peak, own;
};
extern HIDDEN struct budget_sums budget_sums;

/* Adds to the sum. False if the limit does not allow it; nothing is charged then. */
bool budget_charge(size_t bytes);
void budget_refund(size_t bytes);

/* As wide as the largest page that Linux has, so it stays a whole number of pages everywhere. */
#define BUDGET_FENCE (64 * KIB)

/* Address space for the allocator's own data, as os_reserve_zeros gives it, between two fences of 64 KiB that are never
 * writable: a program that runs over the end or the start of a mapping beside it faults there. Not charged. NULL if
 * refused. */
void *budget_reserve(size_t bytes);
void budget_unreserve(void *addr, size_t bytes);

/* Committed memory for own data that is zero, between fences that cannot be read either. Charged and refunded, and counted in
 * budget_own; own_each (own.h) knows it. NULL if the limit or the OS refuses. */
void *budget_map(size_t bytes);
void budget_unmap(void *addr, size_t bytes);

/* As budget_map, for who has any number of such pieces and a list of them: own_each does not know it. */
void *budget_map_piece(size_t bytes);

/* The table of `bytes` that all threads share: budget_map's memory at the first call, which is kept in *table; where two
 * threads come at once, one's. NULL if memory is refused, and then asked for again. */
void *budget_map_once(_Atomic(void *) *table, size_t bytes);

/* Gives the map room for `more` entries beside those it has, in memory of budget_map. False if memory is refused;
 * the map is as it was then. */
bool budget_grow_map_slow(struct address_map *map, size_t more);
static inline bool budget_grow_map(struct address_map *map, size_t more) {
    return LIKELY(address_map_has_room(map, more)) || budget_grow_map_slow(map, more);
}

/* os_commit for own data, in what budget_reserve gave or what is reserved otherwise. Charged, and counted in budget_own. False
 * if the limit or the OS refuses. */
bool budget_commit(void *addr, size_t bytes);

/* Undoes budget_commit: by os_unmap, or else the addresses stay reserved. False if refused, nothing has changed then. */
bool budget_uncommit(void *addr, size_t bytes, bool unmap);

/* Unmaps and refunds what was charged by budget_charge. If the OS will not unmap it, its memory at least goes back. */
void budget_give_back(void *addr, size_t bytes);

size_t budget_taken(void); /* the sum */
size_t budget_peak(void);  /* the highest that it was */
size_t budget_own(void);   /* what budget_map and budget_commit have given and not got back */

/* The limit in bytes, SIZE_MAX if there is none. */
size_t budget_limit(void);

#endif
