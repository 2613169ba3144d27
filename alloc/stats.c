/* SPDX-License-Identifier: MIT */
#include "stats.h"

#include "cache.h"
#include "central.h"
#include "large.h"
#include "region.h"
#include "sizeclass.h"
#include "span.h"

struct held {
    size_t blocks[CLASS_COUNT];
};

static void add_cache(const struct cache *cache, void *data) {
    struct held *held = data;
    for (unsigned c = 1; c < CLASS_COUNT; c++)
        held->blocks[c] += cache_length(cache, c);
}

static void add_class(struct stats *stats, unsigned class, size_t listed) {
    struct central_totals totals;
    central_count(class, &totals);
    size_t size = class_bytes(class), span = class_units(class) * UNIT;
    size_t cached = listed + totals.parked, all = totals.spans * (span / size);
    size_t used = all - totals.home;
    size_t live = used > cached ? used - cached : 0;
    stats->live += live * size;
    stats->live_blocks += live;
    stats->cached += cached * size;
    stats->home += totals.home * size;
    stats->overhead += totals.spans * (span % size);
}

void stats_read(struct stats *stats) {
    struct held held = {{0}};
    cache_each(add_cache, &held);
    *stats = (struct stats){0};
    for (unsigned c = 1; c < CLASS_COUNT; c++)
        add_class(stats, c, held.blocks[c]);
    for (unsigned i = 0; i < region_count; i++) {
        stats->heap += regions[i].mapped << UNIT_SHIFT;
        stats->free += (regions[i].mapped - regions[i].frontier) << UNIT_SHIFT;
    }
    stats->top = (regions[0].mapped - regions[0].frontier) << UNIT_SHIFT;
    struct span_totals spans = span_totals;
    stats->free += spans.free << UNIT_SHIFT;
    stats->free_dirty = spans.free_dirty << UNIT_SHIFT;
    stats->mapped = large_totals.bytes;
    stats->mapped_count = large_totals.count;
    stats->live += (spans.large << UNIT_SHIFT) + stats->mapped;
    stats->live_blocks += spans.large_count + stats->mapped_count;
    stats->taken = stats->heap + stats->mapped;
}
