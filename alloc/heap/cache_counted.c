/* SPDX-License-Identifier: MIT */
#include "heap/cache_counted.h"

#include <string.h>

#include "base/exponential.h"
#include "os/os.h"
#include "kit/report.h"
#include "heap/cache_growth.h"
#include "heap/central.h"
#include "heap/region.h"

#define CERTAIN 16 /* mean intervals: 1 - exp(-16) is 1 - 1e-7, and one of so many bytes is always taken */

/* What a thread counts with. */
struct counted {
    uint64_t random;
    uint32_t epoch;               /* that of the plan by which the rest was drawn */
    size_t interval;
    size_t bytes_left;            /* of blocks without a list: until the next sampled byte, itself included; 0: to be drawn */
    uint32_t left[FAST_CLASSES];  /* the same in allocations of a class, those in its bin counted already */
};

static struct {
    _Atomic size_t interval;
    _Atomic uint64_t seed;
    _Atomic uint32_t epoch, threads; /* changes of the plan; threads that have begun to count since the last */
} plan = {.interval = 1};

void cache_counted_plan(size_t interval, uint64_t seed) {
    atomic_store(&plan.interval, interval);
    atomic_store(&plan.seed, seed);
    atomic_store(&plan.threads, 0);
    atomic_fetch_add(&plan.epoch, 1);
}

void cache_counted_forked(void) {
    if (atomic_load(&plan.epoch) == 0)
        return;
    atomic_store(&plan.seed, exponential_seed(plan.seed, (uint64_t)os_process_id()));
    atomic_fetch_add(&plan.epoch, 1);
}

/* Draws anew by the plan as it is. */
static void renew(struct counted *counted) {
    uint32_t epoch = atomic_load(&plan.epoch);
    *counted = (struct counted){.epoch = epoch, .interval = atomic_load(&plan.interval)};
    counted->random = exponential_seed(atomic_load(&plan.seed), atomic_fetch_add(&plan.threads, 1));
}

bool cache_counted_begin(void) {
    struct cache_slow *slow = cache_self.slow;
    if (slow->counted == NULL)
        slow->counted = region_meta(sizeof *slow->counted);
    if (slow->counted != NULL)
        renew(slow->counted);
    return slow->counted != NULL;
}

/* What this thread counts with; NULL if it has no cache, or if memory is refused. */
static struct counted *own(void) {
    if (cache_self.state != CACHE_OPEN || (cache_self.slow->counted == NULL && !cache_counted_begin()))
        return NULL;
    struct counted *counted = cache_self.slow->counted;
    if (UNLIKELY(counted->epoch != atomic_load_explicit(&plan.epoch, memory_order_relaxed)))
        renew(counted);
    return counted;
}

/* How many pieces of `size` bytes it takes until one has a sampled byte, 1 or more. */
static size_t draw(struct counted *counted, size_t size, size_t most) {
    if (size / CERTAIN >= counted->interval)
        return 1;
    double pieces = exponential_draw(exponential_random(&counted->random)) * (double)counted->interval / (double)size;
    return pieces < (double)most ? (size_t)pieces + 1 : most;
}

static uint64_t weight(const struct counted *counted, size_t size) {
    if (size / CERTAIN >= counted->interval)
        return COUNTED_ONE;
    return (uint64_t)((double)COUNTED_ONE / exponential_chance((double)size / (double)counted->interval) + 0.5);
}

/* In counted lists those that are no sample are counted where they are taken. */
static bool class_is_due(struct counted *counted, unsigned class) {
    if (counted->left[class] == 0)
        counted->left[class] = (uint32_t)draw(counted, class_bytes(class), UINT32_MAX);
    if (counted->left[class] > 1) {
        counted->left[class] -= !cache_is_counted();
        return false;
    }
    counted->left[class] = 0;
    return true;
}

static bool bytes_are_due(struct counted *counted, size_t bytes) {
    if (bytes / CERTAIN >= counted->interval)
        return true;
    if (counted->bytes_left == 0)
        counted->bytes_left = draw(counted, 1, SIZE_LIMIT);
    bool due = counted->bytes_left <= bytes;
    counted->bytes_left = due ? 0 : counted->bytes_left - bytes;
    return due;
}

uint64_t cache_counted_due(unsigned class, size_t bytes) {
    struct counted *counted = own();
    if (counted == NULL)
        return 0;
    bool due = class != 0 ? class_is_due(counted, class) : bytes_are_due(counted, bytes);
    return UNLIKELY(due) ? weight(counted, class != 0 ? class_bytes(class) : bytes) : 0;
}

/* ---- the lists --------------------------------------------------------------------------------------------------- */

/* Takes one block of the spare chain, and with it the whole chain into the bin, if no sample is among them. */
static struct block *take(struct cache *cache, unsigned class) {
    struct cache_slow *slow = cache->slow;
    uint32_t left = slow->counted->left[class], length = slow->spare_length[class];
    struct block *chain = slow->spare[class];
    if (chain == NULL || left < 2)
        return NULL;
    mark_check_link(chain, chain->next, class);
    if (LIKELY(length < left) && cache->bins[class].head == NULL) {
        slow->spare[class] = NULL;
        ORDERED();
        slow->counted->left[class] = left - length;
        arch_add(&cache->bins[class].count, (int32_t)length - 1);
        cache->bins[class].head = chain->next;
    } else {
        slow->spare_length[class] = (uint16_t)(length - 1);
        slow->spare[class] = chain->next;
        slow->counted->left[class] = left - 1;
    }
    mark_clear(chain);
    return chain;
}

void *cache_counted_take(unsigned class) {
    report_enter();
    void *block = take(&cache_self, class);
    report_leave();
    return block;
}

/* A block that has been counted elsewhere, or of a class that is not. */
static void *take_any(struct cache *cache, unsigned class) {
    struct block *block = bin_take_spare(cache, class);
    if (block != NULL && block->next != NULL) {
        mark_check_link(block, block->next, class);
        bin_put_spare(cache, class, block->next, cache->slow->spare_length[class] - 1u);
    }
    return block;
}

void *cache_counted_refill(struct cache *cache, unsigned class) {
    if (cache->lists != LISTS_COUNTED || class >= FAST_CLASSES)
        return central_take_single(class);
    if (cache->slow->spare[class] == NULL) {
        size_t count;
        struct block *chain = central_take(class, cache->bins[class].refill_most, &count);
        if (chain == NULL)
            return NULL;
        growth_refilled(&cache->bins[class], class);
        bin_put_spare(cache, class, chain, count);
    }
    void *block = take(cache, class);
    return LIKELY(block != NULL) ? block : take_any(cache, class);
}

/* The chain is as long as the class has earned: it goes on as a full list does (cache.c), but that there is no second one
 * behind it, since the bin is one. */
void cache_counted_overflow(struct cache *cache, struct block *block, unsigned class) {
    if (cache->lists != LISTS_COUNTED || class >= FAST_CLASSES) {
        block->next = NULL;
        central_give_home(class, block);
        return;
    }
    struct cache_slow *slow = cache->slow;
    block->next = bin_take_spare(cache, class);
    size_t length = block->next != NULL ? slow->spare_length[class] + 1u : 1;
    mark_check_link(block, block->next, class);
    if (growth_is_cold(cache, class)) {
        slow->last_sent_home = block;
        central_give_home(class, block);
        return;
    }
    growth_earn(cache, class);
    if (length < cache_counted_most(slow, class) && class_bytes(class) * length <= growth_spare_most())
        bin_put_spare(cache, class, block, length);
    else if (central_give(class, block, length))
        growth_fall(cache, class);
}
