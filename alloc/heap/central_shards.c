/* SPDX-License-Identifier: MIT */
#include "heap/central_class.h"

#include <stdatomic.h>

#include "os/os.h"

/* Twice as many shards where the lock of one was taken on another processor than before so many times. */
#define MOVES_TO_SPLIT 2
/* ... and where it has so much memory: classes of a few blocks have one shard. */
#define SPLIT_LEAST (64 * KIB)

struct class central_classes[(CLASS_COUNT - 1) * SHARDS_MOST] BIG_TABLE;
static _Atomic uint16_t row_of[CLASS_COUNT]; /* of a class: its row in central_classes, counted from 1; 0: not used yet */
static _Atomic uint16_t further_rows[CLASS_COUNT][SHARDS_MOST - 1] BIG_TABLE; /* those of its shards but the first */
static _Atomic uint8_t shard_bits[CLASS_COUNT]; /* a class has 2 to the power of that many shards */
_Atomic unsigned central_class_count;
struct lock central_first_use_lock;

/* A power of two; not all of them may have been used yet. */
static unsigned shards_of(unsigned index) {
    return 1u << atomic_load_explicit(&shard_bits[index], memory_order_relaxed);
}

static _Atomic uint16_t *row_of_shard(unsigned index, unsigned shard) {
    return shard == 0 ? &row_of[index] : &further_rows[index][shard - 1];
}

struct class *central_find_shard(unsigned index, unsigned shard) {
    unsigned row = atomic_load_explicit(row_of_shard(index, shard), memory_order_acquire);
    return row > 0 ? &central_classes[row - 1] : NULL;
}

static COLD struct class *first_use(unsigned index, unsigned shard) {
    lock_acquire(&central_first_use_lock, LOCK_FIRST_USE);
    struct class *class = central_find_shard(index, shard);
    if (class == NULL) {
        class = &central_classes[central_class_count];
        class->index = (uint8_t)index;
        class->shard = (uint8_t)shard;
        class->units[0] = (uint8_t)class_units(index, false);
        class->units[1] = (uint8_t)class_units(index, true);
        class->size = (uint16_t)class_bytes(index);
        class->reciprocal = class_reciprocal(index);
        if (lock_is_forking()) /* a fork handler of the program allocates: this thread holds all locks, so this one, too */
            lock_acquire_forking(&class->lock);
        central_class_count++;
        atomic_store_explicit(row_of_shard(index, shard), (uint16_t)central_class_count, memory_order_release);
    }
    lock_release(&central_first_use_lock, LOCK_FIRST_USE);
    return class;
}

struct class *central_next_shard(unsigned index, unsigned *n) {
    struct class *class = NULL;
    for (unsigned shards = shards_of(index); class == NULL && *n < shards; ++*n)
        class = central_find_shard(index, *n);
    return class;
}

struct class *central_shard_here(unsigned index) {
    unsigned shards = shards_of(index), shard = LIKELY(shards == 1) ? 0 : os_processor() & (shards - 1);
    struct class *class = central_find_shard(index, shard);
    return LIKELY(class != NULL) ? class : first_use(index, shard);
}

/* Where the span has been released meanwhile, the word says something else. */
READS_OTHERS struct class *central_owner(unsigned index, const struct span *span) {
    unsigned shard = atomic_load_explicit(&span->shard, memory_order_relaxed);
    return shard < SHARDS_MOST ? central_find_shard(index, shard) : NULL;
}

struct class *central_lock_if_has(unsigned index, const struct span *span) {
    struct class *class = index != 0 ? central_owner(index, span) : NULL;
    if (class == NULL)
        return NULL;
    lock_acquire(&class->lock, LOCK_CLASS);
    if (class_of_span(span) == index && central_owns(class, span))
        return class;
    lock_release(&class->lock, LOCK_CLASS);
    return NULL;
}

static COLD void split_slow_locked(struct class *class) {
    unsigned shards = shards_of(class->index);
    class->moves = 0;
    if (shards < SHARDS_MOST && class_memory(class) >= SPLIT_LEAST)
        atomic_fetch_add_explicit(&shard_bits[class->index], 1, memory_order_relaxed);
}

void central_visited_locked(struct class *class) {
    if (transfer_threads <= 1)
        return;
    unsigned processor = os_processor();
    if (LIKELY(processor == class->processor))
        return;
    class->processor = processor;
    if (UNLIKELY(++class->moves >= MOVES_TO_SPLIT))
        split_slow_locked(class);
}

bool central_next_near_locked(struct class *class, unsigned *n, struct class **other) {
    unsigned shards = shards_of(class->index), bit = 1u << *n;
    if (bit > shards || shards == 1)
        return false;
    unsigned shard = bit < shards ? class->shard ^ bit : class->looked_at++ & (shards - 1);
    *other = shard != class->shard ? central_find_shard(class->index, shard) : NULL;
    ++*n;
    return true;
}
