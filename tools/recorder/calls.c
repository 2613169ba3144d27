/* SPDX-License-Identifier: MIT */
/* The calls of C: each goes to the next definition behind this library. These are looked up at the first call, which may come
 * before any constructor and from inside of the loader; what that lookup itself allocates comes from a small store. */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "calls.h"
#include "events.h"

enum { STORE_BYTES = 1 << 16, STORE_ALIGNMENT = 16 };

static char store[STORE_BYTES] __attribute__((aligned(STORE_ALIGNMENT)));
static size_t store_used;

static void *first_malloc(size_t size);
static void *first_calloc(size_t count, size_t size);
static void *first_realloc(void *block, size_t size);
static void first_free(void *block);
static void *first_memalign(size_t alignment, size_t size);
static void *first_aligned_alloc(size_t alignment, size_t size);
static int first_posix_memalign(void **block, size_t alignment, size_t size);
static void *first_valloc(size_t size);
static void *first_pvalloc(size_t size);
static void *first_reallocarray(void *block, size_t count, size_t size);
static int first_malloc_trim(size_t pad);

struct calls next = {first_malloc, first_calloc, first_realloc, first_free, first_memalign, first_aligned_alloc,
                     first_posix_memalign, first_valloc, first_pvalloc, first_reallocarray, first_malloc_trim};

static bool is_stored(const void *block)
{
    return (uintptr_t)block - (uintptr_t)store < STORE_BYTES;
}

/* Zeros, which nobody gives back. */
static void *from_store(size_t size)
{
    size_t bytes = (size + STORE_ALIGNMENT - 1) / STORE_ALIGNMENT * STORE_ALIGNMENT;
    size_t at = size < STORE_BYTES ? __atomic_fetch_add(&store_used, bytes, __ATOMIC_RELAXED) : STORE_BYTES;

    if (at + bytes <= STORE_BYTES)
        return store + at;
    errno = ENOMEM;
    return NULL;
}

static void find(const char *name, void *place)
{
    void *found = dlsym(RTLD_NEXT, name);

    if (found)
        __atomic_store_n((void **)place, found, __ATOMIC_RELEASE);
}

/* False: the call comes from inside of the lookup. */
static COLD bool look_up(void)
{
    static __thread bool is_looking __attribute__((tls_model("initial-exec")));
    int before = errno;

    if (is_looking)
        return false;
    is_looking = true;
    find("calloc", &next.calloc);
    find("realloc", &next.realloc);
    find("memalign", &next.memalign);
    find("aligned_alloc", &next.aligned_alloc);
    find("posix_memalign", &next.posix_memalign);
    find("valloc", &next.valloc);
    find("pvalloc", &next.pvalloc);
    find("reallocarray", &next.reallocarray);
    find("malloc_trim", &next.malloc_trim);
    find("free", &next.free);
    find("malloc", &next.malloc);
    is_looking = false;
    errno = before;
    return next.malloc != first_malloc && next.free != first_free;
}

static void *first_malloc(size_t size)
{
    return look_up() ? next.malloc(size) : from_store(size);
}

static void *first_calloc(size_t count, size_t size)
{
    size_t bytes;

    if (look_up())
        return next.calloc(count, size);
    return __builtin_mul_overflow(count, size, &bytes) ? NULL : from_store(bytes);
}

static void *first_realloc(void *block, size_t size)
{
    return look_up() ? next.realloc(block, size) : block ? NULL : from_store(size);
}

static void first_free(void *block)
{
    if (look_up())
        next.free(block);
}

static void *first_memalign(size_t alignment, size_t size)
{
    return look_up() ? next.memalign(alignment, size) : NULL;
}

static void *first_aligned_alloc(size_t alignment, size_t size)
{
    return look_up() ? next.aligned_alloc(alignment, size) : NULL;
}

static int first_posix_memalign(void **block, size_t alignment, size_t size)
{
    return look_up() ? next.posix_memalign(block, alignment, size) : ENOMEM;
}

static void *first_valloc(size_t size)
{
    return look_up() ? next.valloc(size) : NULL;
}

static void *first_pvalloc(size_t size)
{
    return look_up() ? next.pvalloc(size) : NULL;
}

static void *first_reallocarray(void *block, size_t count, size_t size)
{
    return look_up() ? next.reallocarray(block, count, size) : NULL;
}

static int first_malloc_trim(size_t pad)
{
    return look_up() ? next.malloc_trim(pad) : 0;
}

EXPORTED void *malloc(size_t size)
{
    struct stream *stream = recorder_enter();
    void *block = next.malloc(size);

    if (stream) {
        event_new(stream, RECORDING_MALLOC, block, size);
        recorder_leave();
    }
    return block;
}

EXPORTED void *calloc(size_t count, size_t size)
{
    struct stream *stream = recorder_enter();
    void *block = next.calloc(count, size);
    size_t bytes;

    if (stream) {
        if (__builtin_mul_overflow(count, size, &bytes))
            bytes = SIZE_MAX;
        event_new(stream, RECORDING_CALLOC, block, bytes);
        recorder_leave();
    }
    return block;
}

EXPORTED void free(void *block)
{
    struct stream *stream = recorder_enter();

    if (UNLIKELY(is_stored(block))) {
        if (stream)
            recorder_leave();
        return;
    }
    if (stream)
        event_free(stream, block);
    else
        event_take(block);
    next.free(block);
    if (stream)
        recorder_leave();
}

/* C23's: as free(), which is what they are in the libraries that do not have them. */
EXPORTED void free_sized(void *block, size_t size)
{
    (void)size;
    free(block);
}

EXPORTED void free_aligned_sized(void *block, size_t alignment, size_t size)
{
    (void)alignment;
    (void)size;
    free(block);
}

/* The block that a realloc ends, behind its size. */
static unsigned char *put_before(struct stream *stream, unsigned char *at, uint64_t before)
{
    uint32_t thread = THREAD_OF(before);

    if (!before)
        return event_number(at, 0);
    if (thread == stream->thread)
        return event_number(at, (stream->births - BIRTH_OF(before)) << 1);
    return event_number(event_number(at, event_zigzag(stream, BIRTH_OF(before)) << 1 | 1), thread);
}

/* What lay at a block that realloc is to have, taken. */
struct before {
    uint64_t value, pages; /* pages: of a large one, that have memory */
};

static void record_realloc(struct stream *stream, const void *block, struct before taken, const void *result, size_t size)
{
    uint64_t before = taken.value & ~BIRTH_LARGE;
    unsigned char *at;

    if (UNLIKELY(taken.value & BIRTH_LARGE))
        touched_tell(stream, taken.value, taken.pages);
    if (block && THREAD_OF(before) < process_first_thread()) {
        before = 0;
        event_rare(stream, RECORDING_FOREIGN, 0);
    }
    at = put_before(stream, event_begin(stream, RECORDING_REALLOC, size), before);
    event_birth(stream, result, size);
    event_end(stream, at);
}

/* A realloc to nothing that gave nothing: the block is free. */
static void record_end(struct stream *stream, const void *block, struct before before)
{
    if (UNLIKELY(before.value & BIRTH_LARGE))
        touched_tell(stream, before.value, before.pages);
    event_end_block(stream, block, before.value & ~BIRTH_LARGE);
}

static struct before before_realloc(const struct stream *stream, const void *block)
{
    struct before before = {event_take(block), 0};

    if (UNLIKELY(stream && before.value & BIRTH_LARGE))
        before.pages = touched_pages(block, before.value);
    return before;
}

static void after_realloc(struct stream *stream, const void *block, struct before before, const void *result, size_t size)
{
    uint64_t *slot = result || !size ? NULL : births_slot(block, false);

    if (slot) /* it still lies there */
        *slot = before.value;
    if (!stream)
        return;
    if (result)
        record_realloc(stream, block, before, result, size);
    else if (!size && block)
        record_end(stream, block, before);
    else
        event_rare(stream, RECORDING_REFUSED, size);
    recorder_leave();
}

/* The few blocks of the store grow into the allocator's. */
static void *out_of_store(const void *block, size_t size)
{
    size_t left = STORE_BYTES - (size_t)((const char *)block - store);
    void *copy = malloc(size);

    return copy ? memcpy(copy, block, size < left ? size : left) : NULL;
}

EXPORTED void *realloc(void *block, size_t size)
{
    struct stream *stream;
    struct before before;
    void *result;

    if (UNLIKELY(is_stored(block)))
        return out_of_store(block, size);
    stream = recorder_enter();
    before = before_realloc(stream, block);
    result = next.realloc(block, size);
    after_realloc(stream, block, before, result, size);
    return result;
}

EXPORTED void *reallocarray(void *block, size_t count, size_t size)
{
    struct stream *stream;
    struct before before;
    void *result;
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX;
    if (UNLIKELY(is_stored(block)))
        return out_of_store(block, bytes);
    stream = recorder_enter();
    before = before_realloc(stream, block);
    result = next.reallocarray(block, count, size);
    after_realloc(stream, block, before, result, bytes);
    return result;
}

void record_aligned(struct stream *stream, enum recording_aligned kind, const void *block, size_t alignment, size_t size)
{
    unsigned char *at;

    if (!block) {
        event_rare(stream, RECORDING_REFUSED, size);
    } else {
        at = event_begin(stream, RECORDING_ALIGNED, size);
        *at++ = (unsigned char)((unsigned)__builtin_ctzl(alignment | (size_t)1 << 62) | (unsigned)kind << 6);
        event_birth(stream, block, size);
        event_end(stream, at);
    }
    recorder_leave();
}

EXPORTED void *memalign(size_t alignment, size_t size)
{
    struct stream *stream = recorder_enter();
    void *block = next.memalign(alignment, size);

    if (stream)
        record_aligned(stream, RECORDING_MEMALIGN, block, alignment, size);
    return block;
}

EXPORTED void *aligned_alloc(size_t alignment, size_t size)
{
    struct stream *stream = recorder_enter();
    void *block = next.aligned_alloc(alignment, size);

    if (stream)
        record_aligned(stream, RECORDING_ALIGNED_ALLOC, block, alignment, size);
    return block;
}

EXPORTED int posix_memalign(void **block, size_t alignment, size_t size)
{
    struct stream *stream = recorder_enter();
    int error = next.posix_memalign(block, alignment, size);

    if (stream)
        record_aligned(stream, RECORDING_POSIX_MEMALIGN, error ? NULL : *block, alignment, size);
    return error;
}

EXPORTED void *valloc(size_t size)
{
    struct stream *stream = recorder_enter();
    void *block = next.valloc(size);

    if (stream)
        record_aligned(stream, RECORDING_MEMALIGN, block, (size_t)getpagesize(), size);
    return block;
}

EXPORTED void *pvalloc(size_t size)
{
    struct stream *stream = recorder_enter();
    size_t page = (size_t)getpagesize();
    void *block = next.pvalloc(size);

    if (stream)
        record_aligned(stream, RECORDING_MEMALIGN, block, page, (size + page - 1) / page * page);
    return block;
}

EXPORTED int malloc_trim(size_t pad)
{
    struct stream *stream = recorder_enter();
    int trimmed = next.malloc_trim(pad);

    if (stream) {
        event_rare(stream, RECORDING_TRIM, pad);
        recorder_leave();
    }
    return trimmed;
}
