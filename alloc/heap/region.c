/* SPDX-License-Identifier: MIT */
#include "heap/region.h"

#include <stdatomic.h>

#include "base/glibc.h"
#include "os/os.h"
#include "kit/budget.h"
#include "kit/lock.h"
#include "kit/report.h"
#include "kit/tunables.h"
#include "heap/unitmap.h"

#define HEAP_MAX (64 * GIB)        /* span structures are reserved for so much brk heap (0.5 GiB of addresses) */
#define GROW_MIN (256 * KIB)       /* the break moves by at least this, */
#define GROW_PART 8                /* or by an eighth of the heap, so that a heap grows to twice its size in six calls, */
#define GROW_MAX (64 * MIB)        /* but by no more */
#define MAPPED_MIN (4 * MIB)       /* the first mapped region; each is twice the one before, */
#define MAPPED_MAX (1 * GIB)       /* up to this: then all REGIONS_MAX regions have 248 GiB, without requests that are larger */
#define SPAN_BYTES sizeof(struct span)
#define HOME_BYTES (HOME_WORDS * sizeof(uint64_t))
#define WALK_UNITS 1024 /* untouched units that a walk looks at (16 MiB): looking at a page makes its page table */
#define META_CHUNK (64 * KIB)
#define COMMIT_UNITS ((size_t)4096) /* span structures become writable for so many units at a time (64 MiB of heap) */

struct region regions[REGIONS_MAX] BIG_TABLE;
_Atomic unsigned region_count;

/* At the start of each piece of own data. */
struct chunk {
    struct chunk *next;
    size_t bytes;
};

static struct {
    char *at, *end;
    _Atomic(struct chunk *) chunks;
} meta;
static struct lock meta_lock;
static _Atomic size_t heap_bytes, heap_peak;

/* ---- own data ---------------------------------------------------------------------------------------------------- */

static size_t unit_pages(size_t units, size_t bytes_each) {
    return align_up(units * bytes_each, OS_PAGE);
}

static size_t dirty_bytes(size_t units) {
    return align_up(units / 8 + 8, OS_PAGE);
}

static size_t reserved_bytes(size_t units) {
    return dirty_bytes(units) + unit_pages(units, SPAN_BYTES) + unit_pages(units, HOME_BYTES);
}

/* OS pages of the own data for the first `units` of a region. */
static size_t own_bytes(const struct region *region, size_t units) {
    uintptr_t first = (region->base - unitmap.base) >> UNIT_SHIFT;
    size_t entries = align_up((first + units) * sizeof(uint16_t), OS_PAGE) - align_down(first * sizeof(uint16_t), OS_PAGE);
    return units == 0 ? 0 : unit_pages(units, SPAN_BYTES) + unit_pages(units, HOME_BYTES) + dirty_bytes(units) + entries;
}

/* Charges the budget for what the allocator itself keeps for units up to `end`. */
static bool charge_own(struct region *region, size_t end) {
    if (end <= region->charged)
        return true;
    if (!budget_charge(own_bytes(region, end) - own_bytes(region, region->charged)))
        return false;
    region->charged = end;
    return true;
}

static void count_heap(size_t more) {
    heap_bytes += more;
    if (heap_bytes > heap_peak)
        heap_peak = heap_bytes;
}

void region_count_bytes(struct region_totals *totals) {
    *totals = (struct region_totals){heap_bytes, heap_peak, 0};
    for (unsigned i = 0; i < region_count; i++)
        totals->own += own_bytes(&regions[i], regions[i].charged) + regions[i].lost;
}

static void *meta_cut_locked(size_t bytes) {
    if ((size_t)(meta.end - meta.at) < bytes) {
        size_t size = max_size(META_CHUNK, align_up(bytes + sizeof(struct chunk), OS_PAGE));
        struct chunk *fresh = budget_map(size);
        if (fresh == NULL)
            return NULL;
        *fresh = (struct chunk){meta.chunks, size};
        meta.chunks = fresh;
        meta.at = (char *)(fresh + 1);
        meta.end = (char *)fresh + size;
    }
    char *at = meta.at;
    meta.at += bytes;
    return at;
}

bool region_is_meta(const void *p) {
    for (const struct chunk *chunk = meta.chunks; chunk != NULL; chunk = chunk->next)
        if ((uintptr_t)p - (uintptr_t)chunk < chunk->bytes)
            return true;
    return false;
}

void *region_meta(size_t bytes) {
    lock_acquire(&meta_lock, LOCK_META);
    void *at = meta_cut_locked(align_up(bytes, BLOCK_ALIGN));
    lock_release(&meta_lock, LOCK_META);
    return at;
}

/* Reserves dirty bits, span structures and home bits for `units`. */
static bool set_up(struct region *region, uintptr_t base, size_t units) {
    char *reserved = budget_reserve(reserved_bytes(units));
    if (reserved == NULL)
        return false;
    region->max_units = units;
    region->dirty = (uint64_t *)(void *)reserved;
    region->spans = (struct span *)(void *)(reserved + dirty_bytes(units));
    region->home = (uint64_t *)(void *)((char *)region->spans + unit_pages(units, SPAN_BYTES));
    region->warm = base;
    region->base = base;
    return true;
}

/* Makes what an array has for units [first, end) writable. */
static bool commit_units(void *array, size_t bytes_each, size_t first, size_t end) {
    char *from = (char *)array + align_down(first * bytes_each, OS_PAGE);
    return os_commit(from, (size_t)((char *)array + unit_pages(end, bytes_each) - from));
}

/* Makes the dirty bits of units [first, end) writable. */
static bool commit_dirty(const struct region *region, size_t first, size_t end) {
    size_t from = align_down(first / 8, OS_PAGE);
    return os_commit((char *)region->dirty + from, dirty_bytes(end) - from);
}

static bool cover_up_to(struct region *region, size_t end) {
    size_t first = region->covered;
    if (!commit_dirty(region, first, end) || !commit_units(region->spans, SPAN_BYTES, first, end) ||
        !commit_units(region->home, HOME_BYTES, first, end) ||
        !unitmap_cover(region->base + (first << UNIT_SHIFT), (end - first) << UNIT_SHIFT))
        return false;
    region->covered = end;
    return true;
}

/* Makes dirty bits, span structures, home bits and unit map entries writable up to unit `end`: up to the next multiple of
 * COMMIT_UNITS, to have few system calls, or if that is refused no more than asked for, because RLIMIT_DATA counts what is
 * writable. */
static bool cover(struct region *region, size_t end) {
    if (end <= region->covered)
        return true;
    return cover_up_to(region, min_size(align_up(end, COMMIT_UNITS), region->max_units)) || cover_up_to(region, end);
}

static void require_whole_pages(void) {
    if (UNIT % OS_PAGE == 0)
        return;
    report_line("pages of this system have %z bytes, this build of myalloc is for up to %z", OS_PAGE, UNIT);
    os_abort();
}

bool region_init(void) {
    if (region_count > 0)
        return true;
    require_whole_pages();
    char *at = os_sbrk(0);
    /* Not at the break itself: the loader keeps that address, and the leak report would take it for one of the first block. */
    uintptr_t base = align_up((uintptr_t)at + 1, UNIT);
    if (unitmap.table == NULL && !unitmap_init(base))
        return false;
    size_t most = min_size(HEAP_MAX, os_address_limit());
    struct region *heap = &regions[0];
    /* Without a break regions[0] stays empty, and all memory comes from mapped regions. */
    if (at != NULL && !set_up(heap, base, most >> UNIT_SHIFT))
        return false;
    atomic_store_explicit(&region_count, 1, memory_order_release);
    return true;
}

struct region *region_find_slow(uintptr_t addr) {
    unsigned count = atomic_load_explicit(&region_count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++)
        if (addr - regions[i].base < regions[i].mapped << UNIT_SHIFT)
            return &regions[i];
    return NULL;
}

void region_prepare(void *addr, size_t bytes) {
    if (UNLIKELY(tunables.hugepages == CHOICE_ON))
        os_hugepage(addr, bytes);
    if (UNLIKELY(tunables.hugepages == CHOICE_OFF))
        os_no_hugepage(addr, bytes);
    if (UNLIKELY(tunables.populate))
        os_populate(addr, bytes);
}

/* region_prepare for units of a region. What is present already need not be made present by span.c. */
static void prepare_units(struct region *region, uintptr_t start, size_t bytes) {
    region_prepare((void *)start, bytes);
    if (tunables.populate)
        region->warm = start + bytes;
}

static void *charged_sbrk(size_t bytes) {
    if (!budget_charge(bytes))
        return NULL;
    void *old = os_sbrk((intptr_t)bytes);
    if (old == NULL)
        budget_refund(bytes);
    return old;
}

static void undo_sbrk(size_t bytes) {
    os_sbrk(-(intptr_t)bytes);
    budget_refund(bytes);
}

/* The first address for units behind a break. */
static uintptr_t first_unit_behind(const struct region *heap, uintptr_t brk) {
    return max_size(align_up(brk, UNIT), heap->base);
}

/* Moves the break, which is at `brk`, by GROW_PART or what else is more than `bytes`, or if that is refused by enough for
 * `bytes`, of whole units. Returns the first new address and in *got the bytes; 0 if refused. */
static uintptr_t move_break(struct region *heap, uintptr_t brk, size_t bytes, size_t *got) {
    size_t step = min_size((heap->mapped << UNIT_SHIFT) / GROW_PART, GROW_MAX);
    size_t wanted = align_up(max_size(max_size(bytes, GROW_MIN), step) + tunables.top_pad, UNIT);
    size_t gap = first_unit_behind(heap, brk) - brk;
    void *old = wanted <= SIZE_LIMIT - UNIT ? charged_sbrk(wanted + gap) : NULL;
    if (old == NULL) {
        wanted = bytes;
        old = charged_sbrk(wanted + gap);
    }
    if (old == NULL)
        return 0;
    if ((uintptr_t)old != brk) { /* another caller of sbrk came in between, and ours is not on a unit's start */
        undo_sbrk(wanted + gap);
        return 0;
    }
    heap->lost += gap;
    *got = wanted;
    return brk + gap;
}

/* Others may have moved the break: upwards, then the heap goes on behind a hole; or below the end of the heap, then it cannot
 * grow. */
static bool grow_heap(struct region *heap, size_t units, size_t *left) {
    size_t bytes = units << UNIT_SHIFT, ahead = (heap->mapped - heap->frontier) << UNIT_SHIFT;
    uintptr_t end = heap->base + (heap->mapped << UNIT_SHIFT), brk = (uintptr_t)os_sbrk(0);
    uintptr_t behind = first_unit_behind(heap, brk);
    bool foreign = behind != end;
    if (brk == 0 || heap->spans == NULL || behind < end)
        return false;
    size_t needed = foreign ? bytes : bytes - ahead, got;
    size_t first_unit = (behind - heap->base) >> UNIT_SHIFT;
    if (first_unit + (needed >> UNIT_SHIFT) > heap->max_units)
        return false;
    uintptr_t start = move_break(heap, brk, needed, &got);
    if (start == 0)
        return false;
    size_t new_mapped = min_size((start + got - heap->base) >> UNIT_SHIFT, heap->max_units);
    if (!charge_own(heap, new_mapped) || !cover(heap, new_mapped)) {
        undo_sbrk(got);
        return false;
    }
    size_t grown = new_mapped - ((start - heap->base) >> UNIT_SHIFT);
    heap->lost += got - (grown << UNIT_SHIFT);
    count_heap(grown << UNIT_SHIFT);
    if (foreign) {
        heap->foreign += ((start - heap->base) >> UNIT_SHIFT) - heap->mapped;
        *left = heap->mapped - heap->frontier;
        heap->frontier = (start - heap->base) >> UNIT_SHIFT;
        heap->warm = start;
    }
    heap->mapped = new_mapped;
    prepare_units(heap, start, grown << UNIT_SHIFT);
    return true;
}

bool region_grow(struct region *region, size_t units, size_t *left) {
    *left = 0;
    if (region->mapped - region->frontier >= units)
        return true;
    return region == &regions[0] && grow_heap(region, units, left);
}

static uintptr_t map_charged(size_t bytes) {
    if (!budget_charge(bytes))
        return 0;
    void *base = os_map(bytes, UNIT, os_unmap); /* ends that stay are lost addresses, not memory */
    if (base == NULL)
        budget_refund(bytes);
    return (uintptr_t)base;
}

struct region *region_add(size_t units) {
    unsigned count = region_count;
    if (count == REGIONS_MAX || units > SIZE_LIMIT >> (UNIT_SHIFT + 1))
        return NULL;
    size_t usual = min_size(MAPPED_MIN << min_size(count - 1, 16), MAPPED_MAX);
    size_t bytes = max_size(usual, units << UNIT_SHIFT);
    uintptr_t base = map_charged(bytes);
    if (base == 0)
        base = map_charged(bytes = units << UNIT_SHIFT);
    if (base == 0)
        return NULL;
    struct region *added = &regions[count];
    if (!set_up(added, base, bytes >> UNIT_SHIFT)) {
        budget_give_back((void *)base, bytes);
        return NULL;
    }
    if (!charge_own(added, added->max_units) || !cover(added, added->max_units)) {
        budget_unreserve(added->dirty, reserved_bytes(added->max_units));
        budget_give_back((void *)base, bytes);
        budget_refund(own_bytes(added, added->charged));
        *added = (struct region){0};
        return NULL;
    }
    added->mapped = added->max_units;
    count_heap(bytes);
    prepare_units(added, base, bytes);
    atomic_store_explicit(&region_count, count + 1, memory_order_release);
    return added;
}

size_t region_shrink(struct region *region, size_t first, size_t pad) {
    size_t keep = min_size(first + units_for(pad), region->mapped);
    size_t bytes = (region->mapped - keep) << UNIT_SHIFT;
    uintptr_t end = region->base + (region->mapped << UNIT_SHIFT);
    if (region != &regions[0] || bytes == 0 || (uintptr_t)os_sbrk(0) != end)
        return 0;
    /* Readers find memory by `mapped`: lower it before the memory goes. */
    size_t old = region->mapped;
    region->mapped = keep;
    if (os_sbrk(-(intptr_t)bytes) == NULL) {
        region->mapped = old;
        return 0;
    }
    budget_refund(bytes);
    count_heap(-bytes);
    if (region->warm > region->base + (keep << UNIT_SHIFT))
        region->warm = region->base + (keep << UNIT_SHIFT);
    return bytes;
}

/* Unmaps what an array has for units [first, end). */
static void unmap_units(void *array, size_t bytes_each, size_t first, size_t end) {
    size_t from = unit_pages(first, bytes_each), to = unit_pages(end, bytes_each);
    os_unmap((char *)array + from, to - from);
}

bool region_shrink_reserve(void) {
    size_t limit = os_address_limit();
    struct region *heap = &regions[0];
    if (limit == SIZE_MAX || !__libc_single_threaded || heap->spans == NULL)
        return false;
    bool shrunk = unitmap_shrink(heap->base, limit);
    size_t units = align_up(max_size(limit >> UNIT_SHIFT, heap->covered), COMMIT_UNITS);
    if (units < heap->max_units) {
        unmap_units(heap->spans, SPAN_BYTES, units, heap->max_units);
        unmap_units(heap->home, HOME_BYTES, units, heap->max_units);
        heap->max_units = units;
        shrunk = true;
    }
    return shrunk;
}

/* R2, by a look at the first and the last word of each unit: none of them was ever handed out. */
static bool is_untouched(const struct region *region, size_t first, size_t end) {
    for (size_t at = first; at < end; at++) {
        const uint64_t *words = (const uint64_t *)(region->base + (at << UNIT_SHIFT));
        if ((region->dirty[at / 64] >> at % 64 & 1) != 0 || (words[0] | words[UNIT / sizeof *words - 1]) != 0)
            return false;
    }
    return true;
}

static bool overlaps_other(const struct region *region) {
    uintptr_t end = region->base + (region->mapped << UNIT_SHIFT);
    for (const struct region *other = regions; other < regions + region_count; other++)
        if (other != region && other->base < end && region->base < other->base + (other->mapped << UNIT_SHIFT))
            return true;
    return false;
}

void region_walk(struct walk *walk, const struct region *region) {
    if (region->mapped == 0) /* the heap, where there is no break */
        return;
    uintptr_t end = region->base + (region->mapped << UNIT_SHIFT), brk = (uintptr_t)os_sbrk(0);
    bool known = region_find((const void *)region->base) == region && region->spans != NULL && region->dirty != NULL;
    bool ordered = region->frontier <= region->mapped && region->mapped <= region->max_units;
    report_walk(walk, known && region->base % UNIT == 0 && !overlaps_other(region), "region R1", region);
    size_t looked_at = min_size(region->mapped, region->frontier + WALK_UNITS);
    report_walk(walk, ordered && is_untouched(region, region->frontier, looked_at), "region R2", region);
    report_walk(walk, region != &regions[0] || brk == 0 || brk >= end, "region R3", region);
}

const struct lock_set region_locks = {.rank = LOCK_META, .lock = &meta_lock};
