/* SPDX-License-Identifier: MIT */
#include "heap/cache.h"

#include "kit/report.h"
#include "heap/span.h"
#include "heap/cache_growth.h"
#include "heap/cache_large.h"

static size_t length(const struct bin *bin) {
    return (size_t)(bin->count + bin->limit);
}

void cache_each_own_chain(unsigned class, void (*see)(const void *chain, size_t most, void *data), void *data) {
    if (cache_self.state != CACHE_OPEN)
        return;
    see(bin_of(&cache_self, class)->head, length(bin_of(&cache_self, class)), data);
    see(cache_self.slow->spare[class], cache_self.slow->spare_length[class], data);
}

static void see_plain(const struct cache *cache, void *any) {
    *(bool *)any |= __atomic_load_n(&cache->lists, __ATOMIC_RELAXED) == LISTS_PLAIN;
}

bool cache_any_plain(void) {
    bool any = false;
    cache_each(see_plain, &any);
    return any;
}

/* K1, K2, K4, K5 and K7 of this thread's cache. Those of others change at any time: fast paths take no lock. */
static void walk_own(struct walk *walk, const struct cache *cache) {
    for (unsigned c = 1; c < CLASS_COUNT; c++) {
        const struct bin *bin = bin_of(cache, c);
        const struct block *spare = cache->slow->spare[c];
        size_t most = cache->lists == LISTS_COUNTED ? length(bin) : (size_t)bin->limit + 1;
        report_walk(walk, span_chain_length(bin->head, c, most) == length(bin), "cache K1", bin);
        size_t most_spare = cache->slow->spare_length[c];
        report_walk(walk, spare == NULL || span_chain_length(spare, c, most_spare) == most_spare, "cache K2",
                    &cache->slow->spare[c]);
        bool empty = bin->head == NULL && bin->limit == 0 && spare == NULL;
        report_walk(walk, cache->lists != LISTS_OFF || empty, "cache K5", bin);
    }
    bool none = cache->lists == LISTS_PLAIN || cache->slow->large.units == 0;
    report_walk(walk, large_is_right(&cache->slow->large), "cache K7", &cache->slow->large);
    report_walk(walk, none, "cache K5", &cache->slow->large);
    report_walk(walk, growth_is_counted(cache), "cache K4", &cache->slow->earned_bytes);
}

/* K1 of a cache that is not OPEN: nothing is kept. */
static void walk_shut(struct walk *walk, const struct cache *cache) {
    for (unsigned c = 1; c < FAST_CLASSES; c++) {
        const struct bin *bin = &cache->bins[c];
        report_walk(walk, bin->head == NULL && bin->count == 0 && bin->limit == 0, "cache K1", bin);
    }
}

struct chain_of_caches {
    struct walk *walk;
    const struct cache *before;
};

static void walk_other(const struct cache *cache, void *data) {
    struct chain_of_caches *chain = data;
    report_walk(chain->walk, cache->bins[0].head == NULL, "cache K3", cache);
    report_walk(chain->walk, cache->slow->prev == chain->before && cache->state == CACHE_OPEN, "cache K6", cache);
    chain->before = cache;
}

void cache_walk(struct walk *walk) {
    struct chain_of_caches chain = {walk, NULL};
    if (cache_self.state == CACHE_OPEN)
        walk_own(walk, &cache_self);
    else
        walk_shut(walk, &cache_self);
    cache_each(walk_other, &chain);
}
