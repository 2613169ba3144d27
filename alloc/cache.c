/* SPDX-License-Identifier: MIT */
#include "cache.h"

#include <stdatomic.h>

#include "central.h"
#include "freelist.h"
#include "lock.h"
#include "report.h"
#include "span.h"
#include "tunables.h"

/* Lists start short, so that a program of few blocks carves few pages, and double with traffic. */
#define LIMIT_BYTES_START 1024
#define WANT_BYTES_START 256
#define SPARE_BYTES_MAX (4 * KIB) /* classes above keep no spare chain: too much memory for too few operations */

/* A fork copies this memory between any two instructions. A chain may be missing from the copy, but must not be in it
 * twice: it leaves one place before it enters the next, and the compiler must not change that. */
#define ORDERED() atomic_signal_fence(memory_order_seq_cst)

THREAD_LOCAL struct cache cache_self;

static struct lock caches_lock;
static struct cache *caches;
static _Atomic bool lists_off;
static void (*opened_hook)(void);

void cache_set_opened(void (*opened)(void)) {
    opened_hook = opened;
}

static void set_limits(struct cache *cache) {
    for (unsigned c = 1; c < CLASS_COUNT; c++) {
        struct bin *bin = &cache->bins[c];
        size_t size = class_bytes(c), batch = class_batch(c);
        bin->limit = (uint16_t)min_size(max_size(LIMIT_BYTES_START / size, 2), batch);
        bin->want = (uint16_t)max_size(WANT_BYTES_START / size, 1);
        bin->count = -(int32_t)bin->limit;
    }
}

static void clear_limits(struct cache *cache) {
    for (unsigned c = 1; c < CLASS_COUNT; c++)
        cache->bins[c].count = cache->bins[c].limit = 0;
}

static void open_cache(struct cache *cache) {
    set_limits(cache);
    lock_acquire(&caches_lock, LOCK_CACHES);
    cache->next = caches;
    cache->prev = NULL;
    if (caches != NULL)
        caches->prev = cache;
    caches = cache;
    cache->listed = true;
    lock_release(&caches_lock, LOCK_CACHES);
    cache->open = true;
    if (opened_hook != NULL)
        opened_hook();
}

static bool is_bounded(const struct cache *cache) {
    return cache->bounded || (tunables.cache_limit & tunables.tcache_count & tunables.tcache_max) != SIZE_MAX;
}

/* True while blocks may stay on the lists. */
static bool keeps(const struct cache *cache) {
    return cache->open && !cache->idle && !atomic_load_explicit(&lists_off, memory_order_relaxed);
}

/* Opens the cache, empties it or lets it fill again, as is due. */
static COLD bool settle_slow(struct cache *cache) {
    bool off = atomic_load_explicit(&lists_off, memory_order_relaxed);
    if (!cache->open && cache->listed) /* closed: its thread is ending */
        return false;
    if (!cache->open)
        open_cache(cache);
    if (off && !cache->idle) {
        cache_flush();
        clear_limits(cache);
    } else if (!off && cache->idle) {
        set_limits(cache);
        if (is_bounded(cache))
            cache_bound_now();
    }
    cache->idle = off;
    return !off;
}

static bool ensure_open(struct cache *cache) {
    return LIKELY(keeps(cache)) || settle_slow(cache);
}

void cache_set_lists(bool on) {
    atomic_store_explicit(&lists_off, !on, memory_order_relaxed);
}

void cache_settle(void) {
    ensure_open(&cache_self);
}

static size_t length(const struct bin *bin) {
    return (size_t)(bin->count + bin->limit);
}

/* Only while the list is empty or just handed on: K1 ties count to limit. */
static void set_limit(struct bin *bin, size_t limit, size_t held) {
    bin->limit = (uint16_t)limit;
    bin->count = (int32_t)held - (int32_t)limit;
}

/* Takes one block of the chain and keeps the rest as the list. */
static void *adopt_chain(struct bin *bin, struct block *chain, size_t count) {
    bin->head = chain->next;
    set_limit(bin, max_size(bin->limit, count - 1), count - 1);
    return chain;
}

void *cache_refill_slow(unsigned class) {
    struct cache *cache = &cache_self;
    if (!ensure_open(cache))
        return central_take_single(class);
    if (UNLIKELY(is_bounded(cache)))
        return cache_bound_refill_slow(cache, class);
    struct bin *bin = &cache->bins[class];
    struct block *chain = cache->spare[class];
    if (chain != NULL) {
        cache->spare[class] = NULL;
        ORDERED();
        return adopt_chain(bin, chain, chain->count);
    }
    size_t count;
    chain = central_take(class, bin->want, &count);
    if (chain == NULL)
        return NULL;
    size_t most = min_size(class_batch(class), max_size(OS_PAGE / class_bytes(class), 1));
    bin->want = (uint16_t)min_size(bin->want * 2u, most);
    return adopt_chain(bin, chain, count);
}

void cache_overflow_slow(void *block, unsigned class) {
    struct cache *cache = &cache_self;
    struct bin *bin = &cache->bins[class];
    if (!keeps(cache))
        bin->count--; /* K1: nothing was put on the list */
    if (!ensure_open(cache)) {
        ((struct block *)block)->next = NULL;
        central_give_home(class, block);
        return;
    }
    if (UNLIKELY(is_bounded(cache))) {
        cache_bound_overflow_slow(cache, block, class);
        return;
    }
    if (bin->head == NULL || bin->count < 0) { /* opened just now */
        freelist_push(&bin->head, block);
        bin->count++;
        return;
    }
    struct block *full = block, *old = cache->spare[class];
    full->next = bin->head;
    full->count = length(bin);
    bin->head = NULL;
    set_limit(bin, old ? min_size(bin->limit * 2u, class_batch(class)) : bin->limit, 0);
    ORDERED();
    if (class_bytes(class) <= SPARE_BYTES_MAX) {
        cache->spare[class] = full;
        cache->spare_length[class] = (uint16_t)full->count;
        full = old;
    }
    ORDERED();
    if (full != NULL)
        central_give(class, full, full->count);
}

void cache_flush(void) {
    struct cache *cache = &cache_self;
    for (unsigned c = 1; cache->open && c < CLASS_COUNT; c++) {
        struct bin *bin = &cache->bins[c];
        void *list = bin->head;
        struct block *spare = cache->spare[c];
        size_t held = length(bin);
        bin->head = NULL;
        set_limit(bin, bin->limit, 0);
        cache->spare[c] = NULL;
        ORDERED();
        if (list != NULL)
            central_give(c, list, held);
        if (spare != NULL)
            central_give(c, spare, spare->count);
    }
}

void cache_close(void) {
    struct cache *cache = &cache_self;
    if (!cache->open)
        return;
    cache_flush();
    lock_acquire(&caches_lock, LOCK_CACHES);
    *(cache->prev ? &cache->prev->next : &caches) = cache->next;
    if (cache->next != NULL)
        cache->next->prev = cache->prev;
    lock_release(&caches_lock, LOCK_CACHES);
    cache->open = false;
    clear_limits(cache);
}

void cache_each(void (*see)(const struct cache *cache, void *data), void *data) {
    lock_acquire(&caches_lock, LOCK_CACHES);
    for (const struct cache *cache = caches; cache != NULL; cache = cache->next)
        see(cache, data);
    lock_release(&caches_lock, LOCK_CACHES);
}

size_t cache_length(const struct cache *cache, unsigned class) {
    const struct bin *bin = &cache->bins[class];
    int32_t held = bin->count + bin->limit;
    size_t listed = bin->head == NULL || held < 0 ? 0 : min_size((size_t)held, bin->limit);
    return listed + (cache->spare[class] != NULL ? cache->spare_length[class] : 0);
}

void cache_fork_acquire(void) {
    lock_fork_acquire(&caches_lock);
}

void cache_fork_release(void) {
    lock_fork_release(&caches_lock);
}

void cache_fork_reset(void) {
    for (struct cache *cache = caches; cache != NULL; cache = cache->next) {
        if (cache == &cache_self)
            continue;
        for (unsigned c = 1; c < CLASS_COUNT; c++) {
            if (cache->bins[c].head != NULL)
                central_adopt(c, cache->bins[c].head);
            if (cache->spare[c] != NULL)
                central_adopt(c, cache->spare[c]);
        }
    }
    caches = cache_self.open ? &cache_self : NULL;
    cache_self.next = cache_self.prev = NULL;
    lock_fork_reset(&caches_lock);
}

/* Other threads' lists change at any time. */
static void walk_own(struct walk *walk, const struct cache *cache) {
    for (unsigned c = 1; c < CLASS_COUNT; c++) {
        const struct bin *bin = &cache->bins[c];
        const struct block *spare = cache->spare[c];
        size_t most = (size_t)bin->limit + 1;
        report_walk(walk, span_chain_length(bin->head, c, most) == length(bin) && (cache->open || bin->limit == 0),
                    "cache K1", bin);
        report_walk(walk, spare == NULL || (span_is_block(spare, c) && spare->count == cache->spare_length[c] &&
                                            span_chain_length(spare, c, spare->count) == spare->count),
                    "cache K2", &cache->spare[c]);
        report_walk(walk, !cache->idle || (bin->head == NULL && bin->limit == 0 && spare == NULL), "watch W1", bin);
    }
}

void cache_walk(struct walk *walk) {
    walk_own(walk, &cache_self);
    lock_acquire(&caches_lock, LOCK_CACHES);
    const struct cache *before = NULL;
    for (const struct cache *cache = caches; cache != NULL; before = cache, cache = cache->next) {
        report_walk(walk, cache->bins[0].head == NULL, "cache K3", cache);
        if (!report_walk(walk, cache->prev == before && cache->listed, "cache K3", cache))
            break;
    }
    lock_release(&caches_lock, LOCK_CACHES);
}
