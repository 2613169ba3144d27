/* SPDX-License-Identifier: MIT */
#include "heap/unitmap.h"

#include <stdatomic.h>

#include "os/os.h"
#include "kit/budget.h"

#define ALL_UNITS ((size_t)1 << (ADDRESS_BITS - UNIT_SHIFT))
#define ENTRY sizeof(uint16_t)
#define WINDOW (ALL_UNITS / 16 * UNIT) /* the most bytes of addresses that are covered where all of them cannot be */
/* Entries are made writable for this many bytes of addresses at a time: 128 KiB of table. */
#define COVER (1 * GIB)

struct unitmap unitmap;

/* A number that no program comes upon: random, odd, and no address, since its two highest bits differ. */
static uint64_t make_mark(void) {
    uint64_t random;
    os_random(&random, sizeof random);
    return (random & ~((uint64_t)1 << 62)) | (uint64_t)1 << 63 | 1;
}

static bool reserve(uintptr_t base, size_t units) {
    uint16_t *table = budget_reserve(align_up(units * ENTRY, OS_PAGE));
    if (table == NULL)
        return false;
    unitmap.base = base;
    unitmap.table = table;
    atomic_thread_fence(memory_order_release); /* another thread's free(NULL) looks at limit first */
    unitmap.limit = units;
    return true;
}

bool unitmap_init(uintptr_t heap) {
    size_t limit = os_address_limit();
    unitmap.mark = make_mark();
    /* A quarter of the allowed address space is the most that a table may take. */
    if (limit / 4 > ALL_UNITS * ENTRY && reserve(0, ALL_UNITS))
        return true;
    return reserve(align_down(heap, UNIT), units_for(min_size(limit, WINDOW))) ||
           reserve(align_down(heap, UNIT), units_for(GIB));
}

bool unitmap_cover(uintptr_t addr, size_t bytes) {
    size_t first = align_down(addr - unitmap.base, COVER) >> UNIT_SHIFT;
    size_t end = min_size(align_up(addr - unitmap.base + bytes, COVER) >> UNIT_SHIFT, unitmap.limit);
    if (first >= end)
        return true;
    char *from = (char *)unitmap.table + first * ENTRY;
    return os_commit(from, align_up((end - first) * ENTRY, OS_PAGE));
}

void unitmap_set(uintptr_t addr, size_t units, unsigned entry) {
    size_t first = (addr - unitmap.base) >> UNIT_SHIFT;
    for (size_t i = first; i < first + units && i < unitmap.limit; i++)
        unitmap.table[i] = (uint16_t)entry;
}

bool unitmap_shrink(uintptr_t heap, size_t bytes) {
    size_t first = align_down((heap - unitmap.base) >> UNIT_SHIFT, OS_PAGE / ENTRY);
    size_t units = align_up(units_for(bytes), OS_PAGE / ENTRY);
    if (first + units >= unitmap.limit || (first == 0 && units * 2 > unitmap.limit))
        return false;
    char *start = (char *)unitmap.table, *window = start + first * ENTRY;
    char *after = window + units * ENTRY, *end = start + align_up(unitmap.limit * ENTRY, OS_PAGE);
    unitmap = (struct unitmap){unitmap.base + (first << UNIT_SHIFT), units, (uint16_t *)window, unitmap.mark};
    if (window > start)
        os_unmap(start, (size_t)(window - start));
    os_unmap(after, (size_t)(end - after));
    return true;
}
