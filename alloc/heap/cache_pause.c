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

/* An emptied class is paused as long as time pays for its calls, so many a ms; one takes some 25 ns more than a fast one, so
 * that is half a hundredth of the time. */
#define CREDIT_A_MS 200
#define CREDIT_MOST (1000 * CREDIT_A_MS) /* what can be saved */
#define FREES_A_CREDIT 4                 /* a free looks at the clock at each fourth call, and takes less */
#define USED_PART 12                     /* emptied: no more than such a part is in use; */
#define USED_PART_LAST 64                /* ... but a part of what is saved is kept for when it is no more than that, */
#define USED_PART_RESERVE 256            /* and of that a part for when it is even less */
#define KEPT_PART 4
#define EMPTIED_PERIODS 3                /* until what was freed last has been given back */

/* Whether a paused class is so because it was emptied. */
static bool is_emptied(const struct cache_slow *slow, unsigned class) {
    return slow->pause_left[class] == PAUSE_EMPTIED;
}

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
    if (is_emptied(slow, class))
        return slow->credit <= slow->emptied_floor || slow->credit_at >= slow->emptied_until ||
               !(decay_is_worth_it() || holes_may_be());
    return !(decay_has_work() || holes_wait) || --slow->pause_left[class] == 0;
}

static void pay(struct cache_slow *slow) {
    slow->credit -= slow->credit > 0;
}

struct block *pause_take_slow(struct cache *cache, struct bin *bin, unsigned class) {
    bool emptied = is_emptied(cache->slow, class);
    struct block *chain = bin_take_spare(cache, class);
    size_t length = cache->slow->spare_length[class];
    if (chain == NULL && emptied)
        chain = central_take(class, bin->refill_most, &length);
    if (chain == NULL) {
        end(cache, bin, class, NULL, 0);
        return NULL;
    }
    cache->slow->calls_to_look = 0;
    if (emptied)
        pay(cache->slow);
    mark_check_link(chain, chain->next, class);
    if (ends(cache, class)) {
        end(cache, bin, class, chain->next, length - 1);
        return chain;
    }
    if (length > 1)
        bin_put_spare(cache, class, chain->next, length - 1);
    ORDERED();
    bin_put(bin, NULL, 0, 0);
    return chain;
}

void pause_give_slow(struct cache *cache, struct bin *bin, struct block *block, unsigned class) {
    struct block *chain = bin_take_spare(cache, class);
    size_t length = chain != NULL ? cache->slow->spare_length[class] + 1u : 1;
    bool emptied = is_emptied(cache->slow, class), full = length > cache->slow->earned_limit[class];
    if (emptied && length % FREES_A_CREDIT == 0)
        pay(cache->slow);
    block->next = chain;
    ORDERED();
    if (ends(cache, class) || (full && !emptied)) {
        end(cache, bin, class, block, length);
        return;
    }
    if (full)
        block->next = NULL;
    bin_put_spare(cache, class, block, full ? 1 : length);
    bin_put(bin, NULL, 0, 0);
    if (full && chain != NULL)
        central_give(class, chain, length - 1);
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
    uint32_t kept = slow->credit_kept, reserve = kept / KEPT_PART;
    if (slow->credit == 0 || class >= FAST_CLASSES || !(decay_is_worth_it() || holes_may_be()))
        return;
    uint32_t floor = slow->credit > kept ? kept : slow->credit > reserve ? reserve : 0;
    size_t part = slow->credit > kept ? USED_PART : slow->credit > reserve ? USED_PART_LAST : USED_PART_RESERVE;
    if (!central_is_emptied(class, part))
        return;
    begin(cache, class, PAUSE_EMPTIED);
    slow->emptied_floor = floor;
    slow->emptied_until = slow->credit_at + EMPTIED_PERIODS * decay_period_ms();
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
