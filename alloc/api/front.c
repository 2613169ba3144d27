/* SPDX-License-Identifier: MIT */
#include "api/front.h"

#include <string.h>

#include "base/sizeclass.h"
#include "kit/modes.h"
#include "kit/tunables.h"
#include "heap/aside.h"
#include "heap/cache_counted.h"
#include "heap/mapped.h"
#include "heap/mode_switch.h"
#include "heap/plain.h"
#include "protect/protections.h"
#include "protect/sampler.h"
#include "process/background.h"
#include "process/control.h"
#include "process/thread.h"
#include "process/verify.h"
#include "api/front_aside.h"
#include "api/front_watched.h"

/* ---- allocation -------------------------------------------------------------------------------------------------- */

static void *alloc_any(size_t bytes, size_t align, bool *zeroed, const char *call) {
    if (aside_is_on()) {
        *zeroed = true;
        return front_aside_alloc(bytes, align);
    }
    thread_open();
    background_answer();
    verify_now_and_then();
    report_thread.call = call;
    if (modes_any())
        return front_watched_alloc(bytes, align, zeroed, call);
    return plain_alloc(bytes ? bytes : 1, align, zeroed);
}

static COLD void *alloc_watched_slow(size_t bytes, const char *call) {
    bool zeroed;
    report_thread.call = call;
    return front_watched_alloc(bytes, BLOCK_ALIGN, &zeroed, call);
}

/* True if guarded pages are the only mode and this allocation is not to be sampled. */
static bool skips_guard(size_t bytes) {
    return modes_only(MODE_GUARDED) && LIKELY(!sampler_is_due(cache_stands_for(bytes)));
}

static NOINLINE void *alloc_unsampled(size_t bytes, const char *call) {
    bool zeroed;
    verify_now_and_then();
    report_thread.call = call;
    return front_watched_plain(bytes, BLOCK_ALIGN, &zeroed);
}

static ALWAYS_INLINE void *alloc_answered(size_t bytes, const char *call) {
    bool zeroed;
    if (modes_any()) {
        if (aside_is_on())
            return front_aside_alloc(bytes, BLOCK_ALIGN);
        return skips_guard(bytes) ? alloc_unsampled(bytes, call) : alloc_watched_slow(bytes, call);
    }
    verify_now_and_then();
    report_thread.call = call;
    return plain_alloc(bytes ? bytes : 1, BLOCK_ALIGN, &zeroed);
}

/* Apart, so that others save no registers over a call. */
static COLD void *alloc_knocked(size_t bytes, const char *call) {
    background_answer_slow();
    return alloc_answered(bytes, call);
}

/* front_alloc_slow once the thread's cache is open, or memory for it was refused. */
static NOINLINE void *alloc_opened(size_t bytes, const char *call) {
    return modes_knocked() ? alloc_knocked(bytes, call) : alloc_answered(bytes, call);
}

/* A thread's first slow call, apart from front_alloc_slow: that one then saves no registers over a call to open the cache,
 * which all slow calls of a thread but the first would pay for. The same holds of free_first_slow. */
static COLD void *alloc_first_slow(size_t bytes, const char *call) {
    if (aside_is_on())
        return front_aside_alloc(bytes, BLOCK_ALIGN);
    thread_open();
    return alloc_opened(bytes, call);
}

/* While lists are counted each malloc comes here that follows a free of its size. */
static NOINLINE void *alloc_counted(size_t bytes, const char *call) {
    void *block = LIKELY(!aside_is_on() && !modes_knocked()) ? cache_counted_take(class_of(bytes)) : NULL;
    return LIKELY(block != NULL) ? block : alloc_opened(bytes, call);
}

NOINLINE void *front_alloc_slow(size_t bytes, const char *call) {
    if (bytes > EXACT_MAX && bytes <= FAST_MAX) {
        void *block = cache_pop(cache_bin(class_of(bytes) * CLASS_STEP));
        if (LIKELY(block != NULL))
            return block;
    }
    if (cache_is_counted() && bytes <= FAST_MAX)
        return alloc_counted(bytes, call);
    return UNLIKELY(thread_is_new()) ? alloc_first_slow(bytes, call) : alloc_opened(bytes, call);
}

void *front_zalloc(size_t count, size_t bytes) {
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total))
        return plain_no_memory();
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
    if (UNLIKELY(!is_pow2(align))) /* std::align_val_t may hold any number */
        return plain_no_memory();
    if (align <= BLOCK_ALIGN)
        return front_alloc(bytes, call);
    if (align <= EXACT_MAX && bytes <= EXACT_MAX) {
        size_t rounded = align_up(bytes, align);
        void *block = rounded <= EXACT_MAX ? cache_pop(cache_bin(rounded)) : NULL;
        if (LIKELY(block != NULL))
            return block;
    }
    return LIKELY(align <= ALIGN_LIMIT) ? alloc_any(bytes, align, &zeroed, call) : plain_no_memory();
}

/* ---- free -------------------------------------------------------------------------------------------------------- */

/* `counted`: the bin that lies `offset` bytes into the cache counts the block, as the fast path has left it. */
static ALWAYS_INLINE void free_opened(void *p, const char *call, size_t bytes, size_t align, size_t offset, bool counted) {
    report_thread.call = call;
    if (offset != 0)
        plain_free_small_slow(p, (unsigned)(offset / CLASS_STEP), call, counted);
    else if (modes_any())
        front_watched_free(p, call, bytes, align);
    else
        plain_free(p, call);
}

/* True if this thread's lists, which are counted, have taken the block. While the unit map is hidden its class is not known. */
static NOINLINE bool free_counted_hidden(void *p) {
    unsigned class = mode_switch_hiding ? plain_class(p) : 0;
    return class != 0 && class < FAST_CLASSES && !mark_is_on(p) && cache_counted_give(p, class, false);
}

/* The same where the unit map shows the block; false also where there is more to do. Every free comes here while lists are
 * counted, so this uses no register that would have to be saved: what it leaves is done apart (free_slow). */
static ALWAYS_INLINE bool free_counted(void *p, size_t offset) {
    return cache_is_counted() && LIKELY(offset != 0 && !aside_is_on() && !modes_knocked() && !mark_is_on(p)) &&
           cache_counted_give(p, (unsigned)(offset / CLASS_STEP), true);
}

static COLD void free_first_slow(void *p, const char *call, size_t bytes, size_t align, size_t offset) {
    /* Opening the cache resets all counts, so this free's increment is gone and must not be taken back. */
    bool opened = thread_open();
    free_opened(p, call, bytes, align, offset, !opened);
}

/* The rest of front_free_slow. */
static ALWAYS_INLINE void free_rest(void *p, const char *call, size_t bytes, size_t align, size_t offset) {
    if (offset == 0 && cache_is_counted() && free_counted_hidden(p))
        return;
    if (UNLIKELY(thread_is_new()))
        free_first_slow(p, call, bytes, align, offset);
    else
        free_opened(p, call, bytes, align, offset, true);
}

/* Behind the free: the fast path has counted it before. */
static COLD void free_knocked(void *p, const char *call, size_t bytes, size_t align, size_t offset) {
    free_rest(p, call, bytes, align, offset);
    background_answer_slow();
}

static NOINLINE void free_slow(void *p, const char *call, size_t bytes, size_t align, struct bin THREAD_SEGMENT *counted) {
    cache_self.bins[0].count = 0; /* K3: where every free of something else than a small block is counted */
    if (p == NULL)
        return;
    size_t offset = (uintptr_t)counted - (uintptr_t)cache_bin(0);
    if (aside_is_on()) {
        counted->count -= offset != 0; /* K1: dropped */
        return;
    }
    if (modes_knocked())
        free_knocked(p, call, bytes, align, offset);
    else
        free_rest(p, call, bytes, align, offset);
}

NOINLINE void front_free_slow(void *p, const char *call, size_t bytes, size_t align,
                              struct bin THREAD_SEGMENT *counted) {
    if (!free_counted(p, (uintptr_t)counted - (uintptr_t)cache_bin(0)))
        free_slow(p, call, bytes, align, counted);
}

/* ---- size and resizing ------------------------------------------------------------------------------------------- */

size_t front_usable(const void *p, const char *call) {
    if (p == NULL)
        return 0;
    unsigned entry = unitmap_find(p);
    if (LIKELY(entry != 0))
        return class_bytes(entry / CLASS_STEP);
    if (aside_is_on())
        return front_aside_usable(p);
    report_thread.call = call;
    if (modes_any())
        return front_watched_usable(p, call);
    size_t bytes = plain_usable(p);
    if (bytes == 0)
        plain_report_missing(p, call, false);
    return bytes;
}

size_t front_size_for(size_t align, size_t bytes) {
    if (align > ALIGN_LIMIT || bytes > SPACE_LIMIT - max_size(align, OS_PAGE))
        return 0;
    if (modes_any()) /* a block may end where it was asked to */
        return bytes;
    bytes = max_size(bytes, 1);
    unsigned class = align > BLOCK_ALIGN ? class_of_aligned(bytes, align) : bytes <= SMALL_MAX ? class_of(bytes) : 0;
    return class != 0 ? class_bytes(class) : align_up(bytes, OS_PAGE);
}

/* A block that cannot be copied to a smaller place stays where it is. */
static void *move(void *p, size_t old, size_t bytes, const char *call) {
    void *fresh = front_alloc(bytes, call);
    if (fresh == NULL)
        return bytes <= old ? plain_stay(p) : NULL;
    memcpy(fresh, p, min_size(old, bytes));
    front_free(p, call);
    return fresh;
}

static void *resize_span(struct span *span, size_t bytes, const char *call) {
    void *p = span_address(span);
    size_t old = (size_t)span->units << UNIT_SHIFT;
    void *resized = bytes > SMALL_MAX ? plain_resize(p, bytes) : NULL; /* a small one goes where small blocks are */
    return resized ? resized : move(p, old, bytes, call);
}

static void *resize_mapping(void *p, size_t bytes, const char *call) {
    size_t old = mapped_bytes(p), apart = old == 0 ? aside_bytes(p) : 0;
    if (apart != 0)
        return move(p, apart, bytes, call);
    if (old == 0) {
        plain_report_missing(p, call, false);
        return plain_no_memory();
    }
    if (bytes <= old / 2 && bytes < tunables.mmap_threshold) {
        void *moved = move(p, old, bytes, call);
        if (moved != p)
            return moved;
    }
    void *resized = mapped_resize(p, bytes);
    if (resized == NULL)
        resized = move(p, old, bytes, call);
    if (resized != NULL)
        return resized;
    /* There is no memory for both; but free memory has been brought together for the try. */
    resized = mapped_resize(p, bytes);
    return resized ? plain_stay(resized) : NULL;
}

static ALWAYS_INLINE void *resize_small(void *p, unsigned class, size_t bytes, const char *call) {
    size_t old = class_bytes(class);
    return bytes <= old && bytes >= old / 2 ? p : move(p, old, bytes, call);
}

static NOINLINE void *realloc_slow(void *p, size_t bytes, const char *call) {
    if (aside_is_on())
        return front_aside_realloc(p, bytes);
    thread_open();
    background_answer();
    report_thread.call = call;
    if (modes_any())
        return front_watched_realloc(p, bytes, call);
    unsigned class = plain_class(p);
    if (class != 0)
        return resize_small(p, class, bytes, call);
    struct span *span = plain_large_span(p);
    return span != NULL ? resize_span(span, bytes, call) : resize_mapping(p, bytes, call);
}

void *front_realloc(void *p, size_t bytes, const char *call) {
    if (p == NULL)
        return front_alloc(bytes, call);
    if (bytes > SIZE_LIMIT - UNIT)
        return plain_no_memory();
    unsigned entry = unitmap_find(p);
    return LIKELY(entry != 0) ? resize_small(p, entry / CLASS_STEP, bytes, call) : realloc_slow(p, bytes, call);
}

size_t front_trim(size_t pad) {
    return aside_is_on() ? 0 : control_trim(pad);
}
