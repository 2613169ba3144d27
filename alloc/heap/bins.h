/* SPDX-License-Identifier: MIT */
/*
 * A thread's cache as data, and the few moves that everything on it is made of. A cache has one bin for each size class: a
 * list of free blocks from which malloc pops and onto which free pushes. The slow paths are in cache.c; cache_growth.c says
 * how long a list may be, cache_bound.c does both where the user has set a bound.
 *
 * The cache lies in static TLS and starts as zeros, so that "not open yet", "list empty" and "list full" meet in the one slow
 * branch of malloc and of free. Static TLS is scarce: where a library is audited or opened late, glibc has about 1700 bytes of
 * it. So only what the fast paths touch lies there, the bins of blocks up to 16 KiB, and the rest in `struct cache_slow`.
 *
 * K1 a bin's `count` is the length of its list minus its `limit`: it reaches 0 when the list is full, which is the one
 *    thing that free tests. While the class may keep nothing both are 0 and every operation is slow: the thread has not used
 *    the class yet, or it is paused, or the cache is not open, or threads keep no lists for now. While calls are counted
 *    (cache_counted.h) the limit is 0 and the list may have blocks: every free is slow, and a malloc that finds none.
 * K2 spare[c] is NULL or a chain of spare_length[c] blocks. It waits between the list and the central lists, for one of five
 *    reasons: the list was full and a new one was begun, so that a thread whose need wavers around the limit moves one pointer
 *    and no blocks; or the thread has freed blocks of a class of which it never allocated one (free_foreign); or the list was
 *    set aside so that the next allocation is a slow call; or the class is paused, so that every call is (cache_pause.h); or
 *    calls are counted, and these blocks are not yet.
 * K3 bins[0] is always empty: there is no class 0. The unit map says 0 of everything that is no small block, so its frees
 *    are counted in bins[0], find it full and take the slow branch, which sets the count back.
 * K4 earned_bytes is the sum, over the classes, of the bytes by which earned_limit is above its start; window_bytes of those by
 *    which it is above a batch.
 * K5 while `lists` is LISTS_OFF all bins and spares are empty.
 *
 * No lock, no atomic: only its own thread touches a cache, except that a forked child reads the lists of all other threads
 * of its parent. So lists change in an order in which they are valid after every instruction (ORDERED).
 *
 * A signal handler that calls malloc, though POSIX forbids it, may come between any two instructions of its thread. A slow
 * path says that it is inside (report_enter) and shuts the bin that it changes (bin_take): the handler's malloc finds no block
 * there and its free no room, so both come to a slow path and are reported. The other bins are whole and serve the handler.
 * Only the fast paths are open, between reading a list's head and writing it (alloc/README.md, "Limits").
 */
#ifndef MYALLOC_BINS_H
#define MYALLOC_BINS_H

#include <stdatomic.h>

#include "base/base.h"
#include "base/freelist.h"
#include "base/sizeclass.h"

/* A fork copies this memory between any two instructions. A chain may be missing from the copy, but must not be in it
 * twice: it leaves one place before it enters the next, and the compiler must not change that. */
#define ORDERED() atomic_signal_fence(memory_order_seq_cst)

struct bin {
    void *head;
    int32_t count;         /* K1 */
    uint16_t limit;        /* the most blocks that the list may hold now */
    uint16_t refill_most;  /* blocks to ask for when the list has run empty; doubles with each time */
};

/* A thread's cache is NEW until the thread's first slow call opens it, and CLOSED for good when the thread ends. Only while it
 * is OPEN it keeps blocks and stands in the list of all caches. */
enum cache_state { CACHE_NEW, CACHE_OPEN, CACHE_CLOSED };

/* What threads' lists are for now: as fast as they can be; not used, since a mode must see every call; or counted, so that a
 * sample of allocations is taken by their bytes (cache_counted.h). */
enum cache_lists { LISTS_PLAIN, LISTS_OFF, LISTS_COUNTED };

#define STALE_CLASSES (CLASS_COUNT - 1 - EXACT_MAX / BLOCK_ALIGN) /* those above a KiB, the last ones (cache_stale.h) */

/* Large blocks that a thread keeps (cache_large.h). */
#define LARGE_SLOTS 5 /* as many of the shortest blocks that malloc takes for large fit into what may be kept */
struct large_slots {
    struct span *spans[LARGE_SLOTS]; /* K7 */
    size_t units;
    uint8_t seen;                    /* a bit a slot: what is there was there at the last look */
    uint8_t score;                   /* blocks that these have served, or would have, less others */
    uint8_t last_freed;              /* units of the block that was freed last, if none was taken since */
    uint8_t most;                    /* units that may be kept; 0: nothing is */
};

/* What only slow paths use of a cache, apart from it: static TLS is scarce. */
struct cache_slow {
    struct counted *counted;            /* NULL before this cache's calls are first counted */
    uint16_t earned_limit[CLASS_COUNT]; /* what a bin's limit is set to when the list is next begun: it grows with traffic */
    uint8_t times_full[CLASS_COUNT];    /* how often a list of this class was full, up to TIMES_FULL_WARM (cache_growth.h) */
    struct bin wide[CLASS_COUNT - FAST_CLASSES]; /* the bins of the wide classes */
    void *spare[CLASS_COUNT];           /* K2 */
    uint8_t swings[CLASS_COUNT];        /* how often the class sent blocks away and wanted some again (cache_growth.h) */
    bool sent_away[CLASS_COUNT];        /* it has since it last wanted some */
    size_t earned_bytes;                /* K4 */
    size_t window_bytes;                /* K4 */
    size_t small_seen;                  /* units of small spans beyond which windows are given up */
    unsigned last_shrunk;               /* class that was last to lose what it had earned to another class */
    unsigned last_set_aside;            /* class whose list was last set aside */
    unsigned last_looked_at;            /* class whose list was last looked at (cache_stale.h) */
    uint32_t seen[STALE_CLASSES];        /* says which list it had then */
    int calls_to_look;                  /* slow calls until this thread looks whether memory is to be given back */
    uint8_t wide_calls;                 /* that lists of wide classes have served */
    bool pause_again;                   /* a paused class has been called for the first time */
    uint8_t pause_left[FAST_CLASSES];   /* calls that a paused class makes before it goes on, or PAUSE_EMPTIED (cache_pause.h);
                                           0 if it is not paused */
    uint64_t pause_called[(FAST_CLASSES + 63) / 64]; /* which were called since lists were paused by time, a bit each */
    uint64_t paused_at;                 /* when that was, ms */
    uint64_t emptied_until;             /* when pauses of emptied classes end at the latest, ms */
    uint32_t emptied_floor;             /* they end when no more credit is left than that */
    uint64_t credit_at;                 /* when credit was last saved, ms; 0: never */
    uint32_t credit, credit_kept;       /* calls of emptied classes that are paid; of them those kept for the last */
    void *last_sent_home;               /* last block of a cold class: if it is freed again at once, that is a double free */
    uint16_t spare_length[CLASS_COUNT]; /* K2 */
    union {
        struct cache *next;             /* all open caches */
        struct cache_slow *next_unused; /* while no cache has it */
    };
    struct cache *prev;
    struct large_slots large;           /* what it keeps of large blocks */
    size_t bound, ungranted;            /* of a bounded cache: what all lists may hold; what of it no list has yet */
};

struct cache {
    struct bin bins[FAST_CLASSES];      /* first: cache_bin counts on it */
    struct cache_slow *slow;            /* NULL unless OPEN */
    enum cache_state state;
    uint8_t lists;                      /* enum cache_lists: what they are; the thread follows cache_lists_wanted */
    bool bounded;                       /* limits are granted by cache_bound.c and there are no spares */
    uint16_t tag;                       /* this thread's, for the heap profile (observe/tags.h) */
};

extern HIDDEN THREAD_LOCAL struct cache cache_self;
extern HIDDEN _Atomic uint8_t cache_lists_wanted; /* enum cache_lists; written by cache_set_lists */

_Static_assert(sizeof(struct bin) == CLASS_STEP, "a rounded size is the byte offset of its bin");

/* The bin of any class. Caller: the cache is OPEN. */
static inline struct bin *bin_of(const struct cache *cache, unsigned class) {
    const struct bin *bin = class < FAST_CLASSES ? &cache->bins[class] : &cache->slow->wide[class - FAST_CLASSES];
    return (struct bin *)(uintptr_t)bin;
}

/* The bin at a byte offset, as the unit map and the rounding of a size give it: of a class below FAST_CLASSES. */
static ALWAYS_INLINE struct bin THREAD_SEGMENT *cache_bin(size_t offset) {
    return (struct bin THREAD_SEGMENT *)THREAD_ADDRESS(cache_self, offset);
}

/* Takes the first block of a bin; NULL if it is empty. */
static ALWAYS_INLINE void *cache_pop(struct bin THREAD_SEGMENT *bin) {
    struct block *block = bin->head;
    if (LIKELY(block != NULL)) {
        bin->head = block->next;
        bin->count--;
        block->mark = 0;
    }
    return block;
}

/* Added to the count of a bin that is shut: above 0, whatever the list's length, so that every free is slow. */
#define BIN_SHUT (1 << 28)

/* Shuts the bin and takes its list out, until bin_put. *held is the list's length, and one more for each free that has raised
 * the count but not yet pushed its block. Each change is one instruction, so that a signal handler finds the bin either open
 * and whole or shut and empty. */
static inline struct block *bin_take(struct bin *bin, size_t *held) {
    arch_add(&bin->count, BIN_SHUT);
    ORDERED();
    struct block *list = bin->head != NULL ? __atomic_exchange_n(&bin->head, NULL, __ATOMIC_RELAXED) : NULL;
    ORDERED();
    *held = (size_t)(bin->count - BIN_SHUT + bin->limit);
    return list;
}

/* Opens a shut bin with a list of `held` blocks, of which it may have `limit`. */
static inline void bin_put(struct bin *bin, struct block *list, size_t held, size_t limit) {
    int32_t more = (int32_t)held - (int32_t)limit - bin->count;
    bin->limit = (uint16_t)limit;
    ORDERED();
    bin->head = list;
    ORDERED();
    arch_add(&bin->count, more);
}

/* Takes the spare chain of the class out of the cache; NULL if there is none. */
static inline struct block *bin_take_spare(struct cache *cache, unsigned class) {
    struct block *spare = cache->slow->spare[class];
    cache->slow->spare[class] = NULL;
    ORDERED();
    return spare;
}

/* Makes a chain of `length` blocks the spare of the class. Caller: there is none. */
static inline void bin_put_spare(struct cache *cache, unsigned class, struct block *chain, size_t length) {
    cache->slow->spare_length[class] = (uint16_t)length;
    ORDERED();
    cache->slow->spare[class] = chain;
}

#endif
