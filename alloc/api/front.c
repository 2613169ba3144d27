/* SPDX-License-Identifier: MIT */
#include "api/front.h"

#include <errno.h>
#include <string.h>

#include "base/sizeclass.h"
#include "kit/modes.h"
#include "kit/tunables.h"
#include "heap/central.h"
#include "heap/mapped.h"
#include "heap/span.h"
#include "callers/backtrace.h"
#include "protect/guarded.h"
#include "protect/hardened.h"
#include "process/verify.h"

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
        void *p = mapped_alloc(bytes, align);
        if (p != NULL)
            return p;
    }
    struct span *span = span_acquire_large(units_for(bytes), align, zeroed);
    if (span != NULL)
        return span_address(span);
    *zeroed = true;
    return own_mapping ? NULL : mapped_alloc(bytes, align);
}

static void *alloc_once(size_t bytes, size_t align, bool *zeroed) {
    *zeroed = false;
    unsigned class = align <= BLOCK_ALIGN ? (bytes <= SMALL_MAX ? class_of(bytes) : 0) : class_of_aligned(bytes, align);
    return class != 0 ? alloc_class(class) : alloc_large(bytes, align, zeroed);
}

static THREAD_LOCAL int errno_before_refusal;

/* The one place where errno is set. */
COLD void *front_no_memory(void) {
    errno_before_refusal = errno;
    errno = ENOMEM;
    return NULL;
}

/* A smaller place was refused to a block, so it stays where it is: the call has succeeded. */
static COLD void *stay(void *p) {
    errno = errno_before_refusal;
    return p;
}

/* bytes > 0. When the OS refuses, what lies unused in lists is brought together and the request tried once more. */
void *front_raw_alloc(size_t bytes, size_t align, bool *zeroed) {
    if (bytes > SIZE_LIMIT - UNIT || align > SIZE_LIMIT - bytes)
        return front_no_memory();
    void *p = alloc_once(bytes, align, zeroed);
    if (LIKELY(p != NULL))
        return p;
    front_trim(0);
    p = alloc_once(bytes, align, zeroed);
    return p ? p : front_no_memory();
}

static void *alloc_any(size_t bytes, size_t align, bool *zeroed, const char *call) {
    verify_now_and_then();
    report_thread.call = call;
    if (modes_any())
        return front_watched_alloc(bytes, align, zeroed, call);
    return front_raw_alloc(bytes ? bytes : 1, align, zeroed);
}

/* `caller` is where the program called from, if our entry point jumped here as its last act. */
static COLD void *alloc_watched_slow(size_t bytes, const char *call, const void *caller) {
    bool zeroed;
    report_thread.call = call;
    backtrace_caller = caller;
    void *p = front_watched_alloc(bytes, BLOCK_ALIGN, &zeroed, call);
    backtrace_caller = NULL;
    return p;
}

static COLD void free_watched_slow(void *p, const char *call, size_t bytes, size_t align, const void *caller) {
    backtrace_caller = caller;
    front_watched_free(p, call, bytes, align);
    backtrace_caller = NULL;
}

/* Guarded pages are all there is, and it is not the turn of this allocation. */
static bool skips_guard(size_t bytes) {
    return modes_only(MODE_GUARDED) && LIKELY(!guarded_is_due(cache_stands_for(bytes)));
}

NOINLINE void *front_alloc_slow(size_t bytes, const char *call) {
    if (bytes > EXACT_MAX && bytes <= SMALL_MAX) {
        void *block = front_pop(cache_bin(class_of(bytes) * CLASS_STEP));
        if (LIKELY(block != NULL))
            return block;
    }
    if (modes_any() && !skips_guard(bytes))
        return alloc_watched_slow(bytes, call, __builtin_return_address(0));
    bool zeroed;
    verify_now_and_then();
    report_thread.call = call;
    return front_raw_alloc(bytes ? bytes : 1, BLOCK_ALIGN, &zeroed);
}

void *front_zalloc(size_t count, size_t bytes) {
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total))
        return front_no_memory();
    bool zeroed = false;
    void *p = total <= SMALL_MAX ? front_alloc(total, "calloc") : alloc_any(total, BLOCK_ALIGN, &zeroed, "calloc");
    if (p != NULL && !zeroed)
        memset(p, 0, total);
    return p;
}

/* Blocks of a size that is a multiple of the alignment are aligned to it (class_of_aligned), and so is all that lies on
 * their list. */
void *front_aligned(size_t align, size_t bytes, const char *call) {
    bool zeroed;
    if (align <= BLOCK_ALIGN)
        return front_alloc(bytes, call);
    if (align <= EXACT_MAX && bytes <= EXACT_MAX) {
        size_t rounded = align_up(bytes, align);
        void *block = rounded <= EXACT_MAX ? front_pop(cache_bin(rounded)) : NULL;
        if (LIKELY(block != NULL))
            return block;
    }
    return alloc_any(bytes, align, &zeroed, call);
}

/* ---- free -------------------------------------------------------------------------------------------------------- */

/* Class of a small block that the unit map does not show or reach, else 0. */
static unsigned class_outside_window(const void *p) {
    const struct span *span = (uintptr_t)p % BLOCK_ALIGN == 0 ? span_find(p) : NULL;
    return span != NULL && span->state == SPAN_SMALL ? span->class : 0;
}

/* The LARGE span that starts at p, or NULL. */
static struct span *large_span_at(const void *p) {
    struct span *span = span_find(p);
    return span != NULL && span->state == SPAN_LARGE && span_address(span) == p ? span : NULL;
}

static void free_small_slow(void *p, unsigned class, const char *call, bool counted) {
    struct bin *bin = &cache_self.bins[class];
    if (bin->head == p || cache_self.spare[class] == p) {
        if (counted)
            bin->count--;
        report_bad_call(call, p, DOUBLE_FREE);
        return;
    }
    if (!counted && ++bin->count < 0)
        freelist_push(&bin->head, p);
    else
        cache_overflow_slow(p, class);
}

/* A block of any kind that the unit map says nothing of. */
void front_raw_free(void *p, const char *call) {
    struct span *span = large_span_at(p);
    unsigned class;
    if (span != NULL)
        span_release(span);
    else if ((class = class_outside_window(p)) != 0)
        free_small_slow(p, class, call, false);
    else if (!mapped_free(p))
        report_bad_call(call, p, p == cache_self.gone ? DOUBLE_FREE : INVALID_POINTER);
}

NOINLINE void front_free_slow(void *p, const char *call, size_t bytes, size_t align,
                              struct bin THREAD_SEGMENT *counted) {
    cache_self.bins[0].count = 0; /* K3: where every free of something else than a small block is counted */
    if (p == NULL)
        return;
    report_thread.call = call;
    size_t offset = (uintptr_t)counted - (uintptr_t)cache_bin(0);
    if (offset != 0)
        free_small_slow(p, (unsigned)(offset / CLASS_STEP), call, true);
    else if (modes_any())
        free_watched_slow(p, call, bytes, align, __builtin_return_address(0));
    else
        front_raw_free(p, call);
}

/* ---- size and resizing ------------------------------------------------------------------------------------------- */

size_t front_raw_usable(const void *p) {
    unsigned class = class_outside_window(p);
    if (class != 0)
        return class_bytes(class);
    const struct span *span = large_span_at(p);
    return span ? (size_t)span->units << UNIT_SHIFT : mapped_bytes(p);
}

size_t front_usable(const void *p, const char *call) {
    if (p == NULL)
        return 0;
    unsigned entry = unitmap_find(p);
    if (LIKELY(entry != 0))
        return class_bytes(entry / CLASS_STEP);
    report_thread.call = call;
    if (modes_any())
        return front_watched_usable(p, call);
    size_t bytes = front_raw_usable(p);
    if (bytes == 0)
        report_bad_call(call, p, INVALID_POINTER);
    return bytes;
}

/* A block that cannot be copied to a smaller place stays where it is. */
static void *move(void *p, size_t old, size_t bytes, const char *call) {
    void *fresh = front_alloc(bytes, call);
    if (fresh == NULL)
        return bytes <= old ? stay(p) : NULL;
    memcpy(fresh, p, min_size(old, bytes));
    front_free(p, call);
    return fresh;
}

/* A large block that cannot grow where it is: its pages move, so that nothing is copied and no page is faulted anew. */
static void *move_pages(struct span *span, size_t bytes) {
    size_t old = (size_t)span->units << UNIT_SHIFT;
    if (old < STEAL_MIN || bytes < old)
        return NULL;
    void *moved = mapped_steal(span_address(span), old, bytes);
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
    size_t old = mapped_bytes(p);
    if (old == 0) {
        report_bad_call(call, p, INVALID_POINTER);
        return front_no_memory();
    }
    if (bytes <= old / 2 && bytes < tunables.mmap_threshold) {
        void *moved = move(p, old, bytes, call);
        if (moved != p)
            return moved;
    }
    void *resized = mapped_resize(p, bytes);
    if (resized == NULL) {
        front_trim(0);
        resized = mapped_resize(p, bytes);
    }
    return resized ? resized : front_no_memory();
}

static ALWAYS_INLINE void *resize_small(void *p, unsigned class, size_t bytes, const char *call) {
    size_t old = class_bytes(class);
    return bytes <= old && bytes >= old / 2 ? p : move(p, old, bytes, call);
}

static NOINLINE void *realloc_slow(void *p, size_t bytes, const char *call) {
    report_thread.call = call;
    if (modes_any())
        return front_watched_realloc(p, bytes, call);
    unsigned class = class_outside_window(p);
    if (class != 0)
        return resize_small(p, class, bytes, call);
    struct span *span = large_span_at(p);
    return span != NULL ? resize_span(span, bytes, call) : resize_mapping(p, bytes, call);
}

void *front_realloc(void *p, size_t bytes, const char *call) {
    if (p == NULL)
        return front_alloc(bytes, call);
    if (bytes > SIZE_LIMIT - UNIT)
        return front_no_memory();
    unsigned entry = unitmap_find(p);
    return LIKELY(entry != 0) ? resize_small(p, entry / CLASS_STEP, bytes, call) : realloc_slow(p, bytes, call);
}

void *front_raw_resize(void *p, size_t bytes) {
    struct span *span = large_span_at(p);
    if (span != NULL)
        return span_try_resize(span, units_for(bytes)) ? p : move_pages(span, bytes);
    return mapped_bytes(p) != 0 ? mapped_resize(p, bytes) : NULL;
}

void *front_raw_start(const void *p) {
    const struct span *span = span_find(p);
    if (span == NULL)
        return mapped_bytes(p) != 0 ? (void *)(uintptr_t)p : NULL;
    char *start = span_address(span);
    if (span->state != SPAN_SMALL)
        return start;
    size_t size = class_bytes(span->class), index = (size_t)((const char *)p - start) / size;
    return index < span->carved ? start + index * size : NULL;
}

size_t front_trim(size_t pad) {
    cache_flush();
    central_flush();
    mapped_trim();
    size_t hardened = modes_has(MODE_HARDENED) ? hardened_trim(false) : 0;
    return hardened + span_purge(0, pad);
}
