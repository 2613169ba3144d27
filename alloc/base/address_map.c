/* SPDX-License-Identifier: MIT */
#include "base/address_map.h"

static char *entry_at(const struct address_map *map, size_t i) {
    return map->entries + i * map->entry_bytes;
}

void *address_map_insert(struct address_map *map, const void *address) {
    uintptr_t key = (uintptr_t)address, there;
    size_t i = address_map_first(map, key);
    while ((there = address_map_key(entry_at(map, i))) != 0 && there != key)
        i = (i + 1) & (map->size - 1);
    map->count += there == 0;
    return memcpy(entry_at(map, i), &key, sizeof key);
}

void address_map_remove(struct address_map *map, void *entry) {
    char *hole = entry;
    uintptr_t key = address_map_key(entry);
    size_t at = address_map_first(map, key), mask = map->size - 1;
    while (entry_at(map, at) != hole)
        at = (at + 1) & mask;
    for (size_t i = (at + 1) & mask; (key = address_map_key(entry_at(map, i))) != 0; i = (i + 1) & mask)
        /* A look-up of this entry starts at its first place and goes on to it. If it passes the hole on its way, the entry may
         * fill the hole: if the way from the first place, round the end of the table, is no shorter than that from the hole. */
        if (((i - address_map_first(map, key)) & mask) >= ((i - at) & mask)) {
            memcpy(hole, entry_at(map, i), map->entry_bytes);
            hole = entry_at(map, i);
            at = i;
        }
    memset(hole, 0, sizeof key);
    map->count--;
}

size_t address_map_bytes(const struct address_map *map) {
    return map->size * map->entry_bytes;
}

static size_t grown_size(const struct address_map *map) {
    return map->size > 0 ? map->size * 2 : ADDRESS_MAP_MIN;
}

size_t address_map_grown_bytes(const struct address_map *map) {
    return grown_size(map) * map->entry_bytes;
}

void *address_map_grow(struct address_map *map, void *fresh) {
    struct address_map old = *map;
    map->size = grown_size(&old);
    __atomic_store_n(&map->entries, (char *)fresh, __ATOMIC_RELAXED); /* address_map_prefetch reads these two without the lock */
    __atomic_store_n(&map->hash_shift, (uint32_t)(64 - high_bit(map->size)), __ATOMIC_RELAXED);
    map->count = 0;
    for (size_t i = 0; i < old.size; i++) {
        const void *entry = address_map_at(&old, i);
        if (entry != NULL)
            memcpy(address_map_insert(map, (const void *)address_map_key(entry)), entry, map->entry_bytes);
    }
    return old.entries;
}

bool address_map_covers(const struct address_map *map, const void *p) {
    return (uintptr_t)p - (uintptr_t)map->entries < address_map_bytes(map);
}

const void *address_map_verify(const struct address_map *map) {
    size_t count = 0;
    if (map->size != 0 && (!is_pow2(map->size) || map->hash_shift != 64 - high_bit(map->size)))
        return map; /* look-ups would leave the table */
    for (size_t i = 0; i < map->size; i++) {
        const void *entry = address_map_at(map, i);
        if (entry == NULL)
            continue;
        count++;
        if (count * 4 > map->size * 3)
            return map; /* a look-up might find no empty entry to end at */
    }
    for (size_t i = 0; i < map->size; i++) {
        const void *entry = address_map_at(map, i);
        if (entry != NULL && address_map_find(map, (const void *)address_map_key(entry)) != entry)
            return entry;
    }
    return count == map->count ? NULL : map;
}
