/* SPDX-License-Identifier: MIT */
/* Two numbers by a third, which is not 0: open addressing, at most half full. */
#ifndef TOOLS_TABLE_H
#define TOOLS_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_entry {
    uint64_t key, first, second;
};

struct table {
    struct table_entry *entries;
    size_t count, mask;
};

struct table *table_new(void);

/* Where the key is, or where it would be: there the key is 0. Until the table changes. */
struct table_entry *table_find(const struct table *table, uint64_t key);

/* The same, and it is there from now on; both numbers are 0 if it is new. */
struct table_entry *table_add(struct table *table, uint64_t key);

void table_drop(struct table *table, struct table_entry *entry);

void table_free(struct table *table);

#endif
