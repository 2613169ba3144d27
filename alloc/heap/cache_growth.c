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
    cache->slow->earned_bytes = 0;
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

void growth_fall(struct cache *cache, unsigned class) {
    size_t first = growth_first_limit(class);
    cache->slow->earned_bytes -= (cache->slow->earned_limit[class] - first) * class_bytes(class);
    cache->slow->earned_limit[class] = (uint16_t)first;
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

void growth_earn(struct cache *cache, unsigned class) {
    size_t old = cache->slow->earned_limit[class], longer = min_size(old * 2, class_batch(class));
    size_t more = (longer - old) * class_bytes(class);
    if (more == 0)
        return;
    size_t most = earned_most((uint32_t)transfer_threads);
    if (cache->slow->earned_bytes + more > most)
        shrink_another(cache, class);
    if (cache->slow->earned_bytes + more > most)
        return;
    cache->slow->earned_bytes += more;
    cache->slow->earned_limit[class] = (uint16_t)longer;
}

size_t growth_count_earned(const struct cache *cache) {
    size_t bytes = 0;
    for (unsigned c = 1; c < CLASS_COUNT; c++)
        bytes += (cache->slow->earned_limit[c] - growth_first_limit(c)) * class_bytes(c);
    return bytes;
}
