/* SPDX-License-Identifier: MIT */
#include "observe/stats.h"

#include "kit/budget.h"
#include "kit/modes.h"
#include "heap/aside.h"
#include "heap/cache.h"
#include "heap/cache_large.h"
#include "heap/central.h"
#include "heap/collapse.h"
#include "heap/mapped.h"
#include "heap/region.h"
#include "heap/slab.h"
#include "heap/span.h"
#include "protect/protections.h"

READS_OTHERS static void add_cache(const struct cache *cache, void *data) {
    struct stats *stats = data;
    stats->threads++;
    for (unsigned c = 1; c < CLASS_COUNT; c++)
        stats->classes[c].cached += cache_length(cache, c);
    stats->kept += __atomic_load_n(&cache->slow->large.units, __ATOMIC_RELAXED) << UNIT_SHIFT;
    stats->kept_blocks += large_count(&cache->slow->large);
}

/* What threads' lists hold is known already. */
static void add_class(struct stats *stats, unsigned class) {
    struct central_totals totals;
    central_count(class, &totals);
    size_t size = class_bytes(class), all = totals.blocks;
    struct stats_class *blocks = &stats->classes[class];
    size_t listed = blocks->cached;
    blocks->home = min_size(totals.home, all);
    blocks->cached = min_size(blocks->cached + totals.parked, all - blocks->home);
    blocks->live = all - blocks->home - blocks->cached;
    stats->live += blocks->live * size;
    stats->live_blocks += blocks->live;
    stats->cached += blocks->cached * size;
    blocks->listed = min_size(listed, blocks->cached);
    stats->listed += blocks->listed * size;
    stats->cached_blocks += blocks->cached;
    stats->home += blocks->home * size;
    stats->home_blocks += blocks->home;
    stats->home_returned += min_size(totals.returned, blocks->home * size);
    stats->tails += totals.tails;
}

static void add_heap(struct stats *stats) {
    struct region_totals held;
    struct span_totals spans;
    span_count(&spans, &held, &stats->unused, &stats->top);
    stats->heap = held.heap;
    stats->heap_peak = held.heap_peak;
    stats->free_spans = spans.free << UNIT_SHIFT;
    stats->free_span_count = spans.free_count;
    stats->free_dirty = spans.free_dirty << UNIT_SHIFT;
    stats->large = spans.large << UNIT_SHIFT;
    stats->large_count = spans.large_count;
    stats->huge_made = collapse_count();
    stats->metadata = held.own + budget_own();
}

static void add_guarded(struct stats *stats) {
    struct protection_totals guarded;
    protections_count(MODE_GUARDED, &guarded);
    stats->guarded = guarded.bytes;
    stats->guarded_count = guarded.blocks;
    stats->samples = guarded.samples;
    stats->live += guarded.bytes;
    stats->live_blocks += guarded.blocks;
    stats->metadata += guarded.taken - guarded.bytes;
}

/* Hardened blocks lie in no span. mallinfo and malloc_info know one heap, so hardened pages are counted in `heap`. */
static void add_hardened(struct stats *stats) {
    struct protection_totals totals;
    protections_count(MODE_HARDENED, &totals);
    stats->hardened = totals.bytes;
    stats->hardened_count = totals.blocks;
    stats->around = totals.taken - totals.bytes;
    stats->heap += totals.taken;
    stats->heap_peak += totals.taken;
    stats->live += totals.bytes;
    stats->live_blocks += totals.blocks;
}

/* Large blocks that threads keep are free, as those on their lists. */
static void add_kept(struct stats *stats) {
    stats->kept = min_size(stats->kept, stats->large);
    stats->kept_blocks = min_size(stats->kept_blocks, stats->large_count);
    stats->large -= stats->kept;
    stats->large_count -= stats->kept_blocks;
    stats->cached += stats->kept;
    stats->listed += stats->kept;
    stats->cached_blocks += stats->kept_blocks;
}

/* Slabs are LARGE spans: what of them is in no block is as free as a span's tail. */
static void add_slabs(struct stats *stats) {
    struct slab_totals slabs;
    slab_count(&slabs);
    stats->large -= min_size(slabs.slabs * UNIT, stats->large);
    stats->large_count -= min_size(slabs.slabs, stats->large_count);
    stats->live += slabs.bytes;
    stats->live_blocks += slabs.blocks;
    stats->tails += slabs.slabs * UNIT - slabs.bytes;
}

void stats_read(struct stats *stats) {
    *stats = (struct stats){0};
    if (aside_is_on()) /* the structures may be half changed */
        return;
    cache_each(add_cache, stats);
    for (unsigned c = 1; c < CLASS_COUNT; c++)
        add_class(stats, c);
    add_heap(stats);
    add_slabs(stats);
    add_kept(stats);
    add_guarded(stats);
    add_hardened(stats);
    struct mapped_totals mapped;
    mapped_count(&mapped);
    stats->mapped = mapped.bytes;
    stats->mapped_count = mapped.count;
    stats->mapped_peak = mapped.bytes_peak;
    stats->mapped_count_peak = mapped.count_peak;
    stats->live += stats->large + stats->mapped;
    stats->live_blocks += stats->large_count + stats->mapped_count;
    stats->parked = stats->cached - stats->listed;
    stats->free = stats->home + stats->free_spans + stats->tails + stats->unused + stats->around;
    stats->taken = budget_taken();
    stats->peak = budget_peak();
    stats->limit = budget_limit();
}
