/* SPDX-License-Identifier: MIT */
#include "heap/plain.h"

#include <errno.h>

#include "base/freelist.h"
#include "base/sizeclass.h"
#include "os/os.h"
#include "kit/budget.h"
#include "kit/report.h"
#include "kit/tunables.h"
#include "heap/aside.h"
#include "heap/cache.h"
#include "heap/cache_bound.h"
#include "heap/cache_large.h"
#include "heap/central.h"
#include "heap/double_free.h"
#include "heap/holes.h"
#include "heap/mapped.h"
#include "heap/mark.h"
#include "heap/slab.h"

/* From here on a block that outgrows its place moves its pages instead of copying them. */
#define STEAL_MIN (128 * KIB)

/* ---- allocation -------------------------------------------------------------------------------------------------- */

static void *alloc_class(unsigned class) {
    void *block = class < FAST_CLASSES ? cache_pop(cache_bin(class * CLASS_STEP)) : cache_pop_wide(class);
    return LIKELY(block != NULL) ? block : cache_refill_slow(class);
}

#define LARGE_CALLS 8 /* of a wide class that a large block which the thread had kept stands for */

static struct span *take_kept(size_t units) {
    struct span *span = cache_self.slow != NULL ? large_take(&cache_self.slow->large, units) : NULL;
    if (span != NULL)
        cache_come_by_served(LARGE_CALLS);
    return span;
}

/* With decay_ms:0 what is free goes to the OS at once, and under a bound a thread has what it was granted. */
static bool keep(struct span *span) {
    bool may = cache_keeps(&cache_self) && tunables.decay_ms > 0 && !cache_bound_applies(&cache_self);
    return may && large_keep(&cache_self.slow->large, span);
}

static void *alloc_large(size_t bytes, size_t align, bool *zeroed) {
    bool own_mapping = bytes >= tunables.mmap_threshold;
    struct span *kept = own_mapping || align > UNIT ? NULL : take_kept(units_for(bytes));
    if (kept != NULL)
        return span_address(kept);
    cache_come_by_large();
    if (own_mapping) {
        void *p = mapped_alloc(bytes, align, zeroed);
        if (p != NULL)
            return p;
    }
    struct span *span = span_acquire_large(units_for(bytes), align, zeroed);
    if (span != NULL)
        return span_address(span);
    return own_mapping ? NULL : mapped_alloc(bytes, align, zeroed);
}

static void *alloc_once(size_t bytes, size_t align, bool *zeroed) {
    *zeroed = false;
    unsigned class = align <= BLOCK_ALIGN ? (bytes <= SMALL_MAX ? class_of(bytes) : 0) : class_of_aligned(bytes, align);
    return class != 0 ? alloc_class(class) : alloc_large(bytes, align, zeroed);
}

static THREAD_LOCAL int errno_before_refusal;

void *plain_no_memory(void) {
    errno_before_refusal = errno;
    errno = ENOMEM;
    return NULL;
}

void *plain_stay(void *p) {
    errno = errno_before_refusal;
    return p;
}

/* Brings together what this thread and the central lists hold, and gives free spans back. Returns the bytes that the OS got. */
static size_t gather(size_t pad) {
    cache_flush();
    central_flush();
    mapped_trim();
    return span_purge(pad);
}

/* Whether the OS would refuse even what a block needs beside all that has been taken: then it helps nothing to give that back.
 * A program that asks for what there cannot be, again and again, keeps its lists. */
static COLD bool is_hopeless(size_t bytes) {
    size_t taken = budget_taken();
    if (bytes > budget_limit())
        return true;
    if (bytes <= taken)
        return false;
    void *trial = os_map(bytes - taken, OS_PAGE, os_unmap);
    if (trial != NULL)
        os_unmap(trial, bytes - taken);
    return trial == NULL;
}

void *plain_alloc(size_t bytes, size_t align, bool *zeroed) {
    if (bytes > SIZE_LIMIT - UNIT || align > SIZE_LIMIT - bytes)
        return plain_no_memory();
    void *p = alloc_once(bytes, align, zeroed);
    if (LIKELY(p != NULL))
        return p;
    if (is_hopeless(bytes))
        return plain_no_memory();
    gather(0);
    p = alloc_once(bytes, align, zeroed);
    return p ? p : plain_no_memory();
}

/* ---- finding and freeing ------------------------------------------------------------------------------------------ */

unsigned plain_class(const void *p) {
    const struct span *span = (uintptr_t)p % BLOCK_ALIGN == 0 ? span_find(p) : NULL;
    return span != NULL && span->state == SPAN_SMALL ? span->class : 0;
}

struct span *plain_large_span(const void *p) {
    struct span *span = span_find(p);
    bool large = span != NULL && span->state == SPAN_LARGE && span_address(span) == p && !slab_is(span);
    return large ? span : NULL;
}

void plain_free_small_slow(void *p, unsigned class, const char *call, bool counted) {
    if (cache_has_first(p, class) || (UNLIKELY(mark_is_on(p)) && double_free_is(p, class))) {
        if (counted)
            cache_self.bins[class].count--;
        report_bad_call(call, p, DOUBLE_FREE);
        return;
    }
    /* Asked where the thread has no list of the class yet: only there is the look cheap beside the rest. */
    if (counted && cache_self.bins[class].limit == 0 && !span_is_block(p, class)) {
        cache_self.bins[class].count--;
        report_bad_call(call, p, INVALID_POINTER);
        return;
    }
    mark_set(p);
    if (!counted)
        cache_free_uncounted_slow(p, class);
    else if (cache_self.bins[class].count < 0) /* the list has room: the block only looked like a free one */
        freelist_push(&cache_self.bins[class].head, p);
    else
        cache_overflow_slow(p, class);
}

const char *plain_missing(const void *p, bool frees) {
    enum mapped_past past = mapped_past(p);
    bool was_block = cache_was_last_home(p) || past == MAPPED_STARTED || slab_was_block(p) || large_is_kept(p);
    if (was_block && frees)
        return DOUBLE_FREE;
    return was_block || past == MAPPED_COVERED || span_is_free(p) ? NOT_LIVE : INVALID_POINTER;
}

void plain_report_missing(const void *p, const char *call, bool frees) {
    report_bad_call(call, p, plain_missing(p, frees));
}

static void free_large(struct span *span, const void *p, const char *call) {
    if (keep(span))
        return;
    if (!span_release_large(span))
        report_bad_call(call, p, DOUBLE_FREE);
    cache_come_by_large();
}

void plain_free(void *p, const char *call) {
    struct span *span = span_find(p);
    if (span != NULL && slab_is(span)) {
        if (!slab_free(span, p))
            plain_report_missing(p, call, true);
    } else if (span != NULL && span->state == SPAN_LARGE && span_address(span) == p) {
        free_large(span, p, call);
    } else if (span != NULL && span->state == SPAN_SMALL && (uintptr_t)p % BLOCK_ALIGN == 0) {
        plain_free_small_slow(p, span->class, call, false);
    } else if (mapped_free(p)) {
        cache_come_by_large();
    } else if (aside_bytes(p) == 0) {
        plain_report_missing(p, call, true);
    }
}

/* ---- size and resizing ------------------------------------------------------------------------------------------- */

size_t plain_usable(const void *p) {
    unsigned class = plain_class(p);
    if (class == 0)
        class = slab_class_of(p);
    if (class != 0)
        return class_bytes(class);
    const struct span *span = plain_large_span(p);
    size_t bytes = span ? (size_t)span->units << UNIT_SHIFT : mapped_bytes(p);
    return bytes != 0 ? bytes : aside_bytes(p);
}

/* A large block that cannot grow where it is: its pages move, so that nothing is copied and no page is faulted anew. */
static void *move_pages(struct span *span, size_t bytes) {
    size_t units = span->units;
    if (units << UNIT_SHIFT < STEAL_MIN || bytes < units << UNIT_SHIFT || !span_try_hold(span, &units))
        return NULL;
    size_t old = units << UNIT_SHIFT;
    void *moved = bytes >= old ? mapped_steal(span_address(span), old, bytes) : NULL;
    span_unhold(span, moved != NULL);
    return moved;
}

void *plain_resize(void *p, size_t bytes) {
    struct span *span = plain_large_span(p);
    if (span != NULL)
        return span_try_resize(span, units_for(bytes)) ? p : move_pages(span, bytes);
    return mapped_bytes(p) != 0 ? mapped_resize(p, bytes) : NULL;
}

void *plain_start(const void *p) {
    const struct span *span = span_find(p);
    if (span == NULL)
        return mapped_bytes(p) != 0 || aside_bytes(p) != 0 ? (void *)(uintptr_t)p : NULL;
    char *start = span_address(span);
    if (span->state != SPAN_SMALL && !slab_is(span))
        return start;
    size_t size = class_bytes(span->class), index = (size_t)((const char *)p - start) / size;
    return index < span_carved(span) ? start + index * size : NULL;
}

size_t plain_trim(size_t pad) {
    size_t free = gather(pad);
    return free + holes_return();
}
