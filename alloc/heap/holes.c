/* SPDX-License-Identifier: MIT */
#include "heap/holes.h"

#include <stdatomic.h>

#include "os/os.h"
#include "kit/probe.h"
#include "kit/tunables.h"
#include "heap/huge.h"
#include "heap/span.h"
#include "heap/span_free.h"
#include "heap/home.h"
#include "heap/central.h"
#include "heap/central_class.h"
#include "heap/central_spans.h"
#include "heap/decay.h"

#define TICK_MS 10                  /* at least between two ticks, each of which takes a millisecond at the most: */
#define TICK_UNITS 2048             /* 32 MiB of heap looked at, some 50 ns a unit with free blocks, */
#define TICK_CALLS 768              /* and so many calls to the OS, about 1 us each */
#define WANTED_PART 2               /* this part of what a class gave since the last look, taken again, is soon: */
#define BACK_OFF_MOST 63            /* looks for which it gives nothing then, at the most */
#define HUGE_UNITS (HUGE_PAGE / UNIT)
#define KEPT_SMALL_MOST 4096        /* huge pages that are asked not to be: each may make two mappings more, of some 65,000 */
#define HUGE_FREE_PART 4            /* a huge page with less than this part free is left whole */

/* What one tick, or holes_return, does. */
struct part {
    bool all;            /* pages of any age */
    bool refused;        /* the OS has refused, so that no more is asked for */
    bool proved;         /* it was seen to do what it says */
    bool gives;          /* what lies in the huge page at hand may go */
    uintptr_t huge_page; /* its number */
    uintptr_t kept_small; /* the end of what was last asked not to be a huge page */
    size_t units, calls; /* how many more */
    size_t given;        /* bytes */
    bool found;          /* pages that may go, now or at the next look */
};

/* Of the look that is going on. */
static struct {
    struct turn turn;              /* the rest, but ticked_at, is of the thread that is at it */
    _Atomic uint64_t ticked_at;    /* ms */
    uint64_t began_at;
    unsigned region;
    size_t unit;                   /* where it goes on; 0 of region 0: it has come to its end */
    bool found;                    /* pages that may go at the next look, if not now */
} look;

_Atomic bool holes_wait;

/* What is known of a class from look to look. */
static struct {
    _Atomic uint32_t given; /* pages since the last look began */
    uint8_t back_off; /* looks for which nothing is given when they are next wanted soon, less 1 */
    uint8_t pauses;   /* looks for which nothing is given now */
} known[CLASS_COUNT] BIG_TABLE;

/* ---- huge pages -------------------------------------------------------------------------------------------------- */

static bool heap_has_huge_pages(void) {
    return tunables.hugepages == CHOICE_ON ||
           (tunables.hugepages == CHOICE_AUTO && atomic_load_explicit(&huge_were_given, memory_order_relaxed));
}

/* OS pages in [from, end), units of a region, that hold nothing, as far as is known: a guess, made without locks. What begins
 * before `from` counts as used. */
READS_OTHERS static size_t guess_free_pages(const struct region *region, size_t from, size_t end) {
    size_t pages = 0;
    for (size_t at = from, run; at < end; at += run) {
        const struct span *span = &region->spans[at];
        bool whole = span->state == SPAN_FREE || span->state == SPAN_LARGE;
        run = whole ? max_size(min_size(span->units, end - at), 1) : 1;
        if (span->state == SPAN_FREE)
            pages += run * PAGES_A_UNIT;
        else if (span->state == SPAN_SMALL || span->state == SPAN_PART)
            pages += (size_t)__builtin_popcount(span->idle_pages | span->returned_pages);
    }
    return pages;
}

/* Whether pages of what lies in the huge page of the unit may go. One of which little is in use is broken up. */
static bool may_break(struct part *part, const struct region *region, size_t unit) {
    uintptr_t base = region->base >> UNIT_SHIFT, number = (base + unit) / HUGE_UNITS;
    if (part->huge_page != number) {
        size_t from = max_size(number * HUGE_UNITS, base) - base;
        size_t end = min_size((number + 1) * HUGE_UNITS - base, region->frontier);
        part->huge_page = number;
        part->gives = guess_free_pages(region, from, end) >= HUGE_UNITS * PAGES_A_UNIT / HUGE_FREE_PART;
    }
    return part->gives;
}

/* The kernel (khugepaged) makes huge pages of small ones, and fills the holes that it finds: not where some are given back. */
static void keep_small(struct part *part, const struct span *span) {
    static _Atomic size_t calls;
    const struct region *region = &regions[span->region];
    uintptr_t from = (uintptr_t)span_address(span), to = from + ((size_t)span->units << UNIT_SHIFT);
    if (to <= part->kept_small && from + HUGE_PAGE >= part->kept_small)
        return;
    from = max_size(align_down(from, HUGE_PAGE), region->base);
    to = min_size(align_up(to, HUGE_PAGE), region->base + (region->mapped << UNIT_SHIFT));
    part->kept_small = to;
    if (tunables.hugepages != CHOICE_OFF && atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) < KEPT_SMALL_MOST)
        os_no_hugepage((void *)from, to - from);
}

/* ---- one span ---------------------------------------------------------------------------------------------------- */

/* Pages of the span's nth unit that are free and have memory. */
static unsigned held_pages(struct span *span, size_t size, size_t nth) {
    return home_free_pages(span, size, nth) & ~(unsigned)span[nth].returned_pages;
}

static bool any_due_locked(const struct part *part, struct span *span, size_t size) {
    for (size_t i = 0; i < span->units; i++)
        if ((part->all || span[i].idle_pages != 0) &&
            (held_pages(span, size, i) & (part->all ? ~0u : span[i].idle_pages)) != 0)
            return true;
    return false;
}

/* Makes idle those of the span's pages that are due, if there are any, and else those that are free now. True if some are
 * due. */
static bool mark_locked(struct part *part, struct span *span, size_t size, bool gives) {
    bool due = gives && any_due_locked(part, span, size);
    for (size_t i = 0; i < span->units; i++) {
        unsigned held = held_pages(span, size, i), old = part->all ? ~0u : span[i].idle_pages;
        span[i].idle_pages = (uint16_t)(due ? held & old : held);
        span->paged = span->paged || span[i].idle_pages != 0;
        part->found = part->found || (gives && span[i].idle_pages != 0);
    }
    return due;
}

static bool is_idle(const struct span *span, size_t page) {
    return (span[page / PAGES_A_UNIT].idle_pages >> page % PAGES_A_UNIT & 1) != 0;
}

/* Whether the kernel does what it says is seen by a touch, which brings a page back for a moment: once in a part is enough, as
 * nobody counts on what pages of a used span hold. */
static bool give_pages(struct part *part, void *addr, size_t bytes) {
    if (!part->proved || !os_discard(addr, bytes))
        return part->proved = span_purge_pages(addr, bytes);
    if (probe_purge_is_on())
        probe_purge((uintptr_t)addr, bytes, 0);
    return true;
}

/* Gives the idle pages of a span that is apart to the OS, each run of them by one call. Those that are refused are idle no
 * more. */
static void purge_idle(struct part *part, struct span *span) {
    size_t pages = span->units * PAGES_A_UNIT;
    for (size_t page = 0, end; page < pages; page = end) {
        for (end = page + 1; end < pages && is_idle(span, page) && is_idle(span, end);)
            end++;
        if (!is_idle(span, page))
            continue;
        size_t bytes = (end - page) * OS_PAGE;
        part->calls -= part->calls > 0;
        part->refused = part->refused || !give_pages(part, span_address(span) + page * OS_PAGE, bytes);
        part->given += part->refused ? 0 : bytes;
        for (; part->refused && page < end; page++)
            span[page / PAGES_A_UNIT].idle_pages &= (uint16_t)~(1u << page % PAGES_A_UNIT);
    }
}

/* What is idle was given back. Returns how many pages that are. */
static uint32_t returned_locked(struct span *span, size_t size) {
    uint32_t pages = 0;
    for (size_t i = 0; i < span->units; i++) {
        pages += (uint32_t)__builtin_popcount(span[i].idle_pages);
        span[i].returned_pages |= span[i].idle_pages;
        span[i].idle_pages = (uint16_t)held_pages(span, size, i);
    }
    return pages;
}

/* Looks at a span that has been of the class a moment ago. */
static void visit(struct part *part, struct span *span, unsigned index, bool gives) {
    struct class *class = central_lock_if_has(index, span);
    struct span *empty = NULL;
    if (class == NULL)
        return;
    if (span->listed && mark_locked(part, span, class->size, gives)) {
        central_hold_locked(class, span);
        lock_release(&class->lock, LOCK_CLASS);
        keep_small(part, span);
        purge_idle(part, span);
        lock_acquire(&class->lock, LOCK_CLASS);
        atomic_fetch_add_explicit(&known[index].given, returned_locked(span, class->size), memory_order_relaxed);
        central_unhold_locked(class, span, &empty);
    }
    lock_release(&class->lock, LOCK_CLASS);
    central_release_all(empty);
}

/* The class of a SMALL span that begins there and has blocks at home, else 0; a guess, made without locks. */
READS_OTHERS static unsigned class_to_visit(const struct span *span) {
    unsigned index = class_of_span(span);
    return index != 0 && span->listed ? index : 0;
}

/* To the next unit that something may begin at. The structures inside of a free span have no memory once it was given back, and
 * are not touched. A guess, made without locks: too far is made good by the next look. */
READS_OTHERS static size_t units_to_next(const struct span *span, size_t most) {
    return span->state == SPAN_FREE ? max_size(min_size(span->units, most), 1) : 1;
}

/* Goes over the units of a region from *unit on, as many as the part may. True at the region's end. */
static bool visit_region(struct part *part, struct region *region, size_t *unit) {
    bool huge = !part->all && heap_has_huge_pages();
    for (size_t next; *unit < region->frontier && part->units > 0 && part->calls > 0; *unit += next, part->units--) {
        struct span *span = &region->spans[*unit];
        unsigned index = class_to_visit(span);
        next = units_to_next(span, region->frontier - *unit);
        if (index == 0)
            continue;
        bool may = part->all || (known[index].pauses == 0 && (!huge || may_break(part, region, *unit)));
        visit(part, span, index, may && !part->refused);
    }
    return *unit >= region->frontier;
}

size_t holes_return(void) {
    struct part part = {.all = true, .units = SIZE_MAX, .calls = SIZE_MAX};
    for (unsigned i = 0; i < region_count; i++) {
        size_t unit = 0;
        visit_region(&part, &regions[i], &unit);
    }
    return part.given;
}

/* ---- by age ------------------------------------------------------------------------------------------------------ */

/* Says which chains are in the transfer cache: with the same chains it is the same. */
static uint64_t transit_locked(const struct transfer *transfer) {
    uint64_t sum = transfer->stack != NULL ? transfer->stack->count : 0;
    for (size_t i = 0; i < PARKED_CHAINS; i++)
        sum = sum * 31 + atomic_load_explicit(&transfer->parked[i], memory_order_relaxed);
    for (size_t i = 0; transfer_stacked_locked(transfer, i) != 0; i++)
        sum = sum * 31 + transfer_stacked_locked(transfer, i);
    return sum;
}

/* Pages that were given and are wanted again within a look cost two faults where none was needed. */
static void learn_locked(unsigned index) {
    if (known[index].pauses > 0) {
        known[index].pauses--;
    } else if (known[index].given > 0 && home_pages_wanted[index] * WANTED_PART >= known[index].given) {
        known[index].back_off = (uint8_t)min_size(known[index].back_off * 2u + 1, BACK_OFF_MOST);
        known[index].pauses = known[index].back_off;
    } else if (known[index].given > 0) {
        known[index].back_off /= 2;
    }
    known[index].given = home_pages_wanted[index] = 0;
}

/* Chains that have lain in the transfer cache since the last time go home. Before a look, what is known is brought up to
 * date. */
static void prepare_class(struct class *class, bool look_begins) {
    lock_acquire(&class->lock, LOCK_CLASS);
    if (look_begins && class->shard == 0)
        learn_locked(class->index);
    uint64_t transit = transit_locked(&class->transfer);
    bool waits = transit == class->transit_seen && transit != 0;
    class->transit_seen = transit;
    lock_release(&class->lock, LOCK_CLASS);
    if (waits)
        central_flush_class(class);
}

static void prepare_classes(bool look_begins) {
    for (unsigned i = 0; i < central_class_count; i++)
        prepare_class(&central_classes[i], look_begins);
}

void holes_flush_transit(void) {
    prepare_classes(false);
}

/* The next part of the look; in its turn. */
static void go_on(struct part *part) {
    while (part->units > 0 && part->calls > 0) {
        if (!visit_region(part, &regions[look.region], &look.unit))
            return;
        look.unit = 0;
        if (++look.region >= region_count) {
            look.region = 0;
            return;
        }
    }
}

READS_OTHERS static bool is_at_start(void) {
    return look.region == 0 && look.unit == 0;
}

static void tick(uint64_t now) {
    bool at_start = is_at_start();
    if (look.began_at == 0) /* the heap has just become large enough: a program that ends soon never looks */
        look.began_at = now;
    if (at_start && now - look.began_at < decay_period_ms())
        return;
    if (at_start) {
        look.began_at = now;
        look.found = false;
        prepare_classes(true);
    }
    struct part part = {.units = TICK_UNITS, .calls = TICK_CALLS};
    go_on(&part);
    look.found = look.found || part.found;
    atomic_store_explicit(&holes_wait, look.found || !is_at_start(), memory_order_relaxed);
}

READS_OTHERS uint64_t holes_due(void) {
    uint64_t next = atomic_load_explicit(&look.ticked_at, memory_order_relaxed) + TICK_MS;
    uint64_t began = look.began_at != 0 && is_at_start() ? look.began_at + decay_period_ms() : 0;
    return !holes_may_be() || tunables_trim_never() ? UINT64_MAX : began > next ? began : next;
}

void holes_look_slow(uint64_t now) {
    if (now - atomic_load_explicit(&look.ticked_at, memory_order_relaxed) < TICK_MS || !turn_try(&look.turn))
        return;
    atomic_store_explicit(&look.ticked_at, now, memory_order_relaxed);
    if (!tunables_trim_never())
        tick(now);
    turn_end(&look.turn);
}

static void forked(void) {
    turn_forked(&look.turn);
}

const struct lock_set holes_locks = {.rank = LOCK_NONE, .forked = forked};
