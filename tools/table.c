/* SPDX-License-Identifier: MIT */
#include "table.h"

#include <stdlib.h>

#include "memory.h"

enum { TABLE_FIRST = 1024 };

struct table *table_new(void)
{
    struct table *table = memory_new(sizeof *table);

    table->mask = TABLE_FIRST - 1;
    table->entries = memory_new(TABLE_FIRST * sizeof *table->entries);
    return table;
}

void table_free(struct table *table)
{
    free(table->entries);
    free(table);
}

static size_t place_of(const struct table *table, uint64_t key)
{
    return (size_t)(key * 0x9e3779b97f4a7c15 >> 20) & table->mask;
}

struct table_entry *table_find(const struct table *table, uint64_t key)
{
    size_t at = place_of(table, key);

    while (table->entries[at].key && table->entries[at].key != key)
        at = (at + 1) & table->mask;
    return &table->entries[at];
}

static void grow(struct table *table)
{
    struct table larger = {memory_new(2 * (table->mask + 1) * sizeof *larger.entries), table->count, 2 * table->mask + 1};

    for (size_t i = 0; i <= table->mask; i++) {
        if (table->entries[i].key)
            *table_find(&larger, table->entries[i].key) = table->entries[i];
    }
    free(table->entries);
    *table = larger;
}

struct table_entry *table_add(struct table *table, uint64_t key)
{
    struct table_entry *entry;

    if (2 * (table->count + 1) > table->mask)
        grow(table);
    entry = table_find(table, key);
    table->count += !entry->key;
    entry->key = key;
    return entry;
}

/* What follows and belongs before the gap moves into it. */
void table_drop(struct table *table, struct table_entry *entry)
{
    size_t gap = (size_t)(entry - table->entries), at = gap;

    while (table->entries[at = (at + 1) & table->mask].key) {
        size_t home = place_of(table, table->entries[at].key);

        if (((at - home) & table->mask) >= ((at - gap) & table->mask)) {
            table->entries[gap] = table->entries[at];
            gap = at;
        }
    }
    table->entries[gap] = (struct table_entry){0};
    table->count--;
}
