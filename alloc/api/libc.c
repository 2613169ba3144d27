/* SPDX-License-Identifier: MIT */
/*
 * The C names, with the errno and argument rules of ISO C, POSIX and the glibc manual ("Unconstrained
 * Allocation"). What an allocation means is in front.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/glibc.h"
#include "api/front.h"

/* Not declared by glibc's headers: withdrawn (cfree), or newer than they are (C23). */
void cfree(void *p);
void free_sized(void *p, size_t bytes);
void free_aligned_sized(void *p, size_t align, size_t bytes);

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
