/* SPDX-License-Identifier: MIT */
#include "kit/own.h"

#include <stdatomic.h>

/* The first lie among the small variables, so that such a program touches no page for them. */
struct own_range own_first[OWN_FIRST], own_further[OWN_MOST - OWN_FIRST] BIG_TABLE;
static _Atomic size_t tried; /* none behind was ever used */

static struct own_range *nth(size_t i) {
    return i < OWN_FIRST ? &own_first[i] : &own_further[i - OWN_FIRST];
}

/* The entry with this start among the first `count`; NULL if there is none. */
static struct own_range *find(uintptr_t start, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (atomic_load_explicit(&nth(i)->start, memory_order_relaxed) == start)
            return nth(i);
    return NULL;
}

static bool try_take(size_t i, uintptr_t start) {
    uintptr_t empty = 0;
    if (atomic_load_explicit(&nth(i)->start, memory_order_relaxed) != 0 ||
        !atomic_compare_exchange_strong(&nth(i)->start, &empty, start))
        return false;
    size_t most = atomic_load_explicit(&tried, memory_order_relaxed);
    while (most <= i && !atomic_compare_exchange_weak(&tried, &most, i + 1))
        continue;
    return true;
}

static struct own_range *take(uintptr_t start) {
    for (size_t i = 0; i < OWN_MOST; i++)
        if (try_take(i, start))
            return nth(i);
    return NULL;
}

void own_note(const void *start, size_t bytes) {
    struct own_range *range = find((uintptr_t)start, tried);
    if (range == NULL)
        range = take((uintptr_t)start);
    if (range != NULL)
        atomic_store_explicit(&range->bytes, bytes, memory_order_relaxed);
}

void own_forget(const void *start) {
    struct own_range *range = find((uintptr_t)start, tried);
    if (range == NULL)
        return;
    atomic_store_explicit(&range->bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&range->start, 0, memory_order_release);
}

void own_each(void (*see)(const void *start, size_t bytes, void *data), void *data) {
    for (size_t i = 0; i < tried; i++) {
        uintptr_t start = atomic_load_explicit(&nth(i)->start, memory_order_acquire);
        size_t bytes = atomic_load_explicit(&nth(i)->bytes, memory_order_relaxed);
        if (start != 0 && bytes != 0)
            see((const void *)start, bytes, data);
    }
}
