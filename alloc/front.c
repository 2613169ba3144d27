/* SPDX-License-Identifier: MIT */
#include "front.h"

#include <errno.h>
#include <string.h>

#include "central.h"
#include "environment.h"
#include "large.h"
#include "sizeclass.h"
#include "span.h"
#include "tunables.h"

/* From here on a block that outgrows its place moves its pages instead of copying them. */
#define STEAL_MIN (128 * KIB)

/* ---- allocation -------------------------------------------------------------------------------------------------- */

static void *alloc_class(unsigned class) {
    void *block = front_pop(cache_bin(class * CLASS_STEP));
    return LIKELY(block != NULL) ? block : cache_refill_slow(class);
}

static void *alloc_large(size_t bytes, size_t align, bool *zeroed) {
    bool own_mapping = bytes >= tunables.mmap_threshold;
    *zeroed = true;
    span_look();
    if (own_mapping) {
        void *p = large_alloc(bytes, align);
        if (p != NULL)
            return p;
    }
    struct span *span = span_acquire_large(units_for(bytes), align, zeroed);
    if (span != NULL)
        return span_address(span);
    *zeroed = true;
    return own_mapping ? NULL : large_alloc(bytes, align);
}

static void *alloc_once(size_t bytes, size_t align, bool *zeroed) {
    *zeroed = false;
    unsigned class = align <= BLOCK_ALIGN ? (bytes <= SMALL_MAX ? class_of(bytes) : 0) : class_of_aligned(bytes, align);
    return class != 0 ? alloc_class(class) : alloc_large(bytes, align, zeroed);
}

/* The one place where errno is set. */
static COLD void *no_memory(void) {
    errno = ENOMEM;
    return NULL;
}

/* bytes > 0. When the OS refuses, what lies unused in lists is brought together and the request tried once more. */
static void *alloc_any(size_t bytes, size_t align, bool *zeroed) {
    environment_read();
    if (bytes > SIZE_LIMIT - UNIT || align > SIZE_LIMIT - bytes)
        return no_memory();
    void *p = alloc_once(bytes, align, zeroed);
    if (LIKELY(p != NULL))
        return p;
    front_trim(0);
    p = alloc_once(bytes, align, zeroed);
    return p ? p : no_memory();
}

NOINLINE void *front_alloc_slow(size_t bytes) {
    if (bytes > EXACT_MAX && bytes <= SMALL_MAX) {
        void *block = front_pop(cache_bin(class_of(bytes) * CLASS_STEP));
        if (LIKELY(block != NULL))
            return block;
    }
    bool zeroed;
    return alloc_any(bytes ? bytes : 1, BLOCK_ALIGN, &zeroed);
}

void *front_zalloc(size_t count, size_t bytes) {
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total))
        return no_memory();
    bool zeroed = false;
    void *p = total <= SMALL_MAX ? front_alloc(total) : alloc_any(total, BLOCK_ALIGN, &zeroed);
    if (p != NULL && !zeroed)
        memset(p, 0, total);
    return p;
}

void *front_aligned(size_t align, size_t bytes) {
    bool zeroed;
    if (align <= BLOCK_ALIGN)
        return front_alloc(bytes);
    return alloc_any(bytes ? bytes : 1, align, &zeroed);
}

/* ---- free -------------------------------------------------------------------------------------------------------- */

/* Class of a small block that the unit map's window does not reach, else 0. */
static unsigned class_outside_window(const void *p) {
    const struct span *span = (uintptr_t)p % BLOCK_ALIGN == 0 ? span_find(p) : NULL;
    return span != NULL && span->state == SPAN_SMALL ? span->class : 0;
}

static unsigned class_at(const void *p) {
    unsigned entry = unitmap_find(p);
    return LIKELY(entry != 0) ? entry / CLASS_STEP : class_outside_window(p);
}

/* The LARGE span that starts at p, or NULL. */
static struct span *large_span_at(const void *p) {
    struct span *span = span_find(p);
    return span != NULL && span->state == SPAN_LARGE && span_address(span) == p ? span : NULL;
}

static void free_small_slow(void *p, unsigned class, const char *call, bool counted) {
    struct bin *bin = &cache_self.bins[class];
    if (bin->head == p)
        report_misuse(call, p, DOUBLE_FREE);
    if (!counted && ++bin->count < 0)
        freelist_push(&bin->head, p);
    else
        cache_overflow_slow(p, class);
}

NOINLINE void front_free_slow(void *p, const char *call) {
    cache_self.bins[0].count = 0; /* K3: where every free of something else than a small block is counted */
    if (p == NULL)
        return;
    unsigned entry = unitmap_find(p), outside = 0;
    if (entry != 0) {
        free_small_slow(p, entry / CLASS_STEP, call, true);
        return;
    }
    struct span *span = large_span_at(p);
    if (span != NULL)
        span_release(span);
    else if ((outside = class_outside_window(p)) != 0)
        free_small_slow(p, outside, call, false);
    else if (!large_free(p))
        report_misuse(call, p, INVALID_POINTER);
}

/* ---- size and resizing ------------------------------------------------------------------------------------------- */

size_t front_usable(const void *p, const char *call) {
    if (p == NULL)
        return 0;
    unsigned class = class_at(p);
    if (class != 0)
        return class_bytes(class);
    const struct span *span = large_span_at(p);
    size_t bytes = span ? (size_t)span->units << UNIT_SHIFT : large_bytes(p);
    if (bytes == 0)
        report_misuse(call, p, INVALID_POINTER);
    return bytes;
}

/* A block that cannot be copied to a smaller place stays where it is. */
static void *move(void *p, size_t old, size_t bytes, const char *call) {
    void *fresh = front_alloc(bytes);
    if (fresh == NULL)
        return bytes <= old ? p : NULL;
    memcpy(fresh, p, min_size(old, bytes));
    front_free(p, call);
    return fresh;
}

/* A large block that cannot grow where it is: its pages move, so that nothing is copied and no page is faulted anew. */
static void *move_pages(struct span *span, size_t bytes) {
    size_t old = (size_t)span->units << UNIT_SHIFT;
    if (old < STEAL_MIN || bytes < old)
        return NULL;
    void *moved = large_steal(span_address(span), old, bytes);
    if (moved == NULL)
        return NULL;
    span_release(span);
    return moved;
}

static void *resize_span(struct span *span, size_t bytes, const char *call) {
    void *p = span_address(span);
    size_t old = (size_t)span->units << UNIT_SHIFT;
    if (bytes > SMALL_MAX && span_try_resize(span, units_for(bytes)))
        return p;
    void *moved = move_pages(span, bytes);
    return moved ? moved : move(p, old, bytes, call);
}

static void *resize_mapping(void *p, size_t bytes, const char *call) {
    size_t old = large_bytes(p);
    if (old == 0)
        report_misuse(call, p, INVALID_POINTER);
    if (bytes <= old / 2 && bytes < tunables.mmap_threshold) {
        void *moved = move(p, old, bytes, call);
        if (moved != p)
            return moved;
    }
    void *resized = large_resize(p, bytes);
    if (resized == NULL) {
        front_trim(0);
        resized = large_resize(p, bytes);
    }
    return resized ? resized : no_memory();
}

void *front_realloc(void *p, size_t bytes, const char *call) {
    if (p == NULL)
        return front_alloc(bytes);
    if (bytes > SIZE_LIMIT - UNIT)
        return no_memory();
    unsigned class = class_at(p);
    if (LIKELY(class != 0)) {
        size_t old = class_bytes(class);
        return bytes <= old && bytes >= old / 2 ? p : move(p, old, bytes, call);
    }
    struct span *span = large_span_at(p);
    return span != NULL ? resize_span(span, bytes, call) : resize_mapping(p, bytes, call);
}

size_t front_trim(size_t pad) {
    cache_flush();
    central_flush();
    return span_purge(0, pad);
}
