/* SPDX-License-Identifier: MIT */
/*
 * A thread's free lists, in static TLS, all zero at the start so that "not set up", "list empty" and "list
 * full" meet in one slow branch.
 *
 * K1 bins[c].count is the length of bins[c].head minus bins[c].limit: it reaches 0 when the list is full. For a class
 *    that the thread has not used yet, and in a cache not yet set up, or closed because its thread is ending, or idle
 *    because lists are off, both are 0 and every operation is slow.
 * K2 spare[c] is NULL or a chain (length in its second word) between the list and the centre. With a limit it was a full
 *    list: a thread that frees and allocates around the limit moves one pointer and no block; or one set aside. Without
 *    one it is what the thread freed of a class that it never allocated.
 * K3 bins[0] is always empty; what the unit map does not know is counted there and comes to the slow branch.
 * K4 `earned` is the bytes by which the goals are above their start.
 *
 * Blocks go to the list of the thread that frees. No lock, no atomic: a cache is its thread's own, but for fork, where
 * the child reads the lists of threads that are gone; so lists change in an order that is valid at every instruction.
 *
 * A signal handler that allocates may come between any two instructions of its thread, though it must not. Slow paths say
 * that they are inside (report_enter), and shut the bin that they change: the handler's malloc finds no block there and
 * its free no room, so both come to a slow path, too, and are told. Other bins stay whole and serve it. Only the few
 * instructions of a fast path between reading a list's head and writing it are open (README, "Limits").
 */
#ifndef MYALLOC_CACHE_H
#define MYALLOC_CACHE_H

#include "base/base.h"
#include "base/freelist.h"
#include "base/sizeclass.h"
#include "kit/lock.h"

struct bin {
    void *head;
    int32_t count;
    uint16_t limit; /* blocks the list may hold: its goal, or what it was given at once; 0 until the class is used */
    uint16_t want;  /* blocks to ask the spans for when the list runs dry; grows likewise */
};

/* A thread's cache is NEW until the thread's first slow call opens it, and CLOSED for good when the thread ends. Only while it
 * is OPEN it keeps blocks and stands in the list of all caches. */
enum cache_state { CACHE_NEW, CACHE_OPEN, CACHE_CLOSED };

struct cache {
    struct bin bins[CLASS_COUNT]; /* first: cache_bin counts on it */
    void *spare[CLASS_COUNT];
    uint16_t goal[CLASS_COUNT];  /* the limit that traffic has earned, up to class_batch; all together are bounded */
    uint8_t heat[CLASS_COUNT];   /* how often a list was full, up to HOT */
    size_t earned;               /* bytes by which the goals are above their start (K4) */
    unsigned victim;             /* class that last gave up its goal for another's */
    unsigned aside;              /* class whose list was last set aside */
    void *gone;                  /* the last block that went home because its class was cold: to tell a double free */
    uint16_t spare_length[CLASS_COUNT]; /* for statistics, which may not look into another thread's chain */
    struct cache *next, *prev; /* all threads' caches */
    enum cache_state state;
    bool idle; /* keeps nothing: lists are off */
    bool bounded; /* as cache_bound.c does it: what lists may hold is granted out of `room` bytes, there is no spare */
    size_t bound, room;
};

extern HIDDEN THREAD_LOCAL struct cache cache_self;

_Static_assert(sizeof(struct bin) == CLASS_STEP, "a rounded size is the byte offset of its bin");

/* The bin at a byte offset, as the unit map and the rounding of a size give it. */
static ALWAYS_INLINE struct bin THREAD_SEGMENT *cache_bin(size_t offset) {
    return (struct bin THREAD_SEGMENT *)THREAD_ADDRESS(cache_self, offset);
}

/* Takes the first block of a bin; NULL if it is empty. */
static ALWAYS_INLINE void *cache_pop(struct bin THREAD_SEGMENT *bin) {
    struct block *block = bin->head;
    if (LIKELY(block != NULL)) {
        bin->head = block->next;
        bin->count--;
    }
    return block;
}

/* The bin is shut by adding this to its count. */
#define BIN_SHUT (1 << 28)

/* Takes the list out and shuts the bin, until bin_put; its length in *held, with what frees in progress have raised the
 * count by. Each change is one instruction. */
static inline struct block *bin_take(struct bin *bin, size_t *held) {
    bin->count += BIN_SHUT;
    atomic_signal_fence(memory_order_seq_cst);
    struct block *list = bin->head != NULL ? __atomic_exchange_n(&bin->head, NULL, __ATOMIC_RELAXED) : NULL;
    atomic_signal_fence(memory_order_seq_cst);
    *held = (size_t)(bin->count - BIN_SHUT + bin->limit);
    return list;
}

/* Opens a shut bin with a list of `held` blocks. */
static inline void bin_put(struct bin *bin, struct block *list, size_t held, size_t limit) {
    int32_t more = (int32_t)held - (int32_t)limit - bin->count;
    bin->limit = (uint16_t)limit;
    atomic_signal_fence(memory_order_seq_cst);
    bin->head = list;
    atomic_signal_fence(memory_order_seq_cst);
    bin->count += more;
}

/* A block of the class when its list is empty. NULL if memory is refused. */
void *cache_refill_slow(unsigned class);

/* The same as cache_refill_slow and cache_overflow_slow where a bound is set (cache_limit, tcache_count, tcache_max). */
void *cache_bound_refill_slow(struct cache *cache, unsigned class);
void cache_bound_overflow_slow(struct cache *cache, struct block *block, unsigned class);

/* Empties all lists of the cache and takes back what they were granted. */
void cache_bound_empty(struct cache *cache);

/* A bound has been set at run time: this thread's lists obey at once, others' at their next slow path. */
void cache_bound_now(void);

/* How many allocations of this thread a call stands for that found no block on the list of its class: itself and, about,
 * those that the list has served since it was filled. */
static inline size_t cache_stands_for(size_t bytes) {
    return 1 + (bytes <= SMALL_MAX ? cache_self.bins[class_of(bytes)].limit : 0u);
}

/* Takes a list of this thread away, of one class after another, so that its next allocation of that class is a slow call;
 * the list then comes back. False if there is none to take. */
bool cache_set_aside(void);

/* Frees a block of the class when its list is full (its count already raised) or the cache is not open. */
void cache_overflow_slow(void *block, unsigned class);

/* Gives all that this thread's lists hold to the centre. */
void cache_flush(void);

/* Whether threads keep lists at all (modes.h: not while something must see every call). A thread follows at its next slow
 * call, or by cache_settle. */
void cache_set_lists(bool on);

/* Brings this thread's lists in line with cache_set_lists. */
void cache_settle(void);

/* Opens this thread's cache. False if that has been done before; the cache may have been closed since. Until then, and once it
 * is closed, every block comes from the centre and goes back there. Whoever opens it arranges for cache_close at the thread's
 * end (process/thread.h). */
bool cache_try_open(void);

/* The thread is ending: flush, and keep nothing from now on. */
void cache_close(void);

/* Calls `see` with each live cache, under the lock on the list of caches. */
void cache_each(void (*see)(const struct cache *cache, void *data), void *data);

/* Blocks on a list; of another thread's, a moment's value. */
size_t cache_length(const struct cache *cache, unsigned class);

/* Looks whether K1-K4 hold for this thread's lists, K3 for all. While nobody else is in the allocator (all_locks.h). */
struct walk;
void cache_walk(struct walk *walk);

/* In the child of a fork, the lists of all other threads are left to the centre. */
extern HIDDEN const struct lock_set cache_locks;

#endif
