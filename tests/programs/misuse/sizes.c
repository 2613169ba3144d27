/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Sizes and alignments that cannot be. */
#include "misuse.h"

/* The compiler shall say nothing about them. */
static volatile size_t half = (size_t)PTRDIFF_MAX + 1, most = SIZE_MAX, negative = (size_t)-64;
static volatile size_t odd = 48, none = 0, huge = (size_t)1 << 62;

struct nothrow;
void *_ZnwmRKSt9nothrow_t(size_t, const struct nothrow *) __attribute__((weak));

#define REFUSED(call)                                                                                                  \
    do {                                                                                                               \
        begin();                                                                                                       \
        errno = 0;                                                                                                     \
        void *returned = call;                                                                                         \
        happened();                                                                                                    \
        refused(returned);                                                                                             \
    } while (0)

static void malloc_half(void) {
    REFUSED(malloc(half));
}

static void malloc_most(void) {
    REFUSED(malloc(most));
}

static void malloc_negative(void) {
    REFUSED(malloc(negative));
}

static void malloc_ptrdiff_max(void) {
    REFUSED(malloc(half - 1));
}

static void calloc_overflow(void) {
    REFUSED(calloc(most / 2, 4));
}

/* The product wraps around to 16. */
static void calloc_wrap(void) {
    REFUSED(calloc((most >> 4) + 2, 16));
}

static void calloc_absurd(void) {
    REFUSED(calloc(1, half));
}

/* The block must be as it was. */
static void kept(char *p, void *returned, int error) {
    happened();
    errno = error;
    if (returned == NULL && p[0] == 'k' && p[SMALL - 1] == 'k') {
        give(p);
        refused(NULL);
    } else {
        say("not caught: the block is lost");
    }
}

static char *to_keep(void) {
    char *p = take(SMALL);
    memset(p, 'k', SMALL);
    begin();
    errno = 0;
    return p;
}

static void realloc_absurd(void) {
    char *p = to_keep();
    void *returned = realloc(p, half);
    kept(p, returned, errno);
}

static void realloc_most(void) {
    char *p = to_keep();
    void *returned = realloc(p, most);
    kept(p, returned, errno);
}

static void reallocarray_overflow(void) {
    char *p = to_keep();
    void *returned = reallocarray(p, most / 2, 4);
    kept(p, returned, errno);
}

static void reallocarray_wrap(void) {
    char *p = to_keep();
    void *returned = reallocarray(p, (most >> 4) + 2, 16);
    kept(p, returned, errno);
}

static void aligned_negative(void) {
    REFUSED(aligned_alloc(64, negative));
}

static void aligned_no_power(void) {
    REFUSED(aligned_alloc(odd, 96));
}

static void aligned_zero(void) {
    REFUSED(aligned_alloc(none, 64));
}

static void aligned_absurd(void) {
    REFUSED(aligned_alloc(huge, 64));
}

static void memalign_absurd(void) {
    REFUSED(memalign(half + 1, 64));
}

/* posix_memalign returns the number and leaves the pointer alone; ENOMEM is in errno, too, EINVAL is not. */
static void posix(size_t align, size_t bytes) {
    void *p = &p;
    begin();
    errno = 0;
    int error = posix_memalign(&p, align, bytes);
    happened();
    bool untouched = p == &p && errno == (error == ENOMEM ? ENOMEM : 0);
    errno = error;
    refused(untouched && error != 0 ? NULL : p);
}

static void posix_no_power(void) {
    posix(48, 96);
}

static void posix_small(void) {
    posix(4, 64);
}

static void posix_negative(void) {
    posix(64, negative);
}

static void valloc_most(void) {
    REFUSED(valloc(most));
}

static void pvalloc_most(void) {
    REFUSED(pvalloc(most));
}

static void new_most(void) {
    begin();
    void *returned = _ZnwmRKSt9nothrow_t(most, NULL);
    happened();
    refused(returned);
}

static const struct misuse cases[] = {
    CASE(malloc_ptrdiff_max, "malloc of PTRDIFF_MAX"),
    CASE(malloc_half, "malloc of PTRDIFF_MAX + 1"),
    CASE(malloc_most, "malloc of SIZE_MAX"),
    CASE(malloc_negative, "malloc of -64"),
    CASE(calloc_absurd, "calloc of PTRDIFF_MAX + 1"),
    CASE(calloc_overflow, "calloc, product beyond SIZE_MAX"),
    CASE(calloc_wrap, "calloc, product that wraps around to 16"),
    CASE(realloc_absurd, "realloc to PTRDIFF_MAX + 1"),
    CASE(realloc_most, "realloc to SIZE_MAX"),
    CASE(reallocarray_overflow, "reallocarray, product beyond SIZE_MAX"),
    CASE(reallocarray_wrap, "reallocarray, product that wraps around to 16"),
    CASE(aligned_negative, "aligned_alloc of -64"),
    CASE(aligned_no_power, "aligned_alloc, alignment 48"),
    CASE(aligned_zero, "aligned_alloc, alignment 0"),
    CASE(aligned_absurd, "aligned_alloc, alignment of 4 EiB"),
    CASE(memalign_absurd, "memalign, alignment above PTRDIFF_MAX"),
    CASE(posix_no_power, "posix_memalign, alignment 48"),
    CASE(posix_small, "posix_memalign, alignment 4"),
    CASE(posix_negative, "posix_memalign of -64"),
    CASE(valloc_most, "valloc of SIZE_MAX"),
    CASE(pvalloc_most, "pvalloc of SIZE_MAX"),
    CASE(new_most, "nothrow new of SIZE_MAX"),
};

MISUSE_MAIN
