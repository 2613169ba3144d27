/* SPDX-License-Identifier: MIT */
#include "callers/stacks.h"

#include <stdatomic.h>
#include <string.h>

#include "os/os.h"
#include "kit/budget.h"
#include "kit/lock.h"
#include "kit/strip.h"

#define BUCKETS ((size_t)1 << 16)
#define COMMIT_STEP (256 * KIB)

static struct lock stacks_lock;
/* A stack's number is its distance from here in words. The first word is never used: number 0 is no stack. */
static uint64_t *words;
extern HIDDEN uint64_t *stacks_words __attribute__((alias("words")));
static size_t used, committed; /* words, bytes */
static struct strip strip;
static _Atomic(_Atomic uint32_t *) buckets; /* NULL until the store is set up; each has the number of its latest stack */

static struct stack *at(uint32_t number) {
    return (struct stack *)(words + number);
}

static uint32_t hash_of(void *const *frames, unsigned count) {
    uint64_t hash = count, factor = UINT64_C(0x9e3779b97f4a7c15); /* odd, and so is each multiple by an odd number */
    for (unsigned i = 0; i < count; i++) /* no product waits for another */
        hash += (uintptr_t)frames[i] * (factor * (2 * i + 1));
    return (uint32_t)((hash ^ hash >> 32) * factor >> 32);
}

static uint32_t find(uint32_t number, uint32_t hash, void *const *frames, unsigned count) {
    for (; number != 0; number = at(number)->next) {
        const struct stack *stack = at(number);
        if (stack->hash == hash && stack->count == count && memcmp(stack->frames, frames, count * sizeof *frames) == 0)
            return number;
    }
    return 0;
}

static bool set_up_locked(void) {
    if (atomic_load_explicit(&buckets, memory_order_relaxed) != NULL)
        return true;
    static const struct strip_plan plan = {COMMIT_STEP, STACKS_ROOM, STACKS_ROOM};
    if (strip.start == NULL && !strip_open(&strip, os_place(STRIP_PLACE(plan.most)), &plan))
        return false;
    void *heads = budget_map(BUCKETS * sizeof *buckets);
    if (heads == NULL)
        return false;
    words = (uint64_t *)(void *)strip.start;
    used = 1;
    atomic_store_explicit(&buckets, heads, memory_order_release);
    return true;
}

static bool reserve_locked(size_t more) {
    size_t end = (used + more) * sizeof *words;
    if (end > committed) {
        if (!strip_reach(&strip, committed + COMMIT_STEP) || !budget_commit(strip.start + committed, COMMIT_STEP))
            return false;
        committed += COMMIT_STEP;
    }
    return true;
}

static uint32_t add_locked(_Atomic uint32_t *bucket, uint32_t hash, void *const *frames, unsigned count) {
    size_t need = (sizeof(struct stack) + count * sizeof *frames + sizeof *words - 1) / sizeof *words;
    if (!reserve_locked(need))
        return 0;
    uint32_t number = (uint32_t)used;
    struct stack *stack = at(number);
    *stack = (struct stack){.next = *bucket, .hash = hash, .count = count};
    memcpy(stack->frames, frames, count * sizeof *frames);
    used += need;
    atomic_store_explicit(bucket, number, memory_order_release);
    return number;
}

static COLD uint32_t add_slow(uint32_t hash, void *const *frames, unsigned count) {
    uint32_t number = 0;
    lock_acquire(&stacks_lock, LOCK_STACKS);
    if (set_up_locked()) {
        _Atomic uint32_t *bucket = &buckets[hash % BUCKETS];
        number = find(*bucket, hash, frames, count); /* another thread may have added it */
        if (number == 0)
            number = add_locked(bucket, hash, frames, count);
    }
    lock_release(&stacks_lock, LOCK_STACKS);
    return number;
}

/* A stack that is known is found without the lock: what a bucket's number leads to does not change (F2). */
uint32_t stacks_keep(void *const *frames, unsigned count) {
    if (count == 0 || count > UNWIND_MOST)
        return 0;
    uint32_t hash = hash_of(frames, count), number = 0;
    _Atomic uint32_t *heads = atomic_load_explicit(&buckets, memory_order_acquire);
    if (LIKELY(heads != NULL))
        number = find(atomic_load_explicit(&heads[hash % BUCKETS], memory_order_acquire), hash, frames, count);
    return LIKELY(number != 0) ? number : add_slow(hash, frames, count);
}

uint32_t stacks_capture(void) {
    void *frames[UNWIND_MOST];
    unsigned count = unwind_capture(frames, UNWIND_MOST, 0);
    return stacks_keep(frames, count);
}

void *const *stacks_frames(uint32_t number, unsigned *count) {
    *count = number != 0 ? at(number)->count : 0;
    return number != 0 ? at(number)->frames : NULL;
}

const struct lock_set stacks_locks = {.rank = LOCK_STACKS, .lock = &stacks_lock};
