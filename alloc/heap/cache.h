/* SPDX-License-Identifier: MIT */
/*
 * A thread's cache: the slow paths of its lists, its life, and what others may know of it. bins.h has the data, the invariants
 * K1-K5 and the fast moves; cache_growth.h the lengths of lists.
 *
 * A block goes to the list of the thread that frees it, whoever allocated it: there is no owner to look up. When the list is
 * empty, blocks come from the spare chain, then from the central lists; when it is full, it becomes the spare chain, or goes to
 * the central lists if there is one.
 *
 * K6 every cache on the list of open caches is OPEN, and its `prev` is the one before it, NULL in the first.
 *
 * Locks: LOCK_CACHES, over the list of all open caches and over transfer_threads, which counts them. The lists themselves need
 * none (bins.h). LOCK_CLASS is taken inside.
 */
#ifndef MYALLOC_CACHE_H
#define MYALLOC_CACHE_H

#include "kit/lock.h"
#include "kit/report.h"
#include "heap/mark.h"
#include "heap/decay.h"
#include "heap/holes.h"
#include "heap/bins.h"

/* A block of the class when its list is empty. NULL if memory is refused. */
void *cache_refill_slow(unsigned class);

/* Frees a block of the class when its list is full or may hold nothing. The free has raised the bin's count for it, if there
 * is a bin: not for a wide class while the cache is not OPEN. */
void cache_overflow_slow(void *block, unsigned class);

/* True while blocks may stay with this thread, whose cache it is. */
static inline bool cache_keeps(const struct cache *cache) {
    return cache->state == CACHE_OPEN &&
           (cache->lists | atomic_load_explicit(&cache_lists_wanted, memory_order_relaxed)) == LISTS_PLAIN;
}

void cache_come_by_slow(void);

/* For each slow path that holds no lock, when it is done: gives free memory back if that is due (decay.h), and now and then
 * sees to it that this thread comes by again (cache_pause.h). The clock is asked at each fourth call, and at each of a
 * paused class. */
static inline void cache_come_by(void) {
    if ((decay_has_work() || holes_may_be()) && (cache_self.slow == NULL || --cache_self.slow->calls_to_look <= 0))
        cache_come_by_slow();
}

/* The same for calls that are seldom and dear: the clock is asked each time, but lists are looked at as often as by others. */
static inline void cache_come_by_large(void) {
    if (!decay_has_work() && !holes_may_be())
        return;
    if (cache_self.slow != NULL)
        cache_self.slow->calls_to_look--;
    cache_come_by_slow();
}

#define WIDE_CALLS_A_LOOK 64

/* A list of a wide class, or a large block that was kept (cache_large.h), has served `calls`: none of them pauses, so its
 * thread comes by once in WIDE_CALLS_A_LOOK of such calls. */
static inline void cache_come_by_served(uint8_t calls) {
    uint8_t before = cache_self.slow->wide_calls, now = (uint8_t)(before + calls);
    cache_self.slow->wide_calls = now;
    if (before / WIDE_CALLS_A_LOOK != now / WIDE_CALLS_A_LOOK)
        cache_come_by_large();
}

/* Takes the first block of a wide class's list; NULL if there is none. */
static inline void *cache_pop_wide(unsigned class) {
    if (UNLIKELY(cache_self.slow == NULL))
        return NULL;
    struct bin *bin = &cache_self.slow->wide[class - FAST_CLASSES];
    report_enter();
    struct block *block = bin->head;
    if (block != NULL) {
        mark_check_link(block, block->next, class);
        bin->head = block->next;
        bin->count--;
        mark_clear(block);
    }
    report_leave();
    if (block != NULL)
        cache_come_by_served(1);
    return block;
}

/* Frees a block of the class whose free no fast path has counted. */
void cache_free_uncounted_slow(void *block, unsigned class);

/* True if a block of the class is the first on this thread's list or spare chain: then it is free already. */
static inline bool cache_has_first(const void *block, unsigned class) {
    struct cache *cache = &cache_self;
    return LIKELY(cache->slow != NULL) && (bin_of(cache, class)->head == block || cache->slow->spare[class] == block);
}

/* True if a block of a cold class is the last that this thread has sent home. */
static inline bool cache_was_last_home(const void *block) {
    return cache_self.slow != NULL && cache_self.slow->last_sent_home == block;
}

/* How many allocations of this thread a call stands for that found no block on the list of its class: itself and, about,
 * those that the list has served since it was filled. */
static inline size_t cache_stands_for(size_t bytes) {
    return 1 + (bytes <= FAST_MAX ? cache_self.bins[class_of(bytes)].limit : 0u);
}

/* Takes the list of a class away, of one class after another, so that this thread's next allocation of that class is a slow
 * call; the list then comes back, as the spare chain. False if there is none to take. */
bool cache_set_aside(void);

/* Gives all that this thread's lists hold to the central lists. */
void cache_flush(void);

/* What threads' lists are from now on. A thread follows at its next slow call, or by cache_settle. */
void cache_set_lists(enum cache_lists lists);

/* Brings this thread's lists in line with cache_set_lists. True if they were not. */
bool cache_settle(void);

/* True if a thread's lists are still LISTS_PLAIN. */
bool cache_any_plain(void);

/* Opens this thread's cache. False if that has been done before; the cache may have been closed since. Until then, and once it
 * is closed, every block comes from its span and goes back there. Whoever opens it arranges for cache_close at the thread's
 * end (process/thread.h). Also false if memory is refused; then the cache stays NEW, and the next call tries again. */
bool cache_try_open(void);

/* The thread is ending: gives all its lists away, and keeps nothing from now on. */
void cache_close(void);

/* Calls `see` with each open cache, under LOCK_CACHES. */
void cache_each(void (*see)(const struct cache *cache, void *data), void *data);

/* The first open cache, for tools (observe/structures.h). */
extern HIDDEN struct cache *cache_list;

/* Free blocks on the list and the spare chain of a class, as the bin and what slow paths keep of it say; of a cache that its
 * thread changes meanwhile never more than it may have. Tools have copies of them. */
READS_OTHERS static inline size_t cache_listed(const struct cache *cache, const struct cache_slow *slow, const struct bin *bin,
                                               unsigned class) {
    int64_t held = (int64_t)bin->count + bin->limit;
    size_t counted = 2 * max_size(class_batch(class), slow->earned_limit[class]);
    size_t most = cache->lists == LISTS_COUNTED ? counted : bin->limit;
    size_t listed = bin->head == NULL || held < 0 ? 0 : min_size((size_t)held, most);
    return listed + (slow->spare[class] != NULL ? slow->spare_length[class] : 0);
}

/* Free blocks of the class in a cache. Of another thread's cache it is what was true at some moment of the call. */
size_t cache_length(const struct cache *cache, unsigned class);

/* Calls `see` with this thread's list of the class and its spare chain, and how many blocks are in each. */
void cache_each_own_chain(unsigned class, void (*see)(const void *chain, size_t most, void *data), void *data);

/* Looks whether K1-K5 and K7 hold for this thread's cache, K3 for all open ones, and K6 for their list. While nobody else is
 * in the allocator (all_locks.h). */
struct walk;
void cache_walk(struct walk *walk);

extern HIDDEN const struct lock_set cache_locks;

#endif
