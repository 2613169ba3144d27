/* SPDX-License-Identifier: MIT */
#include "heap/cache.h"

#include <stdatomic.h>

#include "base/freelist.h"
#include "kit/lock.h"
#include "kit/report.h"
#include "kit/tunables.h"
#include "heap/central.h"
#include "heap/span.h"

/* Lists start short, so that a program of few blocks carves few pages, and double with traffic. */
#define LIMIT_BYTES_START 512
#define WANT_BYTES_START 256
/* Blocks above COLD_MIN go home until their list was full HOT times: a program that frees a few of many sizes, as most
 * do at their start, would otherwise keep one of each. */
#define COLD_MIN 1024
#define HOT 8
/* Lists above their start, of all threads together: this part of the memory in small blocks. */
#define EARN_PART 16
#define EARN_MIN (16 * KIB)
#define EARN_FEW (512 * KIB) /* or this, shared out among several: few threads pass blocks in long chains */
#define EARN_MAX (4 * MIB)
#define SPARE_PART 32 /* a spare chain is at most this part of what may be earned */
#define SPARES_ALL (64 * KIB) /* or of this, shared out among the threads */
#define SPARE_BYTES_MAX (16 * KIB)
#define FOREIGN 16 /* blocks that a thread may free before it counts as one that frees what others allocate */
#define TRIES 8 /* classes looked at for one that gives up what it has earned */

/* A fork copies this memory between any two instructions. A chain may be missing from the copy, but must not be in it
 * twice: it leaves one place before it enters the next, and the compiler must not change that. */
#define ORDERED() atomic_signal_fence(memory_order_seq_cst)

THREAD_LOCAL struct cache cache_self;

static struct lock caches_lock;
static struct cache *caches;
static _Atomic bool lists_off;

static size_t first_goal(unsigned class) {
    return min_size(max_size(LIMIT_BYTES_START / class_bytes(class), 1), class_batch(class));
}

static void set_limits(struct cache *cache) {
    for (unsigned c = 1; c < CLASS_COUNT; c++) {
        struct bin *bin = &cache->bins[c];
        cache->goal[c] = (uint16_t)first_goal(c);
        bin->want = (uint16_t)max_size(WANT_BYTES_START / class_bytes(c), 1);
        bin->count = bin->limit = 0; /* until the class is used */
    }
    cache->earned = 0;
}

static void clear_limits(struct cache *cache) {
    for (unsigned c = 1; c < CLASS_COUNT; c++)
        cache->bins[c].count = cache->bins[c].limit = 0;
}

bool cache_try_open(void) {
    struct cache *cache = &cache_self;
    if (cache->state != CACHE_NEW)
        return false;
    report_enter();
    set_limits(cache);
    lock_acquire(&caches_lock, LOCK_CACHES);
    cache->next = caches;
    cache->prev = NULL;
    if (caches != NULL)
        caches->prev = cache;
    caches = cache;
    central_threads++;
    lock_release(&caches_lock, LOCK_CACHES);
    cache->state = CACHE_OPEN;
    report_leave();
    return true;
}

static void flush(struct cache *cache, bool stays);

static bool is_bounded(const struct cache *cache) {
    return cache->bounded || (tunables.cache_limit & tunables.tcache_count & tunables.tcache_max) != SIZE_MAX;
}

/* True while blocks may stay on the lists. */
static bool keeps(const struct cache *cache) {
    return cache->state == CACHE_OPEN && !cache->idle && !atomic_load_explicit(&lists_off, memory_order_relaxed);
}

/* Empties the cache or lets it fill again, as is due. True if blocks may stay on its lists now. */
static COLD bool settle_slow(struct cache *cache) {
    bool off = atomic_load_explicit(&lists_off, memory_order_relaxed);
    if (cache->state != CACHE_OPEN)
        return false;
    if (off && !cache->idle) {
        flush(cache, false);
        central_flush(); /* threads without lists would not take what is parked */
        clear_limits(cache);
    } else if (!off && cache->idle) {
        set_limits(cache);
        if (is_bounded(cache))
            cache_bound_empty(cache);
    }
    cache->idle = off;
    return !off;
}

static bool ensure_kept(struct cache *cache) {
    return LIKELY(keeps(cache)) || settle_slow(cache);
}

void cache_set_lists(bool on) {
    atomic_store_explicit(&lists_off, !on, memory_order_relaxed);
}

void cache_settle(void) {
    if (LIKELY(keeps(&cache_self)))
        return;
    report_enter();
    settle_slow(&cache_self);
    report_leave();
}

static size_t length(const struct bin *bin) {
    return (size_t)(bin->count + bin->limit);
}

/* Takes one block of the chain and keeps the rest as the list, which may for once be longer than the goal. */
static void *adopt_chain(struct bin *bin, size_t goal, struct block *chain, size_t count) {
    bin_put(bin, chain->next, count - 1, max_size(goal, count - 1));
    return chain;
}

/* Bytes that a thread's goals may be above their start: a part of what the small blocks of the process take, shared out
 * among the threads. */
static size_t earn_most(void) {
    size_t threads = max_size(central_threads, 1), small = span_totals.small;
    size_t share = (small << UNIT_SHIFT) / EARN_PART / threads;
    size_t least = threads > 1 ? max_size(EARN_FEW / threads, EARN_MIN) : EARN_MIN;
    return min_size(max_size(share, least), EARN_MAX);
}

/* Bytes of a spare chain: more where few threads can have one. */
static size_t spare_most(void) {
    return min_size(max_size(earn_most() / SPARE_PART, SPARES_ALL / central_threads), SPARE_BYTES_MAX);
}

static struct block *take_spare(struct cache *cache, unsigned class) {
    struct block *spare = cache->spare[class];
    cache->spare[class] = NULL;
    ORDERED();
    return spare;
}

static void give_spare(struct cache *cache, unsigned class) {
    struct block *spare = take_spare(cache, class);
    if (spare != NULL)
        central_give(class, spare, spare->count);
}

/* The next class that has earned something loses it, so that lists which are no longer used do not hold on to what
 * others need. Its list goes when it is next full. */
static void take_from_another(struct cache *cache, unsigned wants) {
    for (int tries = 0; tries < TRIES; tries++) {
        unsigned class = cache->victim = cache->victim % (CLASS_COUNT - 1) + 1;
        size_t first = first_goal(class);
        if (class == wants || cache->goal[class] <= first)
            continue;
        cache->earned -= (cache->goal[class] - first) * class_bytes(class);
        cache->goal[class] = (uint16_t)first;
        give_spare(cache, class);
        return;
    }
}

/* The list was full twice over: a longer one is earned, if the thread may have it. */
static void earn(struct cache *cache, unsigned class) {
    size_t old = cache->goal[class], goal = min_size(old * 2, class_batch(class));
    size_t more = (goal - old) * class_bytes(class), most = earn_most();
    if (more == 0)
        return;
    if (cache->earned + more > most)
        take_from_another(cache, class);
    if (cache->earned + more > most)
        return;
    cache->earned += more;
    cache->goal[class] = (uint16_t)goal;
}

/* The thread frees blocks of a class of which it never had any: they are others'. They wait as a spare chain, so that
 * they do not serve this thread's first allocations: those would lie in cache lines between other threads' blocks. A
 * thread that goes on like this gets a list all the same. */
static void free_foreign(struct cache *cache, struct bin *bin, struct block *block, unsigned class) {
    size_t limit = 0;
    struct block *chain = cache->spare[class];
    block->next = chain;
    block->count = chain != NULL ? chain->count + 1 : 1;
    cache->spare_length[class] = (uint16_t)block->count;
    ORDERED();
    cache->spare[class] = block;
    if (block->count == FOREIGN) {
        cache->spare[class] = NULL;
        limit = cache->goal[class];
        ORDERED();
        central_give(class, block, FOREIGN);
    }
    bin_put(bin, NULL, 0, limit);
}

/* The thread's first allocation of the class: what it freed so far of others' goes home. */
static void give_foreign(struct cache *cache, unsigned class) {
    struct block *foreign = take_spare(cache, class);
    if (foreign != NULL)
        central_give_home(class, foreign);
}

/* The list is empty, unless a signal handler has freed meanwhile. */
static void *refill(struct cache *cache, unsigned class) {
    struct bin *bin = &cache->bins[class];
    size_t count;
    struct block *chain = bin_take(bin, &count);
    if (UNLIKELY(chain != NULL))
        return adopt_chain(bin, cache->goal[class], chain, max_size(count, 1));
    if (bin->limit == 0)
        give_foreign(cache, class);
    chain = take_spare(cache, class);
    if (chain != NULL)
        return adopt_chain(bin, cache->goal[class], chain, chain->count);
    chain = central_take(class, bin->want, &count);
    if (chain == NULL) {
        bin_put(bin, NULL, 0, cache->goal[class]);
        return NULL;
    }
    size_t most = min_size(class_batch(class), max_size(OS_PAGE / class_bytes(class), 1));
    bin->want = (uint16_t)min_size(bin->want * 2u, most);
    return adopt_chain(bin, cache->goal[class], chain, count);
}

static bool set_aside(struct cache *cache, unsigned class) {
    struct bin *bin = &cache->bins[class];
    size_t held;
    if (bin->head == NULL || cache->spare[class] != NULL)
        return false;
    struct block *list = bin_take(bin, &held);
    bin_put(bin, NULL, 0, bin->limit);
    if (list == NULL)
        return false;
    list->count = freelist_length(list);
    cache->spare_length[class] = (uint16_t)list->count;
    ORDERED();
    cache->spare[class] = list;
    return true;
}

bool cache_set_aside(void) {
    struct cache *cache = &cache_self;
    bool done = !keeps(cache) || is_bounded(cache);
    if (done)
        return false;
    report_enter();
    for (unsigned tries = 1; tries < CLASS_COUNT && !done; tries++) {
        cache->aside = cache->aside % (CLASS_COUNT - 1) + 1;
        done = set_aside(cache, cache->aside);
    }
    report_leave();
    return done;
}

void *cache_refill_slow(unsigned class) {
    struct cache *cache = &cache_self;
    report_enter();
    void *block = !ensure_kept(cache) ? central_take_single(class)
                  : UNLIKELY(is_bounded(cache)) ? cache_bound_refill_slow(cache, class)
                                                : refill(cache, class);
    report_leave();
    return block;
}

/* `full` has been taken out of the bin, in which `block` stays as the only one: it is the first to be used again, and
 * freed again it is found at the head. */
static void pass_full(struct cache *cache, struct bin *bin, struct block *block, struct block *full, unsigned class) {
    if (cache->spare[class] != NULL || cache->goal[class] < 2)
        earn(cache, class);
    struct block *old = cache->spare[class];
    block->next = NULL;
    bin_put(bin, block, 1, cache->goal[class]);
    ORDERED();
    if (class_bytes(class) * full->count <= spare_most()) {
        cache->spare[class] = full;
        cache->spare_length[class] = (uint16_t)full->count;
        full = old;
    }
    ORDERED();
    if (full != NULL)
        central_give(class, full, full->count);
}

/* Sends the list and `block` home. */
static void go_home(struct cache *cache, struct bin *bin, struct block *block, struct block *list, unsigned class) {
    block->next = list;
    cache->gone = block;
    bin_put(bin, NULL, 0, cache->goal[class]);
    ORDERED();
    central_give_home(class, block);
}

/* The list is empty and its limit one block, which it may have unless there are too many threads for that. */
static void keep_single(struct cache *cache, struct bin *bin, struct block *block, unsigned class) {
    if (cache->heat[class] < HOT)
        cache->heat[class]++;
    else
        earn(cache, class); /* or every free would come this way */
    block->next = NULL;
    if (class_bytes(class) <= spare_most()) {
        bin_put(bin, block, 1, cache->goal[class]);
        return;
    }
    bin_put(bin, NULL, 0, cache->goal[class]);
    central_give(class, block, 1);
}

/* The count is raised for `block` already. */
static void overflow(struct cache *cache, struct bin *bin, struct block *block, unsigned class) {
    size_t held;
    struct block *list = bin_take(bin, &held);
    if (cache->heat[class] < HOT && class_bytes(class) > COLD_MIN) {
        cache->heat[class]++;
        go_home(cache, bin, block, list, class);
    } else if (bin->limit == 0) {
        free_foreign(cache, bin, block, class);
    } else if (list == NULL) { /* its limit is one block */
        keep_single(cache, bin, block, class);
    } else {
        list->count = max_size(held, 2) - 1;
        pass_full(cache, bin, block, list, class);
    }
}

void cache_overflow_slow(void *block, unsigned class) {
    struct cache *cache = &cache_self;
    struct bin *bin = &cache->bins[class];
    report_enter();
    bool kept = keeps(cache); /* asked once: lists may be switched off meanwhile */
    if (!kept) {
        bin->count--; /* K1: nothing was put on the list */
        kept = settle_slow(cache);
        if (kept) /* lists were off for a moment only */
            bin->count++;
    }
    if (!kept) {
        ((struct block *)block)->next = NULL;
        central_give_home(class, block);
    } else if (UNLIKELY(is_bounded(cache))) {
        cache_bound_overflow_slow(cache, block, class);
    } else {
        overflow(cache, bin, block, class);
    }
    report_leave();
}

/* Its lists stay in use, or are no longer: then they are not opened again. */
static void flush(struct cache *cache, bool stays) {
    if (cache->idle || cache->state != CACHE_OPEN) /* holds nothing, and its limits stay 0 */
        return;
    if (cache->bounded) {
        cache_bound_empty(cache);
        return;
    }
    for (unsigned c = 1; c < CLASS_COUNT; c++) {
        struct bin *bin = &cache->bins[c];
        size_t held;
        void *list = bin_take(bin, &held);
        bin_put(bin, NULL, 0, stays && bin->limit > 0 ? cache->goal[c] : 0);
        ORDERED();
        if (list != NULL)
            central_give(c, list, max_size(held, 1));
        give_spare(cache, c);
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
    lock_acquire(&caches_lock, LOCK_CACHES);
    *(cache->prev ? &cache->prev->next : &caches) = cache->next;
    if (cache->next != NULL)
        cache->next->prev = cache->prev;
    central_threads--;
    lock_release(&caches_lock, LOCK_CACHES);
    cache->state = CACHE_CLOSED;
    clear_limits(cache);
    report_leave();
}

void cache_each(void (*see)(const struct cache *cache, void *data), void *data) {
    lock_acquire(&caches_lock, LOCK_CACHES);
    for (const struct cache *cache = caches; cache != NULL; cache = cache->next)
        see(cache, data);
    lock_release(&caches_lock, LOCK_CACHES);
}

READS_OTHERS size_t cache_length(const struct cache *cache, unsigned class) {
    const struct bin *bin = &cache->bins[class];
    int32_t held = bin->count + bin->limit;
    size_t listed = bin->head == NULL || held < 0 ? 0 : min_size((size_t)held, bin->limit);
    return listed + (cache->spare[class] != NULL ? cache->spare_length[class] : 0);
}

static void forked(void) {
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
    caches = cache_self.state == CACHE_OPEN ? &cache_self : NULL;
    central_threads = cache_self.state == CACHE_OPEN;
    cache_self.next = cache_self.prev = NULL;
}

static size_t earned_by_goals(const struct cache *cache) {
    size_t bytes = 0;
    for (unsigned c = 1; c < CLASS_COUNT; c++)
        bytes += (cache->goal[c] - first_goal(c)) * class_bytes(c);
    return bytes;
}

/* Other threads' lists change at any time. */
static void walk_own(struct walk *walk, const struct cache *cache) {
    for (unsigned c = 1; c < CLASS_COUNT; c++) {
        const struct bin *bin = &cache->bins[c];
        const struct block *spare = cache->spare[c];
        size_t most = (size_t)bin->limit + 1;
        report_walk(walk, span_chain_length(bin->head, c, most) == length(bin) &&
                              (cache->state == CACHE_OPEN || bin->limit == 0),
                    "cache K1", bin);
        report_walk(walk, spare == NULL || (span_is_block(spare, c) && spare->count == cache->spare_length[c] &&
                                            span_chain_length(spare, c, spare->count) == spare->count),
                    "cache K2", &cache->spare[c]);
        report_walk(walk, !cache->idle || (bin->head == NULL && bin->limit == 0 && spare == NULL), "watch W1", bin);
    }
    report_walk(walk, cache->state != CACHE_OPEN || cache->earned == earned_by_goals(cache), "cache K4", &cache->earned);
}

void cache_walk(struct walk *walk) {
    walk_own(walk, &cache_self);
    lock_acquire(&caches_lock, LOCK_CACHES);
    const struct cache *before = NULL;
    for (const struct cache *cache = caches; cache != NULL; before = cache, cache = cache->next) {
        report_walk(walk, cache->bins[0].head == NULL, "cache K3", cache);
        if (!report_walk(walk, cache->prev == before && cache->state == CACHE_OPEN, "cache K3", cache))
            break;
    }
    lock_release(&caches_lock, LOCK_CACHES);
}

const struct lock_set cache_locks = {.rank = LOCK_CACHES, .lock = &caches_lock, .forked = forked};
