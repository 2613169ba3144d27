/* SPDX-License-Identifier: MIT */
/*
 * The C names, with the errno and argument rules of ISO C, POSIX and the glibc manual ("Unconstrained
 * Allocation"). What an allocation means is in front.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/glibc.h"
#include "base/myalloc.h"
#include "api/front.h"

/* Not declared by glibc's headers: withdrawn (cfree), newer than they are (C23), or of other allocators. */
void cfree(void *p);
void free_sized(void *p, size_t bytes);
void free_aligned_sized(void *p, size_t align, size_t bytes);
size_t memalignment(const void *p);
size_t nallocx(size_t bytes, int flags);
void sdallocx(void *p, size_t bytes, int flags);

EXPORT void *malloc(size_t bytes) {
    return front_alloc(bytes, "malloc");
}

EXPORT void free(void *p) {
    front_free(p, "free");
}

EXPORT void *calloc(size_t count, size_t bytes) {
    return front_zalloc(count, bytes);
}

EXPORT void *realloc(void *p, size_t bytes) {
    if (bytes == 0 && p != NULL) {
        front_free(p, "realloc");
        return NULL;
    }
    return front_realloc(p, bytes, "realloc");
}

EXPORT void *reallocarray(void *p, size_t count, size_t bytes) {
    size_t total;
    return realloc(p, __builtin_mul_overflow(count, bytes, &total) ? SIZE_MAX : total);
}

EXPORT void *aligned_alloc(size_t align, size_t bytes) {
    if (UNLIKELY(!is_pow2(align))) {
        errno = EINVAL;
        return NULL;
    }
    return front_aligned(align, bytes, "aligned_alloc");
}

/* glibc rounds an alignment that is no power of two up to one; EINVAL is for those that cannot be rounded up. */
EXPORT void *memalign(size_t align, size_t bytes) {
    if (align > SIZE_LIMIT + 1) {
        errno = EINVAL;
        return NULL;
    }
    if (align <= BLOCK_ALIGN)
        align = BLOCK_ALIGN;
    return front_aligned((size_t)1 << (high_bit(align - 1) + 1), bytes, "memalign");
}

/* ENOMEM is returned and in errno, EINVAL only returned, as in glibc. */
EXPORT int posix_memalign(void **out, size_t align, size_t bytes) {
    if (UNLIKELY(!is_pow2(align) || align % sizeof(void *) != 0))
        return EINVAL;
    void *p = front_aligned(align, bytes, "posix_memalign");
    if (UNLIKELY(p == NULL))
        return ENOMEM;
    *out = p;
    return 0;
}

EXPORT void *valloc(size_t bytes) {
    return front_aligned(OS_PAGE, bytes, "valloc");
}

EXPORT void *pvalloc(size_t bytes) {
    return front_aligned(OS_PAGE, bytes > SIZE_LIMIT - OS_PAGE ? bytes : align_up(bytes, OS_PAGE), "pvalloc");
}

EXPORT size_t malloc_usable_size(void *p) {
    return front_usable(p, "malloc_usable_size");
}

EXPORT void cfree(void *p) {
    front_free(p, "cfree");
}

/* C23. Only the checks look at the sizes. */
EXPORT void free_sized(void *p, size_t bytes) {
    front_free_sized(p, "free_sized", bytes, 0);
}

EXPORT void free_aligned_sized(void *p, size_t align, size_t bytes) {
    front_free_sized(p, "free_aligned_sized", bytes, align);
}

EXPORT __attribute__((weak)) size_t memalignment(const void *p) {
    return (uintptr_t)p & -(uintptr_t)p;
}

/* ---- sizes that the caller learns -------------------------------------------------------------------------------- */

static struct myalloc_sized sized(void *block, const char *call) {
    return (struct myalloc_sized){block, front_usable(block, call)};
}

EXPORT struct myalloc_sized myalloc_alloc_at_least(size_t bytes) {
    static const char call[] = "myalloc_alloc_at_least";
    return sized(front_alloc(bytes, call), call);
}

EXPORT struct myalloc_sized myalloc_aligned_alloc_at_least(size_t align, size_t bytes) {
    static const char call[] = "myalloc_aligned_alloc_at_least";
    if (is_pow2(align))
        return sized(front_aligned(align, bytes, call), call);
    errno = EINVAL;
    return (struct myalloc_sized){NULL, 0};
}

/* jemalloc's flags: the binary logarithm of the alignment in the lowest bits, 0 for none. What else they say (zeroed memory,
 * caches, arenas) changes neither a size nor how a block is freed. */
#define FLAGS_ALIGNMENT 0x3f
static size_t alignment_of(int flags) {
    return (flags & FLAGS_ALIGNMENT) != 0 ? (size_t)1 << (flags & FLAGS_ALIGNMENT) : 0;
}

/* jemalloc(3), by whose name other libraries ask for it. */
EXPORT __attribute__((weak)) size_t nallocx(size_t bytes, int flags) {
    return front_size_for(alignment_of(flags), bytes);
}

EXPORT __attribute__((weak)) void sdallocx(void *p, size_t bytes, int flags) {
    front_free_sized(p, "sdallocx", bytes, alignment_of(flags));
}

#define ALIAS(name) __attribute__((alias(#name), visibility("default")))
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmissing-attributes"
#endif

extern void *__libc_malloc(size_t) ALIAS(malloc);
extern void __libc_free(void *) ALIAS(free);
extern void *__libc_calloc(size_t, size_t) ALIAS(calloc);
extern void *__libc_realloc(void *, size_t) ALIAS(realloc);
extern void *__libc_memalign(size_t, size_t) ALIAS(memalign);
extern void *__libc_valloc(size_t) ALIAS(valloc);
extern void *__libc_pvalloc(size_t) ALIAS(pvalloc);
extern void *__libc_reallocarray(void *, size_t, size_t) ALIAS(reallocarray);
extern int __posix_memalign(void **, size_t, size_t) ALIAS(posix_memalign);
