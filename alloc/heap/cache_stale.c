/* SPDX-License-Identifier: MIT */
#include "heap/cache_stale.h"

#include "heap/central.h"
#include "heap/cache_large.h"
#include "heap/cache_growth.h"

#define LISTS_A_LOOK 4 /* a turn of all 41 takes some 40 slow calls, four from one look to the next (cache.c) */
#define CLASS_LEAST (CLASS_COUNT - STALE_CLASSES)

/* Says which list the bin has: the same one says the same. 0: none. */
static uint32_t list_says(const struct bin *bin) {
    return bin->head != NULL ? (uint32_t)((uintptr_t)bin->head / BLOCK_ALIGN * 31) + (uint32_t)bin->count : 0;
}

static void send_home(struct cache *cache, struct bin *bin, unsigned class) {
    size_t held;
    growth_give_spare(cache, class);
    growth_end_window(cache, class);
    struct block *list = bin_take(bin, &held);
    bin_put(bin, NULL, 0, cache->slow->earned_limit[class]);
    ORDERED();
    if (list != NULL)
        central_give_home(class, list);
}

static unsigned next_class(unsigned class) {
    return class < CLASS_LEAST || class == CLASS_COUNT - 1 ? CLASS_LEAST : class + 1;
}

void stale_look(struct cache *cache) {
    struct cache_slow *slow = cache->slow;
    for (int i = 0; i < LISTS_A_LOOK; i++) {
        unsigned class = slow->last_looked_at = next_class(slow->last_looked_at);
        if (class == CLASS_LEAST)
            large_look(&slow->large);
        struct bin *bin = bin_of(cache, class);
        uint32_t says = list_says(bin);
        bool stale = says != 0 && says == slow->seen[class - CLASS_LEAST] && bin->limit > 0;
        if (stale)
            send_home(cache, bin, class);
        slow->seen[class - CLASS_LEAST] = stale ? 0 : says;
    }
}
