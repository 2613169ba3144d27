/* SPDX-License-Identifier: MIT */
#include "placed.h"

bool placed_put(struct table *blocks, uint64_t address, uint64_t block, uint64_t *before)
{
    struct table_entry *entry = table_find(blocks, address);
    bool was_there = entry->key != 0;

    *before = entry->first;
    table_add(blocks, address)->first = block;
    return was_there;
}

/* An address is a key of the table but for 0, where nothing lies. */
bool placed_take(struct table *blocks, uint64_t address, uint64_t *block)
{
    struct table_entry *entry = address ? table_find(blocks, address) : NULL;

    if (!entry || !entry->key)
        return false;
    *block = entry->first;
    table_drop(blocks, entry);
    return true;
}
