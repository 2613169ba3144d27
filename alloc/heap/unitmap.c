/* SPDX-License-Identifier: MIT */
#include "heap/unitmap.h"

#include "os/os.h"
#include "kit/strip.h"

#define ENTRY sizeof(uint16_t)
#define TABLE_BYTES(addresses) ((addresses) / UNIT * ENTRY)
/* Entries are made writable for this many bytes of addresses at a time: 128 KiB of table. */
#define COVER (1 * GIB)
#define USUAL (128 * GIB)   /* of addresses, where the table cannot grow; and where it can, always: 16 MiB of table */
#define MOST (16 * KIB * GIB) /* of addresses: 2 GiB of table */

struct unitmap unitmap;
static struct strip strip;
static const struct strip_plan plan = {TABLE_BYTES(COVER), TABLE_BYTES(USUAL), TABLE_BYTES(MOST)};

/* A number that no program comes upon: random, odd, and no address, since its two highest bits differ. */
static uint64_t make_mark(void) {
    uint64_t random;
    os_random(&random, sizeof random);
    return (random & ~((uint64_t)1 << 62)) | (uint64_t)1 << 63 | 1;
}

size_t unitmap_place_bytes(void) {
    return STRIP_PLACE(plan.most);
}

bool unitmap_init(char *place) {
    if (unitmap.mark == 0)
        unitmap.mark = make_mark();
    if (strip.start == NULL && !strip_open(&strip, place, &plan))
        return false;
    unitmap.table = (uint16_t *)(void *)strip.start;
    return true;
}

/* After base and table, and after the memory of the table is there: another thread's free looks at the limit first. */
static void set_limit(void) {
    __atomic_store_n(&unitmap.limit, strip.reserved / ENTRY, __ATOMIC_RELEASE);
}

/* A free of the program's may look up what is no block meanwhile: then it reads 0 by either base. The first unit is none of the
 * heap's: the leak report would take the base for the address of the first block. */
void unitmap_place(uintptr_t start) {
    unitmap.base = max_size(start, UNIT) - UNIT; /* a window from address 0 on has the first unit in front already */
    set_limit();
}

/* Raises the limit until the table has `bytes`, if that is no more than USUAL needs or than twice what is there: a region that
 * the kernel has put far away is not worth a table of the addresses between. */
static void reach(size_t bytes) {
    if (bytes <= strip.reserved || bytes > max_size(TABLE_BYTES(USUAL), 2 * strip.reserved) || !strip_reach(&strip, bytes))
        return;
    set_limit();
}

void unitmap_share(void) {
    __atomic_store_n(&unitmap.shared_limit, __atomic_load_n(&unitmap.limit, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
}

bool unitmap_cover(uintptr_t addr, size_t bytes) {
    if (addr < unitmap.base)
        return true;
    size_t first = align_down(addr - unitmap.base, COVER) >> UNIT_SHIFT;
    size_t end = align_up(addr - unitmap.base + bytes, COVER) >> UNIT_SHIFT;
    reach(end * ENTRY);
    if (end > unitmap.limit) /* for good: spans there are in use, and nobody sets their entries when the table comes there */
        strip.most = min_size(strip.most, max_size(first, unitmap.limit) * ENTRY);
    end = min_size(end, unitmap.limit);
    if (first >= end)
        return true;
    char *from = (char *)unitmap.table + first * ENTRY;
    return os_commit_zeros(from, align_up((end - first) * ENTRY, OS_PAGE));
}

void unitmap_set(uintptr_t addr, size_t units, unsigned entry) {
    size_t first = (addr - unitmap.base) >> UNIT_SHIFT;
    for (size_t i = first; i < first + units && i < unitmap.limit; i++)
        unitmap.table[i] = (uint16_t)entry;
}
