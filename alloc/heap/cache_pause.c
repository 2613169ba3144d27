/* SPDX-License-Identifier: MIT */
#include "heap/cache_pause.h"

#include <string.h>

#include "heap/central.h"
#include "heap/decay.h"
#include "heap/holes.h"
#include "heap/mark.h"
#include "heap/cache_growth.h"

#define PAUSE_EACH_MS 20 /* pausing walks over the lists, some 1000 blocks */
#define PAUSE_CALLS 16

/* Of an emptied class: this part of what is saved, so that something is left for the last of many frees. Calls are paid by
 * time, so many a ms; one takes some 25 ns more than a fast one, so that is half a hundredth of the time. */
#define EMPTIED_PART 64
#define EMPTIED_MOST 64
#define CREDIT_A_MS 200
#define CREDIT_MOST (1000 * CREDIT_A_MS) /* what can be saved */
#define USED_PART 12                     /* emptied: no more than such a part is in use; */
#define USED_PART_LAST 64                /* ... but a part of what is saved is kept for when it is no more than that */
#define KEPT_PART 4

/* The class goes on with a list. */
static void end(struct cache *cache, struct bin *bin, unsigned class, struct block *list, size_t length) {
    cache->slow->pause_left[class] = 0;
    bin_put(bin, list, length, max_size(cache->slow->earned_limit[class], length));
}

/* Whether this call is to be the paused class's last slow one. The thread comes by at each. */
static bool ends(struct cache *cache, unsigned class) {
    struct cache_slow *slow = cache->slow;
    uint64_t *word = &slow->pause_called[class / 64], bit = (uint64_t)1 << class % 64;
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
    cache->slow->calls_to_look = 0;
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
    cache->slow->credit -= cache->slow->credit > 0;
    ORDERED();
    if (ends(cache, class) || length > cache->slow->earned_limit[class]) {
        end(cache, bin, class, block, length);
        return;
    }
    bin_put_spare(cache, class, block, length);
    bin_put(bin, NULL, 0, 0);
}

/* The list, which is not empty, waits as the spare chain; the spare chain that is there goes. */
static void begin(struct cache *cache, unsigned class, uint8_t calls) {
    struct bin *bin = bin_of(cache, class);
    size_t held;
    growth_give_spare(cache, class);
    struct block *list = bin_take(bin, &held);
    if (list != NULL)
        bin_put_spare(cache, class, list, mark_chain_length(list, class));
    ORDERED();
    bin_put(bin, NULL, 0, list != NULL ? 0 : bin->limit);
    if (list != NULL)
        cache->slow->pause_left[class] = calls;
}

static void save_credit(struct cache_slow *slow, uint64_t now) {
    uint64_t ms = slow->credit_at != 0 ? now - slow->credit_at : 0;
    slow->credit_at = now;
    if (ms != 0) {
        slow->credit = (uint32_t)min_size(slow->credit + ms * CREDIT_A_MS, CREDIT_MOST);
        slow->credit_kept = slow->credit / KEPT_PART;
    }
}

void pause_emptied(struct cache *cache, unsigned class) {
    struct cache_slow *slow = cache->slow;
    if (slow->credit == 0 || class >= FAST_CLASSES || !(decay_is_worth_it() || holes_may_be()))
        return;
    if (central_is_emptied(class, slow->credit > slow->credit_kept ? USED_PART : USED_PART_LAST))
        begin(cache, class, (uint8_t)min_size(slow->credit / EMPTIED_PART + 1, EMPTIED_MOST));
}

void pause_now_and_then(struct cache *cache, uint64_t now) {
    struct cache_slow *slow = cache->slow;
    save_credit(slow, now);
    bool due = now - slow->paused_at >= PAUSE_EACH_MS, again = slow->pause_again;
    slow->pause_again = false;
    if ((!due && !again) || !(decay_is_worth_it() || holes_wait))
        return;
    if (due) {
        slow->paused_at = now;
        memset(slow->pause_called, 0, sizeof slow->pause_called);
    }
    for (unsigned c = 1; c < FAST_CLASSES; c++)
        if (cache->bins[c].head != NULL)
            begin(cache, c, PAUSE_CALLS);
}
