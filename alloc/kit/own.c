/* SPDX-License-Identifier: MIT */
#include "kit/own.h"

#include <stdatomic.h>

static struct range {
    _Atomic uintptr_t start; /* 0: empty */
    _Atomic size_t bytes;    /* 0 for a moment, where the range has just been noted */
} ranges[OWN_MOST];

/* The entry with this start: 0 for an empty one. NULL if there is none. */
static struct range *find(uintptr_t start) {
    for (size_t i = 0; i < OWN_MOST; i++)
        if (atomic_load_explicit(&ranges[i].start, memory_order_relaxed) == start)
            return &ranges[i];
    return NULL;
}

void own_note(const void *start, size_t bytes) {
    struct range *range = find((uintptr_t)start);
    uintptr_t empty = 0;
    while (range == NULL && (range = find(0)) != NULL) {
        if (!atomic_compare_exchange_strong(&range->start, &empty, (uintptr_t)start))
            range = NULL;
        empty = 0;
    }
    if (range != NULL)
        atomic_store_explicit(&range->bytes, bytes, memory_order_relaxed);
}

void own_forget(const void *start) {
    struct range *range = find((uintptr_t)start);
    if (range == NULL)
        return;
    atomic_store_explicit(&range->bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&range->start, 0, memory_order_release);
}

void own_each(void (*see)(const void *start, size_t bytes, void *data), void *data) {
    for (size_t i = 0; i < OWN_MOST; i++) {
        uintptr_t start = atomic_load_explicit(&ranges[i].start, memory_order_acquire);
        size_t bytes = atomic_load_explicit(&ranges[i].bytes, memory_order_relaxed);
        if (start != 0 && bytes != 0)
            see((const void *)start, bytes, data);
    }
}
