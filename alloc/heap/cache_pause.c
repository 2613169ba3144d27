/* SPDX-License-Identifier: MIT */
#include "heap/cache_pause.h"

#include <string.h>

#include "heap/decay.h"
#include "heap/holes.h"
#include "heap/mark.h"
#include "heap/cache_growth.h"

#define PAUSE_EACH_MS 20 /* pausing walks over the lists, some 1000 blocks */
#define PAUSE_CALLS 16

/* The class goes on with a list. */
static void end(struct cache *cache, struct bin *bin, unsigned class, struct block *list, size_t length) {
    cache->slow->pause_left[class] = 0;
    bin_put(bin, list, length, max_size(cache->slow->earned_limit[class], length));
}

/* Whether this call is to be the paused class's last slow one. The thread comes by at each. */
static bool ends(struct cache *cache, unsigned class) {
    struct cache_slow *slow = cache->slow;
    uint64_t *word = &slow->pause_called[class / 64], bit = (uint64_t)1 << class % 64;
    slow->calls_to_look = 0;
    slow->pause_again = slow->pause_again || (*word & bit) == 0;
    *word |= bit;
    return !(decay_has_work() || holes_wait) || --slow->pause_left[class] == 0;
}

struct block *pause_take_slow(struct cache *cache, struct bin *bin, unsigned class) {
    struct block *chain = bin_take_spare(cache, class);
    if (chain == NULL) {
        end(cache, bin, class, NULL, 0);
        return NULL;
    }
    size_t left = cache->slow->spare_length[class] - 1u;
    mark_check_link(chain, chain->next, class);
    if (ends(cache, class)) {
        end(cache, bin, class, chain->next, left);
        return chain;
    }
    if (left > 0)
        bin_put_spare(cache, class, chain->next, left);
    ORDERED();
    bin_put(bin, NULL, 0, 0);
    return chain;
}

void pause_give_slow(struct cache *cache, struct bin *bin, struct block *block, unsigned class) {
    struct block *chain = bin_take_spare(cache, class);
    size_t length = chain != NULL ? cache->slow->spare_length[class] + 1u : 1;
    block->next = chain;
    ORDERED();
    if (ends(cache, class) || length > cache->slow->earned_limit[class]) {
        end(cache, bin, class, block, length);
        return;
    }
    bin_put_spare(cache, class, block, length);
    bin_put(bin, NULL, 0, 0);
}

/* The spare chain that is there goes, to make room for the list. */
static void begin(struct cache *cache, unsigned class) {
    struct bin *bin = bin_of(cache, class);
    size_t held;
    if (bin->head == NULL)
        return;
    growth_give_spare(cache, class);
    struct block *list = bin_take(bin, &held);
    if (list != NULL)
        bin_put_spare(cache, class, list, mark_chain_length(list, class));
    ORDERED();
    bin_put(bin, NULL, 0, list != NULL ? 0 : bin->limit);
    if (list != NULL)
        cache->slow->pause_left[class] = PAUSE_CALLS;
}

void pause_now_and_then(struct cache *cache, uint64_t now) {
    struct cache_slow *slow = cache->slow;
    bool due = now - slow->paused_at >= PAUSE_EACH_MS, again = slow->pause_again;
    slow->pause_again = false;
    if ((!due && !again) || !(decay_is_worth_it() || holes_wait))
        return;
    if (due) {
        slow->paused_at = now;
        memset(slow->pause_called, 0, sizeof slow->pause_called);
    }
    for (unsigned c = 1; c < FAST_CLASSES; c++)
        begin(cache, c);
}
