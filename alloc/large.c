/* SPDX-License-Identifier: MIT */
#include "large.h"

#include "budget.h"
#include "lock.h"
#include "os.h"
#include "region.h"
#include "report.h"
#include "tunables.h"

#define TABLE_MIN 256 /* entries: one OS page */

struct mapping {
    uintptr_t addr;
    size_t bytes; /* 0: the slot is empty */
};

struct large_totals large_totals;
static struct lock large_lock;
static struct mapping *table;
static size_t table_size; /* a power of two */

static size_t slot_of(uintptr_t addr) {
    return (size_t)((addr / OS_PAGE) * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (table_size - 1);
}

static struct mapping *find_locked(uintptr_t addr) {
    if (table_size == 0)
        return NULL;
    for (size_t i = slot_of(addr);; i = (i + 1) & (table_size - 1)) {
        if (table[i].bytes == 0)
            return NULL;
        if (table[i].addr == addr)
            return &table[i];
    }
}

static void insert_locked(uintptr_t addr, size_t bytes) {
    size_t i = slot_of(addr);
    while (table[i].bytes != 0)
        i = (i + 1) & (table_size - 1);
    table[i] = (struct mapping){addr, bytes};
    large_totals.count++;
    large_totals.bytes += bytes;
    large_totals.count_peak = max_size(large_totals.count_peak, large_totals.count);
    large_totals.bytes_peak = max_size(large_totals.bytes_peak, large_totals.bytes);
}

static void remove_locked(struct mapping *gone) {
    large_totals.count--;
    large_totals.bytes -= gone->bytes;
    size_t hole = (size_t)(gone - table), mask = table_size - 1;
    for (size_t i = (hole + 1) & mask; table[i].bytes != 0; i = (i + 1) & mask) {
        /* An entry may fill the hole if its own slot does not lie cyclically behind the hole. */
        if (((i - slot_of(table[i].addr)) & mask) >= ((i - hole) & mask)) {
            table[hole] = table[i];
            hole = i;
        }
    }
    table[hole].bytes = 0;
}

/* Room for one more entry. */
static bool reserve_locked(void) {
    if (large_totals.count * 2 < table_size)
        return true;
    size_t old_size = table_size, size = old_size ? old_size * 2 : TABLE_MIN;
    struct mapping *old = table, *fresh = budget_map(align_up(size * sizeof *fresh, OS_PAGE));
    if (fresh == NULL)
        return false;
    table = fresh;
    table_size = size;
    large_totals.count = large_totals.bytes = 0;
    for (size_t i = 0; i < old_size; i++)
        if (old[i].bytes != 0)
            insert_locked(old[i].addr, old[i].bytes);
    if (old != NULL)
        budget_unmap(old, align_up(old_size * sizeof *old, OS_PAGE));
    return true;
}

bool large_is_table(const void *p) {
    lock_acquire(&large_lock, LOCK_LARGE);
    bool is = (uintptr_t)p - (uintptr_t)table < align_up(table_size * sizeof *table, OS_PAGE);
    lock_release(&large_lock, LOCK_LARGE);
    return is;
}

/* Enters a mapping; false if there are too many or no memory for the entry. */
static bool enter(void *addr, size_t bytes) {
    lock_acquire(&large_lock, LOCK_LARGE);
    bool done = large_totals.count < tunables.mmap_max && reserve_locked();
    if (done)
        insert_locked((uintptr_t)addr, bytes);
    lock_release(&large_lock, LOCK_LARGE);
    return done;
}

static void raise_threshold_locked(size_t bytes) {
    if (tunables.dynamic_threshold && bytes > tunables.mmap_threshold && bytes <= LARGE_DYNAMIC_MAX) {
        tunables.mmap_threshold = min_size(2 * bytes, LARGE_DYNAMIC_MAX + OS_PAGE);
        tunables.trim_threshold = 2 * bytes;
    }
}

/* Takes the entry out and returns its length, 0 if there is none. */
static size_t leave(const void *addr, bool to_free) {
    lock_acquire(&large_lock, LOCK_LARGE);
    struct mapping *mapping = find_locked((uintptr_t)addr);
    size_t bytes = mapping ? mapping->bytes : 0;
    if (mapping != NULL)
        remove_locked(mapping);
    if (to_free)
        raise_threshold_locked(bytes);
    lock_release(&large_lock, LOCK_LARGE);
    return bytes;
}

static void *map_aligned(size_t bytes, size_t align) {
    if (align <= OS_PAGE)
        return os_map(bytes);
    if (bytes + align < bytes)
        return NULL;
    char *raw = os_map(bytes + align);
    if (raw == NULL)
        return NULL;
    char *start = (char *)align_up((uintptr_t)raw, align);
    if (start > raw)
        os_unmap(raw, (size_t)(start - raw));
    if (raw + align > start)
        os_unmap(start + bytes, (size_t)(raw + align - start));
    return start;
}

void *large_alloc(size_t bytes, size_t align) {
    if (large_totals.count >= tunables.mmap_max)
        return NULL;
    bytes = align_up(bytes, OS_PAGE);
    if (!budget_charge(bytes))
        return NULL;
    void *addr = map_aligned(bytes, align);
    if (addr == NULL) {
        budget_refund(bytes);
        return NULL;
    }
    if (!enter(addr, bytes)) {
        budget_give_back(addr, bytes);
        return NULL;
    }
    region_prepare(addr, bytes);
    return addr;
}

size_t large_bytes(const void *p) {
    lock_acquire(&large_lock, LOCK_LARGE);
    struct mapping *mapping = find_locked((uintptr_t)p);
    size_t bytes = mapping ? mapping->bytes : 0;
    lock_release(&large_lock, LOCK_LARGE);
    return bytes;
}

bool large_free(void *p) {
    size_t bytes = leave(p, true);
    if (bytes == 0)
        return false;
    budget_give_back(p, bytes);
    return true;
}

static void *remap_charged(void *p, size_t old, size_t bytes) {
    if (bytes > old && !budget_charge(bytes - old))
        return NULL;
    void *moved = os_remap(p, old, bytes, true);
    if (moved == NULL && bytes > old)
        budget_refund(bytes - old);
    if (moved != NULL && bytes < old)
        budget_refund(old - bytes);
    if (moved != NULL && bytes > old)
        region_prepare((char *)moved + old, bytes - old);
    return moved;
}

void *large_resize(void *p, size_t bytes) {
    bytes = align_up(bytes, OS_PAGE);
    /* Out of the table while it moves: another thread may be given the old address before we have entered the new. The
     * slot just left makes sure that entering again cannot fail. */
    size_t old = leave(p, false);
    void *moved = old == bytes ? p : remap_charged(p, old, bytes);
    lock_acquire(&large_lock, LOCK_LARGE);
    if (!reserve_locked())
        ASSERT(large_totals.count < table_size - 1);
    insert_locked((uintptr_t)(moved ? moved : p), moved ? bytes : old);
    lock_release(&large_lock, LOCK_LARGE);
    return moved;
}

/* Pages of the heap as a mapping of new_bytes. */
static char *steal(void *p, size_t bytes, size_t new_bytes) {
    char *moved = os_steal(p, bytes);
    if (moved == NULL)
        return NULL;
    char *grown = os_remap(moved, bytes, new_bytes, true);
    if (grown == NULL)
        os_put_back(moved, p, bytes);
    else if (new_bytes > bytes)
        region_prepare(grown + bytes, new_bytes - bytes);
    return grown;
}

void *large_steal(void *p, size_t bytes, size_t new_bytes) {
    new_bytes = align_up(new_bytes, OS_PAGE);
    lock_acquire(&large_lock, LOCK_LARGE);
    bool room = large_totals.count < tunables.mmap_max && reserve_locked();
    lock_release(&large_lock, LOCK_LARGE);
    if (!room || !budget_charge(new_bytes))
        return NULL;
    char *grown = steal(p, bytes, new_bytes);
    if (grown == NULL) {
        budget_refund(new_bytes);
        return NULL;
    }
    lock_acquire(&large_lock, LOCK_LARGE);
    if (!reserve_locked())
        ASSERT(large_totals.count < table_size - 1);
    insert_locked((uintptr_t)grown, new_bytes);
    lock_release(&large_lock, LOCK_LARGE);
    return grown;
}

int large_mallopt(int parameter, int value) {
    lock_acquire(&large_lock, LOCK_LARGE);
    int done = tunables_mallopt(parameter, value);
    lock_release(&large_lock, LOCK_LARGE);
    return done;
}

void large_count(struct large_totals *totals) {
    lock_acquire(&large_lock, LOCK_LARGE);
    *totals = large_totals;
    lock_release(&large_lock, LOCK_LARGE);
}

void large_walk(struct walk *walk) {
    size_t count = 0, bytes = 0;
    lock_acquire(&large_lock, LOCK_LARGE);
    for (size_t i = 0; i < table_size; i++) {
        const struct mapping *mapping = &table[i];
        if (mapping->bytes == 0)
            continue;
        count++;
        bytes += mapping->bytes;
        report_walk(walk, (mapping->addr | mapping->bytes) % OS_PAGE == 0 && find_locked(mapping->addr) == mapping,
                    "large L1", mapping);
    }
    report_walk(walk, count == large_totals.count && bytes == large_totals.bytes && count * 2 <= table_size, "large L1",
                &large_totals);
    lock_release(&large_lock, LOCK_LARGE);
}

void large_fork_acquire(void) {
    lock_fork_acquire(&large_lock);
}

void large_fork_release(void) {
    lock_fork_release(&large_lock);
}

void large_fork_reset(void) {
    lock_fork_reset(&large_lock);
}
