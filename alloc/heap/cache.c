/* SPDX-License-Identifier: MIT */
#include "heap/cache.h"

#include "base/freelist.h"
#include "os/os.h"
#include "kit/report.h"
#include "heap/region.h"
#include "heap/span.h"
#include "heap/mark.h"
#include "heap/transfer.h"
#include "heap/central.h"
#include "heap/decay.h"
#include "heap/holes.h"
#include "heap/cache_growth.h"
#include "heap/cache_large.h"
#include "heap/cache_bound.h"
#include "heap/cache_counted.h"
#include "heap/cache_pause.h"
#include "heap/cache_stale.h"

#define FOREIGN_MOST 16 /* blocks that a thread may free of a class before it has a list without having allocated */

#define CALLS_A_LOOK 4 /* slow calls from one look at the clock to the next: 40 instructions each */

static struct lock caches_lock;
static struct cache *caches;
extern HIDDEN struct cache *cache_list __attribute__((alias("caches")));

/* What only slow paths use: the first thread's, and those of caches that were closed, for the next to be opened. */
static struct cache_slow first_slow, *unused_slow = &first_slow;

static struct cache_slow *take_slow(void) {
    lock_acquire(&caches_lock, LOCK_CACHES);
    struct cache_slow *slow = unused_slow;
    if (slow != NULL)
        unused_slow = slow->next_unused;
    lock_release(&caches_lock, LOCK_CACHES);
    if (slow == NULL)
        return region_meta(sizeof *slow);
    *slow = (struct cache_slow){.counted = slow->counted};
    return slow;
}

static void give_slow_locked(struct cache_slow *slow) {
    slow->next_unused = unused_slow;
    unused_slow = slow;
}

/* Makes the cache OPEN and the first on the list. False if memory is refused. Many threads may come at once: what needs no lock
 * is done without. */
static bool begin(struct cache *cache) {
    cache->slow = take_slow();
    if (cache->slow == NULL)
        return false;
    growth_begin(cache);
    lock_acquire(&caches_lock, LOCK_CACHES);
    cache->slow->next = caches;
    if (caches != NULL)
        caches->slow->prev = cache;
    caches = cache;
    transfer_threads++;
    cache->state = CACHE_OPEN; /* under the lock: who walks the list finds open caches only (K6) */
    lock_release(&caches_lock, LOCK_CACHES);
    return true;
}

bool cache_try_open(void) {
    struct cache *cache = &cache_self;
    report_enter(); /* before the look at the state: a handler that allocates has opened the cache by now, or is told */
    bool opened = cache->state == CACHE_NEW && begin(cache);
    report_leave();
    return opened;
}

static void flush(struct cache *cache, bool stays);

/* What this cache's lists are to be. A bounded cache has none while calls are counted: its bound is of lists as they are
 * else. */
static enum cache_lists wanted_of(const struct cache *cache) {
    enum cache_lists wanted = atomic_load_explicit(&cache_lists_wanted, memory_order_relaxed);
    if (wanted != LISTS_COUNTED)
        return wanted;
    bool begun = cache->lists == LISTS_COUNTED || (!cache_bound_applies(cache) && cache_counted_begin());
    return begun ? LISTS_COUNTED : LISTS_OFF;
}

/* Empties the cache or lets it fill again, as is due. True if its lists are plain now. */
static COLD bool settle_slow(struct cache *cache) {
    if (cache->state != CACHE_OPEN)
        return false;
    enum cache_lists wanted = wanted_of(cache);
    if (wanted == cache->lists)
        return wanted == LISTS_PLAIN;
    flush(cache, false);
    if (wanted == LISTS_OFF) {
        central_flush(); /* threads without lists take blocks from spans, and never what is parked */
        growth_end(cache);
    } else {
        growth_begin(cache);
    }
    if (wanted == LISTS_PLAIN && cache_bound_applies(cache))
        cache_bound_empty(cache);
    cache->lists = wanted;
    return wanted == LISTS_PLAIN;
}

static bool ensure_kept(struct cache *cache) {
    return LIKELY(cache_keeps(cache)) || settle_slow(cache);
}

void cache_set_lists(enum cache_lists lists) {
    atomic_store_explicit(&cache_lists_wanted, lists, memory_order_relaxed);
}

bool cache_settle(void) {
    uint8_t was = cache_self.lists;
    if (LIKELY(cache_keeps(&cache_self)) || cache_is_counted())
        return false;
    report_enter();
    settle_slow(&cache_self);
    report_leave();
    return cache_self.lists != was;
}

/* Takes one block of the chain and makes the rest the list. If that is longer than the list's limit, its length is the limit
 * until the list is next begun: cutting the chain would mean walking it. */
static inline void *use_chain(struct cache *cache, struct bin *bin, unsigned class, struct block *chain, size_t count) {
    mark_check_link(chain, chain->next, class);
    bin_put(bin, chain->next, count - 1, max_size(cache->slow->earned_limit[class], count - 1));
    return chain;
}

/* The thread frees a block of a class of which it has never allocated one: another thread did. Such blocks wait in the spare
 * chain and go home at this thread's first allocation of the class (give_foreign). If they served that allocation, it would
 * lie in the same cache lines as blocks of other threads, and each write would take the line away from them. A thread that
 * only frees gets a list after FOREIGN_MOST of them, like any other. */
static void free_foreign(struct cache *cache, struct bin *bin, struct block *block, unsigned class) {
    struct block *chain = cache->slow->spare[class];
    size_t limit = 0, length = chain != NULL ? cache->slow->spare_length[class] + 1u : 1;
    block->next = chain;
    bin_put_spare(cache, class, block, length);
    if (length == FOREIGN_MOST) {
        cache->slow->spare[class] = NULL;
        limit = cache->slow->earned_limit[class];
        ORDERED();
        central_give(class, block, FOREIGN_MOST);
    }
    bin_put(bin, NULL, 0, limit);
}

/* The thread's first allocation of the class: other threads' blocks that it has freed so far go home. */
static void give_foreign(struct cache *cache, unsigned class) {
    struct block *foreign = bin_take_spare(cache, class);
    if (foreign != NULL)
        central_give_home(class, foreign);
}

/* cache_refill_slow without a bound. The list is empty, unless a signal handler has freed meanwhile. */
static void *refill(struct cache *cache, unsigned class) {
    struct bin *bin = bin_of(cache, class);
    size_t count;
    struct block *chain = bin_take(bin, &count);
    if (UNLIKELY(chain != NULL))
        return use_chain(cache, bin, class, chain, max_size(count, 1));
    if (bin->limit == 0) {
        if (!pause_is_on(cache, class))
            give_foreign(cache, class);
        else if ((chain = pause_take_slow(cache, bin, class)) != NULL)
            return chain;
        else if ((chain = bin_take(bin, &count)) != NULL)
            return use_chain(cache, bin, class, chain, max_size(count, 1));
    }
    chain = bin_take_spare(cache, class);
    if (chain != NULL)
        return use_chain(cache, bin, class, chain, cache->slow->spare_length[class]);
    chain = central_take(class, bin->refill_most, &count);
    if (chain == NULL) {
        bin_put(bin, NULL, 0, cache->slow->earned_limit[class]);
        return NULL;
    }
    growth_refilled(bin, class);
    void *block = use_chain(cache, bin, class, chain, count);
    growth_wanted(cache, class);
    return block;
}

static bool set_aside(struct cache *cache, unsigned class) {
    struct bin *bin = bin_of(cache, class);
    size_t held;
    if (bin->head == NULL || cache->slow->spare[class] != NULL)
        return false;
    struct block *list = bin_take(bin, &held);
    bin_put(bin, NULL, 0, bin->limit);
    if (list == NULL)
        return false;
    bin_put_spare(cache, class, list, mark_chain_length(list, class));
    return true;
}

bool cache_set_aside(void) {
    struct cache *cache = &cache_self;
    bool done = !cache_keeps(cache) || cache_bound_applies(cache);
    if (done)
        return false;
    report_enter();
    for (unsigned tries = 1; tries < FAST_CLASSES && !done; tries++) {
        cache->slow->last_set_aside = cache->slow->last_set_aside % (FAST_CLASSES - 1) + 1;
        done = set_aside(cache, cache->slow->last_set_aside);
    }
    report_leave();
    return done;
}

void cache_come_by_slow(void) {
    struct cache *cache = &cache_self;
    uint64_t now = os_clock_ms();
    decay_look(now);
    holes_look(now);
    if (!cache_keeps(cache) || cache->slow->calls_to_look > 0 || cache_bound_applies(cache))
        return;
    report_enter();
    cache->slow->calls_to_look = CALLS_A_LOOK;
    pause_now_and_then(cache, now);
    stale_look(cache);
    report_leave();
}

void *cache_refill_slow(unsigned class) {
    struct cache *cache = &cache_self;
    report_enter();
    void *block = !ensure_kept(cache)                    ? cache_counted_refill(cache, class)
                  : UNLIKELY(cache_bound_applies(cache)) ? cache_bound_refill_slow(cache, class)
                                                         : refill(cache, class);
    report_leave();
    cache_come_by();
    if (LIKELY(block != NULL))
        mark_clear(block);
    return block;
}

/* The list is full and has been taken out of the bin as the chain `full` of `length` blocks. It becomes the spare chain, if
 * there is none and it is not too large, or goes to the central lists: it is in the processor's cache, where walking it costs
 * less than walking the spare chain would. `block`, which is being freed, begins the new list. */
static void pass_full(struct cache *cache, struct bin *bin, struct block *block, struct block *full, size_t length,
                      unsigned class) {
    mark_check_link(NULL, full, class);
    bool spare = cache->slow->spare[class] != NULL;
    if (spare || cache->slow->earned_limit[class] < 2 || growth_swings(cache, class))
        growth_earn(cache, class);
    block->next = NULL;
    bin_put(bin, block, 1, cache->slow->earned_limit[class]);
    ORDERED();
    if (!spare && class_bytes(class) * length <= growth_spare_most()) {
        bin_put_spare(cache, class, full, length);
        return;
    }
    cache->slow->sent_away[class] = true;
    if (central_give(class, full, length) && !growth_swings(cache, class))
        growth_fall(cache, class);
    pause_emptied(cache, class);
}

/* The class is cold: the list and `block` go home to their spans. */
static void go_home(struct cache *cache, struct bin *bin, struct block *block, struct block *list, unsigned class) {
    block->next = list;
    cache->slow->last_sent_home = block;
    bin_put(bin, NULL, 0, cache->slow->earned_limit[class]);
    ORDERED();
    central_give_home(class, block);
}

/* The limit is one block: then the count reaches 0 with the first, and each free comes here with an empty list. The block stays
 * on the list if it is no larger than a spare chain may be, else it goes to the central lists: that bound falls with the number
 * of threads, and many threads with one large block each would hold more than the program. Once the class is warm it earns a
 * limit of two, with which a free is fast. */
static void keep_single(struct cache *cache, struct bin *bin, struct block *block, unsigned class) {
    if (cache->slow->times_full[class] < TIMES_FULL_WARM)
        cache->slow->times_full[class]++;
    else
        growth_earn(cache, class);
    block->next = NULL;
    if (class_bytes(class) <= growth_spare_most()) {
        bin_put(bin, block, 1, cache->slow->earned_limit[class]);
        return;
    }
    bin_put(bin, NULL, 0, cache->slow->earned_limit[class]);
    cache->slow->sent_away[class] = true;
    central_give(class, block, 1);
}

/* cache_overflow_slow without a bound. */
static void overflow(struct cache *cache, struct bin *bin, struct block *block, unsigned class) {
    size_t held;
    struct block *list = bin_take(bin, &held);
    if (UNLIKELY(bin->limit == 0 && list == NULL && pause_is_on(cache, class))) {
        pause_give_slow(cache, bin, block, class);
        return;
    }
    if (growth_is_cold(cache, class)) {
        go_home(cache, bin, block, list, class);
    } else if (bin->limit == 0) {
        free_foreign(cache, bin, block, class);
    } else if (list == NULL) {
        keep_single(cache, bin, block, class);
    } else {
        pass_full(cache, bin, block, list, max_size(held, 2) - 1, class);
    }
}

/* The bin that counts frees of the class: NULL for a wide class while the cache is not OPEN. */
static struct bin *bin_if_any(struct cache *cache, unsigned class) {
    return class < FAST_CLASSES || cache->state == CACHE_OPEN ? bin_of(cache, class) : NULL;
}

/* K1: a free has raised the bin's count, and nothing was put on the list. */
static void uncount(struct cache *cache, unsigned class) {
    struct bin *bin = bin_if_any(cache, class);
    if (bin != NULL)
        bin->count--;
}

void cache_overflow_slow(void *block, unsigned class) {
    struct cache *cache = &cache_self;
    report_enter();
    bool kept = cache_keeps(cache); /* asked once: lists may be switched off meanwhile */
    if (!kept) {
        uncount(cache, class);
        kept = settle_slow(cache);
        if (kept) /* lists were off for a moment only */
            bin_of(cache, class)->count++;
    }
    if (!kept) {
        cache_counted_overflow(cache, block, class);
    } else if (UNLIKELY(cache_bound_applies(cache))) {
        cache_bound_overflow_slow(cache, block, class);
    } else {
        overflow(cache, bin_of(cache, class), block, class);
    }
    report_leave();
    cache_come_by();
}

void cache_free_uncounted_slow(void *block, unsigned class) {
    struct cache *cache = &cache_self;
    report_enter();
    struct bin *bin = bin_if_any(cache, class);
    bool room = bin != NULL && ++bin->count < 0;
    if (room)
        freelist_push(&bin->head, block);
    report_leave();
    if (!room)
        cache_overflow_slow(block, class);
}

/* Gives away all that the cache holds. `stays`: the lists go on being used with what they have earned; otherwise they may hold
 * nothing from now on. */
static void flush(struct cache *cache, bool stays) {
    if (cache->lists == LISTS_OFF || cache->state != CACHE_OPEN) /* holds nothing, and its limits stay 0 */
        return;
    if (cache->bounded) {
        cache_bound_empty(cache);
        return;
    }
    if (stays)
        large_flush(&cache->slow->large);
    else
        large_end(&cache->slow->large);
    for (unsigned c = 1; c < CLASS_COUNT; c++) {
        struct bin *bin = bin_of(cache, c);
        size_t held;
        void *list = bin_take(bin, &held);
        bin_put(bin, NULL, 0, stays && bin->limit > 0 ? cache->slow->earned_limit[c] : 0);
        ORDERED();
        if (list != NULL)
            central_give(c, list, max_size(held, 1));
        growth_give_spare(cache, c);
    }
}

void cache_flush(void) {
    report_enter();
    flush(&cache_self, true);
    report_leave();
}

void cache_close(void) {
    struct cache *cache = &cache_self;
    if (cache->state != CACHE_OPEN)
        return;
    report_enter();
    flush(cache, false);
    growth_end(cache);
    lock_acquire(&caches_lock, LOCK_CACHES);
    struct cache *next = cache->slow->next, *prev = cache->slow->prev;
    *(prev != NULL ? &prev->slow->next : &caches) = next;
    if (next != NULL)
        next->slow->prev = prev;
    transfer_threads--;
    cache->state = CACHE_CLOSED;
    cache->lists = LISTS_PLAIN; /* none: nothing is counted either */
    give_slow_locked(cache->slow);
    cache->slow = NULL;
    lock_release(&caches_lock, LOCK_CACHES);
    report_leave();
    decay_look(os_clock_ms());
}

void cache_each(void (*see)(const struct cache *cache, void *data), void *data) {
    lock_acquire(&caches_lock, LOCK_CACHES);
    for (const struct cache *cache = caches; cache != NULL; cache = cache->slow->next)
        see(cache, data);
    lock_release(&caches_lock, LOCK_CACHES);
}

READS_OTHERS size_t cache_length(const struct cache *cache, unsigned class) {
    return cache_listed(cache, cache->slow, bin_of(cache, class), class);
}

static void forked(void) {
    for (struct cache *cache = caches, *next; cache != NULL; cache = next) {
        next = cache->slow->next;
        if (cache == &cache_self)
            continue;
        for (unsigned c = 1; c < CLASS_COUNT; c++) {
            if (bin_of(cache, c)->head != NULL)
                central_adopt(c, bin_of(cache, c)->head);
            if (cache->slow->spare[c] != NULL)
                central_adopt(c, cache->slow->spare[c]);
        }
        large_forked(&cache->slow->large);
        give_slow_locked(cache->slow);
    }
    bool open = cache_self.state == CACHE_OPEN;
    large_forked_alone(open ? cache_self.slow->large.most : 0);
    caches = open ? &cache_self : NULL;
    transfer_threads = open;
    if (open)
        cache_self.slow->next = cache_self.slow->prev = NULL;
}

const struct lock_set cache_locks = {
    .rank = LOCK_CACHES, .lock = &caches_lock, .forked = forked, .child = cache_counted_forked};
