/* SPDX-License-Identifier: MIT */
#include "heap/region.h"

#include <stdatomic.h>

#include "os/os.h"
#include "kit/budget.h"
#include "kit/lock.h"
#include "kit/name.h"
#include "kit/own.h"
#include "kit/probe.h"
#include "kit/report.h"
#include "kit/strip.h"
#include "kit/tunables.h"
#include "heap/huge.h"
#include "heap/region_place.h"
#include "heap/unitmap.h"

#define HEAP_MAX (64 * GIB)        /* the brk heap ends there: its own data lie side by side, each with room for so much */
#define HEAP_USUAL (4 * GIB)       /* where its own data cannot grow: 48 MiB of reserved addresses */
#define GROW_MIN (256 * KIB)       /* the break moves by at least this, */
#define GROW_PART 8                /* or by an eighth of the heap, so that a heap grows to twice its size in six calls, */
#define GROW_MAX (64 * MIB)        /* but by no more */
#define MAPPED_MIN (4 * MIB)       /* the first mapped region; each is twice the one before, */
#define MAPPED_MAX (1 * GIB)       /* up to this, */
#define MAPPED_PART 8              /* or to an eighth of the heap: REGIONS_MAX regions have more than any machine, 10^13 GiB */
#define SPAN_BYTES sizeof(struct span)
#define HOME_BYTES (HOME_WORDS * sizeof(uint64_t))
#define META_CHUNK (64 * KIB)
#define COMMIT_UNITS ((size_t)4096) /* span structures become writable for so many units at a time (64 MiB of heap) */

struct region regions[REGIONS_MAX] BIG_TABLE;
_Atomic unsigned region_count;

static struct {
    char *at, *end;
} meta;
_Atomic(struct region_chunk *) region_chunks;
static struct lock meta_lock;
static _Atomic size_t heap_bytes, heap_peak;
static struct strip heap_spans, heap_home; /* what the brk heap has for its units: dirty bits and span structures; home bits */

/* ---- own data ---------------------------------------------------------------------------------------------------- */

static size_t unit_pages(size_t units, size_t bytes_each) {
    return align_up(units * bytes_each, OS_PAGE);
}

static size_t dirty_bytes(size_t units) {
    return align_up((units / 64 + 1) * sizeof(struct dirty_word), OS_PAGE);
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
        size_t size = max_size(META_CHUNK, align_up(bytes + sizeof(struct region_chunk), OS_PAGE));
        struct region_chunk *fresh = budget_map_piece(size);
        if (fresh == NULL)
            return NULL;
        *fresh = (struct region_chunk){region_chunks, size};
        region_chunks = fresh;
        meta.at = (char *)(fresh + 1);
        meta.end = (char *)fresh + size;
    }
    char *at = meta.at;
    meta.at += bytes;
    return at;
}

bool region_is_meta(const void *p) {
    for (const struct region_chunk *chunk = region_chunks; chunk != NULL; chunk = chunk->next)
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

static void name_own(const void *start, size_t bytes, void *unused) {
    (void)unused;
    name_memory((void *)(uintptr_t)start, bytes, NAME_OWN);
}

AT_START void region_name_early(void) {
    if (!tunables.names)
        return;
    own_each(name_own, NULL);
    region_each_own(name_own, NULL);
    for (unsigned i = 1; i < region_count; i++)
        name_memory((void *)regions[i].base, regions[i].mapped << UNIT_SHIFT, NAME_HEAP);
}

static void set_up(struct region *region, uintptr_t base, size_t units, char *dirty, char *home) {
    region->max_units = units;
    region->dirty = (struct dirty_word *)(void *)dirty;
    region->home = (uint64_t *)(void *)home;
    region->warm = base;
    region->base = base;
}

/* Reserves dirty bits, span structures and home bits for all units of a mapped region. */
static bool reserve(struct region *region, uintptr_t base, size_t units) {
    char *dirty = budget_reserve(reserved_bytes(units));
    if (dirty == NULL)
        return false;
    char *spans = dirty + dirty_bytes(units);
    set_up(region, base, units, dirty, spans + unit_pages(units, SPAN_BYTES));
    region->spans = (struct span *)(void *)spans;
    return true;
}

/* The brk heap's own data, and the unit map: strips that grow, at one place, so that they share page tables. */
static bool reserve_heap(struct region *heap, uintptr_t base) {
    size_t bits = dirty_bytes(HEAP_MAX >> UNIT_SHIFT), usual = HEAP_USUAL >> UNIT_SHIFT, most = HEAP_MAX >> UNIT_SHIFT;
    const struct strip_plan spans = {bits + unit_pages(COMMIT_UNITS, SPAN_BYTES), bits + unit_pages(usual, SPAN_BYTES),
                                     bits + unit_pages(most, SPAN_BYTES)};
    const struct strip_plan home = {unit_pages(COMMIT_UNITS, HOME_BYTES), unit_pages(usual, HOME_BYTES),
                                    unit_pages(most, HOME_BYTES)};
    char *place = os_place(STRIP_PLACE(spans.most) + STRIP_PLACE(home.most) + unitmap_place_bytes());
    char *for_home = place ? place + STRIP_PLACE(spans.most) : NULL;
    if (!unitmap_init(place ? for_home + STRIP_PLACE(home.most) : NULL))
        return false;
    /* Without a break regions[0] stays empty, and all memory comes from mapped regions. */
    if (base == 0)
        return true;
    if ((heap_spans.start == NULL && !strip_open(&heap_spans, place, &spans)) ||
        (heap_home.start == NULL && !strip_open(&heap_home, for_home, &home)))
        return false;
    size_t units = min_size((heap_spans.most - bits) / SPAN_BYTES, heap_home.most / HOME_BYTES);
    set_up(heap, base, units, heap_spans.start, heap_home.start);
    heap->spans = (struct span *)(void *)(heap_spans.start + bits);
    return true;
}

/* Whether what is reserved for the brk heap has room for so many units. */
static bool heap_reaches(size_t units) {
    size_t bits = dirty_bytes(HEAP_MAX >> UNIT_SHIFT);
    return strip_reach(&heap_spans, bits + unit_pages(units, SPAN_BYTES)) &&
           strip_reach(&heap_home, unit_pages(units, HOME_BYTES));
}

/* Makes the bytes [from, to) of an array writable, if there are any. */
static bool commit_bytes(void *array, size_t from, size_t to) {
    return from >= to || os_commit_zeros((char *)array + from, to - from);
}

/* Makes what an array has for units [first, end) writable. What the units before share with them is so already. */
static bool commit_units(void *array, size_t bytes_each, size_t first, size_t end) {
    return commit_bytes(array, unit_pages(first, bytes_each), unit_pages(end, bytes_each));
}

/* Makes the dirty bits of units [first, end) writable. */
static bool commit_dirty(const struct region *region, size_t first, size_t end) {
    return commit_bytes(region->dirty, first == 0 ? 0 : dirty_bytes(first), dirty_bytes(end));
}

static bool cover_up_to(struct region *region, size_t end) {
    size_t first = region->covered;
    if (region == &regions[0] && !heap_reaches(end))
        return false;
    if (!commit_dirty(region, first, end) || !commit_units(region->spans, SPAN_BYTES, first, end) ||
        !commit_units(region->home, HOME_BYTES, first, end) ||
        !unitmap_cover(region->base + (first << UNIT_SHIFT), (end - first) << UNIT_SHIFT))
        return false;
    region->covered = end;
    if (first == 0) /* written before it is read: the page is faulted once, not first as one of zeros */
        region->dirty[0] = (struct dirty_word){0, 0};
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
    if (!reserve_heap(&regions[0], at != NULL ? align_up((uintptr_t)at + 1, UNIT) : 0))
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

void region_each_own(void (*see)(const void *start, size_t bytes, void *data), void *data) {
    for (const struct region_chunk *chunk = region_chunks; chunk != NULL; chunk = chunk->next)
        see(chunk, chunk->bytes, data);
    for (unsigned i = 1; i < region_count; i++) /* those of the first are strips */
        see(regions[i].dirty, reserved_bytes(regions[i].max_units), data);
}

/* A region has got units. What is present already need not be made present by span.c. */
static void prepare_units(struct region *region, uintptr_t start, size_t bytes) {
    region_prepare((void *)start, bytes);
    if (tunables.populate)
        region->warm = start + bytes;
    if (probe_grow_is_on())
        probe_grow(start, bytes, 0);
}

static void *charged_sbrk(size_t bytes) {
    if (!budget_charge(bytes))
        return NULL;
    void *old = os_sbrk((intptr_t)bytes);
    if (old == NULL)
        budget_refund(bytes);
    return old;
}

/* Moves the break back, if it is still where it was moved to from `old`: what lies behind that is somebody else's. Otherwise
 * the bytes stay ours, unused. */
static void undo_sbrk(struct region *heap, uintptr_t old, size_t bytes) {
    if ((uintptr_t)os_sbrk(0) == old + bytes && os_sbrk(-(intptr_t)bytes) != NULL)
        budget_refund(bytes);
    else
        heap->lost += bytes;
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
    if (heap->mapped << UNIT_SHIFT >= HUGE_FROM) /* to the end of a huge page, all of which can be made present then */
        wanted = align_up(brk + gap + wanted, HUGE_PAGE) - (brk + gap);
    void *old = wanted <= SIZE_LIMIT - UNIT ? charged_sbrk(wanted + gap) : NULL;
    if (old == NULL) {
        wanted = bytes;
        old = charged_sbrk(wanted + gap);
    }
    if (old == NULL)
        return 0;
    if ((uintptr_t)old != brk) { /* another caller of sbrk came in between, and ours is not on a unit's start */
        undo_sbrk(heap, (uintptr_t)old, wanted + gap);
        return 0;
    }
    heap->lost += gap;
    *got = wanted;
    return brk + gap;
}

/* Puts the unit map's window, when the first memory comes. */
static void place_window(uintptr_t base) {
    if (region_count == 1 && regions[0].charged == 0)
        unitmap_place(base);
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
    place_window(heap->base);
    size_t new_mapped = min_size((start + got - heap->base) >> UNIT_SHIFT, heap->max_units);
    if (!charge_own(heap, new_mapped) || !cover(heap, new_mapped)) {
        undo_sbrk(heap, start, got);
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

/* Maps memory for a region, and charges for it. 0 if refused. */
static uintptr_t map_charged(size_t bytes) {
    const struct region *heap = &regions[0];
    uintptr_t end = heap->base + (heap->mapped << UNIT_SHIFT), window;
    if (!budget_charge(bytes))
        return 0;
    uintptr_t base = region_place(bytes, end, &window);
    if (base == 0)
        budget_refund(bytes);
    else
        place_window(window);
    return base;
}

/* What a region is to have: as long as the OS refuses, less of it, but at least for `units`. */
static uintptr_t map_region(size_t units, size_t *bytes) {
    size_t usual = min_size(MAPPED_MIN << min_size(region_count - 1, 16), max_size(MAPPED_MAX, heap_bytes / MAPPED_PART));
    size_t least = units << UNIT_SHIFT;
    uintptr_t base;
    *bytes = max_size(align_down(usual, UNIT), least);
    while ((base = map_charged(*bytes)) == 0 && *bytes > least)
        *bytes = max_size(align_down(*bytes / 4, UNIT), least);
    return base;
}

struct region *region_add(size_t units) {
    unsigned count = region_count;
    size_t bytes;
    if (count == REGIONS_MAX || units > SIZE_LIMIT >> (UNIT_SHIFT + 1))
        return NULL;
    uintptr_t base = map_region(units, &bytes);
    if (base == 0)
        return NULL;
    struct region *added = &regions[count];
    if (!reserve(added, base, bytes >> UNIT_SHIFT)) {
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
    name_memory((void *)base, bytes, NAME_HEAP);
    name_memory(added->dirty, reserved_bytes(added->max_units), NAME_OWN);
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

const struct lock_set region_locks = {.rank = LOCK_META, .lock = &meta_lock};
