/* SPDX-License-Identifier: MIT */
#include "heap/cache_growth.h"

#include <string.h>

#include "heap/span.h"
#include "heap/transfer.h"
#include "heap/central.h"

/* A list starts with this many bytes and asks for this many when it has run empty: a few blocks of the commonest sizes. */
#define FIRST_LIMIT_BYTES 512
#define FIRST_REFILL_BYTES 256

/* What all threads have earned together: a sixteenth of the memory in small blocks, an eighth where there are several threads,
 * whose misses cost a lock. That is the price in memory of lists longer than their start. Measured against no such bound:
 * `mixed-1000` (1000 threads) 185 -> 48 MB, `mixed-64` 34 -> 17 MB, at about the same time. An eighth instead of a sixteenth:
 * processor time of `larson-2` and `larson-8` 0.86 and 0.79, of `mixed-*` as before; memory 1.06 and 1.05, `mixed-64` 1.08. */
#define EARNED_PART 16
#define EARNED_PART_SHARED 8
#define EARNED_LEAST (16 * KIB) /* ... but each thread may earn so much however little memory there is, */
#define EARNED_SHARED (512 * KIB) /* where there are several this, shared out: few threads pass long chains to each other; */
#define EARNED_MOST (4 * MIB) /* and no thread more than this */

/* A spare chain has at most a thirty-second of what its thread may earn: there may be one for each class, and a program uses
 * some tens of classes. Or its thread's share of 64 KiB, if that is more: few threads pass chains to each other. */
#define SPARE_PART 32
#define SPARE_SHARED (64 * KIB)
#define SPARE_MOST (16 * KIB)

#define SHRINK_TRIES 8 /* classes looked at, in turn, for one that has earned something: a bound on the time of a slow call */

/* Windows: what they may have in all, shared out among the threads; the longest; of blocks of which size on: smaller ones move
 * by tens, and a pair of a hundred costs few instructions anyway.
 * They are given up when small spans have grown by a part since the last time, or by so many units. */
#define WINDOW_MOST (1 * MIB)
#define WINDOW_BLOCKS 1024
#define WINDOW_FROM 512
#define GIVEN_UP_PART 32
#define GIVEN_UP_UNITS 8

size_t growth_first_limit(unsigned class) {
    return min_size(max_size(FIRST_LIMIT_BYTES / class_bytes(class), 1), class_batch(class));
}

void growth_begin(struct cache *cache) {
    for (unsigned c = 1; c < CLASS_COUNT; c++) {
        struct bin *bin = bin_of(cache, c);
        cache->slow->earned_limit[c] = (uint16_t)growth_first_limit(c);
        bin->refill_most = (uint16_t)max_size(FIRST_REFILL_BYTES / class_bytes(c), 1);
        bin->count = bin->limit = 0; /* K1: until the class is used */
    }
    cache->slow->earned_bytes = cache->slow->window_bytes = 0;
    memset(cache->slow->pause_left, 0, sizeof cache->slow->pause_left);
}

void growth_end(struct cache *cache) {
    for (unsigned c = 1; c < CLASS_COUNT; c++) {
        struct bin *bin = bin_of(cache, c);
        bin->count = bin->limit = 0;
    }
}

/* A thread's part of what all share. Every overflow asks: a division of 32 bits takes half as long as one of 64, and where
 * there is one thread there is none. */
static inline size_t part_of(uint32_t shared, uint32_t threads) {
    return threads > 1 ? shared / threads : shared;
}

/* Bytes by which all limits of a thread may be above their start. */
static size_t earned_most(uint32_t threads) {
    size_t each = UNIT / (threads > 1 ? EARNED_PART_SHARED : EARNED_PART);
    size_t share = part_of((uint32_t)span_totals.small, threads) * each;
    size_t least = threads > 1 ? max_size(part_of(EARNED_SHARED, threads), EARNED_LEAST) : EARNED_LEAST;
    return min_size(max_size(share, least), EARNED_MOST);
}

size_t growth_spare_most(void) {
    uint32_t threads = (uint32_t)transfer_threads;
    return min_size(max_size(earned_most(threads) / SPARE_PART, part_of(SPARE_SHARED, threads)), SPARE_MOST);
}

void growth_give_spare(struct cache *cache, unsigned class) {
    struct block *spare = bin_take_spare(cache, class);
    if (spare != NULL)
        central_give(class, spare, cache->slow->spare_length[class]);
}

/* Blocks of a list that are more than a batch. */
static size_t window_part(size_t blocks, unsigned class) {
    size_t batch = class_batch(class);
    return blocks > batch ? blocks - batch : 0;
}

/* K4; the class has no window afterwards. */
static void set_earned(struct cache *cache, unsigned class, size_t blocks) {
    size_t old = cache->slow->earned_limit[class], size = class_bytes(class);
    cache->slow->earned_bytes += (blocks - old) * size;
    if (UNLIKELY(cache->slow->window_bytes > 0))
        cache->slow->window_bytes -= window_part(old, class) * size;
    cache->slow->earned_limit[class] = (uint16_t)blocks;
}

/* The same for more than a batch. */
static void set_window(struct cache *cache, unsigned class, size_t blocks) {
    set_earned(cache, class, blocks);
    cache->slow->window_bytes += window_part(blocks, class) * class_bytes(class);
}

void growth_fall(struct cache *cache, unsigned class) {
    set_earned(cache, class, growth_first_limit(class));
    growth_give_spare(cache, class);
}

/* The next class, in turn, that has earned something falls back to its first limit, so that lists which are no longer used do
 * not hold on to what others need. Its blocks leave when its list is next full. */
static void shrink_another(struct cache *cache, unsigned wants) {
    for (int tries = 0; tries < SHRINK_TRIES; tries++) {
        unsigned class = cache->slow->last_shrunk = cache->slow->last_shrunk % (CLASS_COUNT - 1) + 1;
        if (class == wants || cache->slow->earned_limit[class] <= growth_first_limit(class))
            continue;
        growth_fall(cache, class);
        return;
    }
}

/* What lists have earned beside windows. */
static size_t earned_plainly(const struct cache *cache) {
    return cache->slow->earned_bytes - cache->slow->window_bytes;
}

static void earn_window(struct cache *cache, unsigned class) {
    size_t old = cache->slow->earned_limit[class], longer = min_size(old * 2, WINDOW_BLOCKS);
    size_t most = part_of(WINDOW_MOST, (uint32_t)transfer_threads);
    if (longer > old && cache->slow->window_bytes + (longer - old) * class_bytes(class) <= most)
        set_window(cache, class, longer);
}

void growth_earn(struct cache *cache, unsigned class) {
    size_t old = cache->slow->earned_limit[class], longer = min_size(old * 2, class_batch(class));
    if (longer <= old) {
        if (growth_swings(cache, class))
            earn_window(cache, class);
        return;
    }
    size_t more = (longer - old) * class_bytes(class), most = earned_most((uint32_t)transfer_threads);
    if (earned_plainly(cache) + more > most)
        shrink_another(cache, class);
    if (earned_plainly(cache) + more <= most)
        set_earned(cache, class, longer);
}

void growth_end_window(struct cache *cache, unsigned class) {
    cache->slow->swings[class] = 0;
    if (cache->slow->earned_limit[class] > class_batch(class))
        set_earned(cache, class, class_batch(class));
}

/* Small blocks have more memory than ever before: what waits in windows could have served instead. */
static COLD void give_up_windows_slow(struct cache *cache) {
    for (unsigned c = 1; c < CLASS_COUNT; c++) {
        size_t held;
        if (cache->slow->earned_limit[c] <= class_batch(c))
            continue;
        growth_end_window(cache, c);
        struct bin *bin = bin_of(cache, c);
        struct block *list = bin_take(bin, &held);
        bin_put(bin, NULL, 0, cache->slow->earned_limit[c]);
        ORDERED();
        if (list != NULL)
            central_give_home(c, list);
    }
}

void growth_wanted_slow(struct cache *cache, unsigned class) {
    struct cache_slow *slow = cache->slow;
    size_t small = span_totals.small;
    if (slow->sent_away[class]) {
        slow->sent_away[class] = false;
        if (slow->swings[class] < SWINGS_LEAST && class_bytes(class) >= WINDOW_FROM)
            slow->swings[class]++;
    }
    if (small <= slow->small_seen)
        return;
    slow->small_seen = small + max_size(small / GIVEN_UP_PART, GIVEN_UP_UNITS);
    if (slow->window_bytes > 0)
        give_up_windows_slow(cache);
}

bool growth_is_counted(const struct cache *cache) {
    size_t earned = 0, window = 0;
    for (unsigned c = 1; c < CLASS_COUNT; c++) {
        earned += (cache->slow->earned_limit[c] - growth_first_limit(c)) * class_bytes(c);
        window += window_part(cache->slow->earned_limit[c], c) * class_bytes(c);
    }
    return earned == cache->slow->earned_bytes && window == cache->slow->window_bytes;
}
