/* SPDX-License-Identifier: MIT */
/*
 * A map from addresses to what is known of the blocks there: a hash table with open addressing and linear probing (Knuth,
 * vol. 3, 6.4). An entry is a structure of the owner's whose first member is its address, 8 bytes and not 0; an entry whose
 * address is 0 is empty. The memory is the owner's too: see budget_grow_map in kit/budget.h.
 *
 * A1 each entry is found by its address: no empty entry lies between the place that the address hashes to and the entry. No
 *    two have the same address.
 * A2 `count` entries are taken, at most three quarters of `size`, which is a power of two, or 0 before the first growth.
 *
 * Removing moves later entries of the same run back over the hole, so that no mark of a removed entry stays and look-ups do
 * not get slower with time. So a pointer to an entry holds until the next removal or growth. There is no lock:
 * the owner's lock is held for every call.
 *
 * Three quarters, because what a table costs a large program is memory: between two growths it has on average 1.85 times the
 * entries that are taken, and would have 2.8 times if it were at most half full. A look-up at three quarters reads 2.5 entries
 * if it finds, 8.5 if it does not (Knuth's formulas); four entries of 16 bytes lie in a cache line.
 */
#ifndef MYALLOC_ADDRESS_MAP_H
#define MYALLOC_ADDRESS_MAP_H

#include <string.h>

#include "base/base.h"

#define ADDRESS_MAP_MIN 256 /* entries, after the first growth: those of 16 bytes fill one OS page */

struct address_map {
    char *entries;
    size_t size, count;   /* entries: all, those that are taken */
    uint32_t entry_bytes; /* a multiple of 8 */
    uint32_t hash_shift;  /* an address hashes to the high bits of a product: 64 - log2(size) */
};

/* The first value of a map whose entries are of a structure. It needs no more, and has no room yet. */
#define ADDRESS_MAP(type) {.entry_bytes = sizeof(type)}

static inline uintptr_t address_map_key(const void *entry) {
    uintptr_t key;
    memcpy(&key, entry, sizeof key); /* whatever type the member has */
    return key;
}

/* The place that an address hashes to: Fibonacci hashing. The high bits of the product depend on all bits of the address, so
 * addresses that are multiples of a large number do not meet. */
static inline size_t address_map_first(const struct address_map *map, uintptr_t address) {
    return (size_t)(address * UINT64_C(0x9e3779b97f4a7c15) >> map->hash_shift);
}

/* The entry of an address; NULL if it has none. */
static inline void *address_map_find(const struct address_map *map, const void *address) {
    if (UNLIKELY(map->size == 0))
        return NULL;
    for (size_t i = address_map_first(map, (uintptr_t)address);; i = (i + 1) & (map->size - 1)) {
        char *entry = map->entries + i * map->entry_bytes;
        uintptr_t key = address_map_key(entry);
        if (key == 0)
            return NULL;
        if (key == (uintptr_t)address)
            return entry;
    }
}

/* The entry of an address will be looked for soon. Without the map's lock: if the map grows just now, the wrong place is fetched,
 * which does no harm. */
static inline void address_map_prefetch(const struct address_map *map, const void *address) {
    uintptr_t entries = (uintptr_t)__atomic_load_n(&map->entries, __ATOMIC_RELAXED);
    uint32_t shift = __atomic_load_n(&map->hash_shift, __ATOMIC_RELAXED);
    PREFETCH((const void *)(entries + ((uintptr_t)address * UINT64_C(0x9e3779b97f4a7c15) >> shift) * map->entry_bytes));
}

/* Entry number `i`, less than `size`, for a loop over all; NULL if it is empty. */
static inline void *address_map_at(const struct address_map *map, size_t i) {
    char *entry = map->entries + i * map->entry_bytes;
    return address_map_key(entry) != 0 ? entry : NULL;
}

/* True if `more` entries can be inserted beside those that are taken. */
static inline bool address_map_has_room(const struct address_map *map, size_t more) {
    return (map->count + more) * 4 <= map->size * 3;
}

/* The entry of an address, which it has already or gets now, in the room that there must be. The owner writes it: what is
 * behind the address is left from before. */
void *address_map_insert(struct address_map *map, const void *address);

/* Empties an entry of the map. */
void address_map_remove(struct address_map *map, void *entry);

/* Bytes of the table as it is, and after one growth. */
size_t address_map_bytes(const struct address_map *map);
size_t address_map_grown_bytes(const struct address_map *map);

/* Moves all entries into `fresh`, zeroed memory of address_map_grown_bytes. Returns the old table's memory, NULL at the
 * first growth. */
void *address_map_grow(struct address_map *map, void *fresh);

/* True if `p` points into the table. */
bool address_map_covers(const struct address_map *map, const void *p);

/* NULL if A1 and A2 hold; otherwise the entry, or the map, for which they do not. */
const void *address_map_verify(const struct address_map *map);

#endif
