/* SPDX-License-Identifier: MIT */
/* The C entry points against ISO C, POSIX and the glibc manual. The whole process runs on libmyalloc.a. */
#include <criterion/criterion.h>
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../alloc/base/myalloc.h"

size_t nallocx(size_t, int);
void sdallocx(void *, size_t, int);
size_t memalignment(const void *);
void cfree(void *);
void free_sized(void *, size_t);
void free_aligned_sized(void *, size_t, size_t);
void *__libc_malloc(size_t);
void __libc_free(void *);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void *__libc_valloc(size_t);
void *__libc_pvalloc(size_t);
void *__libc_reallocarray(void *, size_t, size_t);
int __posix_memalign(void **, size_t, size_t);

static const size_t sizes[] = {0,     1,     15,    16,    17,     24,     100,    1008,    1024,           1025,
                               1152,  4096,  4097,  8192,  20000,  32768,  32769,  65536,   131071,         131072,
                               131073, 300000, 1 << 20, 5 << 20, 33554431, 33554432, 40 << 20};
#define SIZES (sizeof sizes / sizeof *sizes)
static const size_t too_much[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - 4096, PTRDIFF_MAX};
#define TOO_MUCH (sizeof too_much / sizeof *too_much)

static bool all(const unsigned char *p, size_t n, unsigned char value) {
    return n == 0 || (p[0] == value && memcmp(p, p + 1, n - 1) == 0);
}

/* What every block must be: aligned, of the size asked for, writable to its last usable byte, its size constant. */
static void check_block(void *p, size_t n, size_t align) {
    cr_assert_not_null(p, "%zu bytes", n);
    cr_assert_eq((uintptr_t)p % align, 0, "%zu bytes at %p, alignment %zu", n, p, align);
    size_t usable = malloc_usable_size(p);
    cr_assert_geq(usable, n);
    memset(p, 0xa5, usable);
    cr_assert_eq(malloc_usable_size(p), usable);
    cr_assert(all(p, usable, 0xa5));
}

Test(malloc, every_size_up_to_70000_is_aligned_and_usable) {
    for (size_t n = 0; n < 70000; n += n < 2200 ? 1 : 61) {
        void *p = malloc(n);
        check_block(p, n, 16);
        free(p);
    }
}

Test(malloc, sizes_around_the_limits) {
    for (size_t i = 0; i < SIZES; i++)
        for (int off = -1; off <= 1; off++) {
            size_t n = sizes[i] + (size_t)(sizes[i] ? off : 0);
            void *p = malloc(n);
            check_block(p, n, 16);
            free(p);
        }
}

Test(malloc, zero_bytes_give_distinct_blocks) {
    void *a = malloc(0), *b = malloc(0), *c = calloc(0, 8), *d = calloc(8, 0);
    cr_assert(a && b && c && d);
    cr_assert(a != b && b != c && c != d && a != d);
    free(a), free(b), free(c), free(d);
}

Test(malloc, too_much_is_enomem) {
    for (size_t i = 0; i < TOO_MUCH; i++) {
        void *same = (void *)16, *old = malloc(100);
        errno = 0;
        cr_assert_null(malloc(too_much[i]));
        cr_assert_eq(errno, ENOMEM);
        errno = 0;
        cr_assert_null(calloc(1, too_much[i]));
        cr_assert_eq(errno, ENOMEM);
        errno = 0;
        cr_assert_null(realloc(old, too_much[i]));
        cr_assert_eq(errno, ENOMEM);
        errno = 0;
        cr_assert_null(aligned_alloc(64, too_much[i]));
        cr_assert_eq(errno, ENOMEM);
        errno = 0;
        cr_assert_null(memalign(8192, too_much[i]));
        cr_assert_eq(errno, ENOMEM);
        errno = 0;
        cr_assert_null(valloc(too_much[i]));
        cr_assert_eq(errno, ENOMEM);
        errno = 0;
        cr_assert_null(pvalloc(too_much[i]));
        cr_assert_eq(errno, ENOMEM);
        errno = 77;
        cr_assert_eq(posix_memalign(&same, 64, too_much[i]), ENOMEM);
        cr_assert_eq(errno, ENOMEM);
        cr_assert_eq(same, (void *)16);
        check_block(old, 100, 16);
        free(old);
    }
}

Test(malloc, overflowing_products_are_enomem) {
    static const size_t factors[][2] = {{SIZE_MAX, 2}, {2, SIZE_MAX}, {(size_t)1 << 32, (size_t)1 << 32}, {SIZE_MAX, SIZE_MAX}};
    for (size_t i = 0; i < 4; i++) {
        char *old = strcpy(malloc(10), "kept");
        errno = 0;
        cr_assert_null(calloc(factors[i][0], factors[i][1]));
        cr_assert_eq(errno, ENOMEM);
        errno = 0;
        cr_assert_null(reallocarray(old, factors[i][0], factors[i][1]));
        cr_assert_eq(errno, ENOMEM);
        cr_assert_str_eq(old, "kept");
        free(old);
    }
}

Test(calloc, is_zero_after_dirty_frees) {
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < SIZES; i++) {
            unsigned char *dirty = malloc(sizes[i]);
            memset(dirty, 0xff, malloc_usable_size(dirty));
            free(dirty);
            unsigned char *p = calloc(1, sizes[i]);
            cr_assert(all(p, sizes[i], 0), "%zu bytes", sizes[i]);
            memset(p, 0xee, sizes[i]);
            free(p);
        }
    for (size_t n = 1; n < 5000; n += 7) {
        unsigned char *p = calloc(n, 3);
        cr_assert(all(p, n * 3, 0));
        memset(p, 0xdd, n * 3);
        free(p);
    }
}

Test(calloc, is_zero_in_memory_split_from_a_dirty_span) {
    unsigned char *big = malloc(100000), *keep = malloc(100000);
    memset(big, 0xff, 100000);
    free(big);
    unsigned char *small = calloc(1, 50000), *rest = calloc(1, 40000);
    cr_assert(all(small, 50000, 0) && all(rest, 40000, 0));
    free(small), free(rest), free(keep);
}

Test(free, null_and_errno) {
    errno = 42;
    free(NULL);
    cfree(NULL);
    free_sized(NULL, 5);
    free_aligned_sized(NULL, 64, 128);
    for (size_t i = 0; i < SIZES; i++) {
        void *p = malloc(sizes[i]);
        errno = 42;
        free(p);
        cr_assert_eq(errno, 42, "free of %zu bytes", sizes[i]);
    }
}

Test(free, every_name_frees) {
    for (int i = 0; i < 100000; i++) {
        free(malloc(100));
        cfree(malloc(100));
        free_sized(malloc(100), 100);
        free_aligned_sized(aligned_alloc(128, 256), 128, 256);
        __libc_free(__libc_malloc(100));
    }
    cr_assert_lt(mallinfo2().arena, (size_t)64 << 20);
}

Test(realloc, null_and_zero) {
    void *p = realloc(NULL, 100);
    check_block(p, 100, 16);
    cr_assert_null(realloc(p, 0));
    p = realloc(NULL, 0);
    cr_assert_not_null(p);
    free(p);
    p = reallocarray(NULL, 10, 10);
    check_block(p, 100, 16);
    cr_assert_null(reallocarray(p, 0, 10));
}

static void fill_counting(unsigned char *p, size_t from, size_t to) {
    for (size_t i = from; i < to; i++)
        p[i] = (unsigned char)(i * 31 + (i >> 8));
}

static bool is_counting(const unsigned char *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i] != (unsigned char)(i * 31 + (i >> 8)))
            return false;
    return true;
}

Test(realloc, keeps_contents_between_all_pairs_of_sizes) {
    for (size_t i = 0; i < SIZES; i++)
        for (size_t j = 0; j < SIZES; j++) {
            size_t from = sizes[i] ? sizes[i] : 1, to = sizes[j] ? sizes[j] : 1;
            unsigned char *p = malloc(from);
            fill_counting(p, 0, from);
            p = realloc(p, to);
            cr_assert_not_null(p);
            cr_assert_eq((uintptr_t)p % 16, 0);
            cr_assert(is_counting(p, from < to ? from : to), "%zu -> %zu", from, to);
            cr_assert_geq(malloc_usable_size(p), to);
            memset(p, 1, malloc_usable_size(p));
            free(p);
        }
}

Test(realloc, grows_and_shrinks_step_by_step) {
    unsigned char *p = NULL, *neighbour = NULL;
    size_t have = 0;
    for (size_t n = 1; n < (size_t)64 << 20; n = n * 9 / 8 + 1) {
        p = realloc(p, n);
        cr_assert(is_counting(p, have < n ? have : n));
        fill_counting(p, have, n);
        have = n;
        free(neighbour);
        neighbour = malloc(n / 3 + 1);
        memset(neighbour, 0xff, n / 3 + 1);
    }
    for (size_t n = have; n > 0; n = n * 7 / 8) {
        p = realloc(p, n);
        cr_assert(is_counting(p, n));
    }
    free(p), free(neighbour);
}

Test(aligned, every_alignment_and_many_sizes) {
    for (size_t align = 1; align <= (size_t)1 << 22; align *= 2)
        for (size_t i = 0; i < SIZES; i += 2) {
            void *p = aligned_alloc(align, sizes[i]), *q = memalign(align, sizes[i]), *r = NULL;
            check_block(p, sizes[i], align > 16 ? align : 16);
            check_block(q, sizes[i], align > 16 ? align : 16);
            if (align >= sizeof(void *)) {
                cr_assert_eq(posix_memalign(&r, align, sizes[i]), 0);
                check_block(r, sizes[i], align);
            }
            free(p), free(q), free(r);
        }
}

Test(aligned, huge_alignments) {
    for (size_t align = (size_t)1 << 24; align <= (size_t)1 << 30; align *= 4) {
        void *p = aligned_alloc(align, 100), *q = aligned_alloc(align, 300000);
        check_block(p, 100, align);
        check_block(q, 300000, align);
        free(p), free(q);
    }
}

static const size_t far_sizes[] = {0, 1, 100, 4096, 300000, (size_t)1 << 40, ((size_t)1 << 62) - 1, (size_t)1 << 62,
                                   PTRDIFF_MAX, SIZE_MAX - 4096, SIZE_MAX};
#define FAR_SIZES (sizeof far_sizes / sizeof *far_sizes)

static void no_block(void *p, int log, size_t bytes) {
    cr_assert_null(p, "2^%d, %zu bytes", log, bytes);
    cr_assert_eq(errno, ENOMEM, "2^%d, %zu bytes", log, bytes);
    errno = 0;
}

#if defined(__aarch64__)
enum { ADDRESS_BITS = 48 }; /* of the highest that Linux hands to programs */
#else
enum { ADDRESS_BITS = 47 };
#endif

/* Powers of two are legal, but of addresses only 0 is a multiple of these. In the modes options/at_least asks for them; sizes told
 * wrongly, as here, the checks report. */
Test(info, alignments_that_no_address_has) {
    errno = 0;
    for (int log = ADDRESS_BITS; log <= 63; log++)
        for (size_t i = 0; i < FAR_SIZES; i++) {
            volatile size_t align = (size_t)1 << log, bytes = far_sizes[i];
            void *same = (void *)16;
            no_block(aligned_alloc(align, bytes), log, bytes);
            no_block(memalign(align, bytes), log, bytes);
            no_block(memalign(align - 1, bytes), log, bytes); /* rounded up */
            no_block(__libc_memalign(align, bytes), log, bytes);
            cr_assert_eq(posix_memalign(&same, align, bytes), ENOMEM);
            cr_assert_eq(same, (void *)16);
            no_block(NULL, log, bytes);
            struct myalloc_sized found = myalloc_aligned_alloc_at_least(align, bytes);
            no_block(found.block, log, bytes);
            cr_assert_eq(found.bytes, 0);
            for (int others = 0; others <= 0x140; others += 0x40) /* flags of jemalloc's that do not align */
                cr_assert_eq(nallocx(bytes, log | others), 0, "2^%d, %zu bytes", log, bytes);
            void *live = malloc(100); /* only the checks look at what a caller says of a block */
            sdallocx(live, bytes, log);
            sdallocx(NULL, bytes, log);
            free_aligned_sized(malloc(100), align, bytes);
        }
    void *after = malloc(100);
    check_block(after, 100, 16);
    free(after);
}

/* The largest that there may be: each gives a block or ENOMEM, and none where nallocx says so. */
Test(info, alignments_that_few_addresses_have) {
    for (int log = 31; log < ADDRESS_BITS; log++)
        for (size_t i = 0; i < FAR_SIZES; i++) {
            volatile size_t align = (size_t)1 << log, bytes = far_sizes[i];
            errno = 0;
            struct myalloc_sized found = myalloc_aligned_alloc_at_least(align, bytes);
            size_t told = nallocx(bytes, log);
            cr_assert_eq(told == 0, bytes > ((size_t)1 << ADDRESS_BITS) - align, "2^%d, %zu bytes: %zu", log, bytes, told);
            cr_assert(told == 0 || told >= bytes, "2^%d, %zu bytes: %zu", log, bytes, told);
            if (found.block == NULL) {
                cr_assert_eq(errno, ENOMEM);
                continue;
            }
            cr_assert((uintptr_t)found.block % align == 0 && told != 0 && found.bytes >= told, "2^%d, %zu bytes", log, bytes);
            *(char *)found.block = 1;
            free_aligned_sized(found.block, align, found.bytes);
        }
}

/* A program that asks for what there cannot be, again and again, keeps its lists of free blocks. */
Test(info, refusals_leave_lists_alone) {
    void *blocks[50], *same = NULL;
    for (int i = 0; i < 50; i++)
        blocks[i] = malloc(200);
    for (int i = 0; i < 50; i++)
        free(blocks[i]);
    size_t kept = mallinfo2().smblks;
    volatile size_t align = (size_t)1 << 62;
    cr_assert_gt(kept, 0);
    cr_assert_eq(posix_memalign(&same, align, 100), ENOMEM);
    cr_assert_eq(mallinfo2().smblks, kept);
}

Test(aligned, every_size_stays_aligned_and_survives_realloc) {
    for (size_t align = 32; align <= 16384; align *= 2)
        for (size_t n = 1; n < 40000; n += 997) {
            unsigned char *p = memalign(align, n);
            check_block(p, n, align);
            fill_counting(p, 0, n);
            p = realloc(p, n * 2);
            cr_assert(is_counting(p, n));
            free(p);
        }
}

/* What is no power of two, from memory: clang refuses to compile such constants. */
static volatile size_t odd[] = {SIZE_MAX / 2 + 2, 48, 0, 5000};

Test(aligned, bad_alignments) {
    static const size_t bad[] = {0, 3, 24, 48, 100, SIZE_MAX};
    for (size_t i = 0; i < 6; i++) {
        void *p = (void *)1;
        errno = 0;
        cr_assert_null(aligned_alloc(bad[i], 100));
        cr_assert_eq(errno, EINVAL);
        errno = 5;
        cr_assert_eq(posix_memalign(&p, bad[i], 100), EINVAL);
        cr_assert_eq(p, (void *)1);
        cr_assert_eq(errno, 5);
    }
    void *p = (void *)1;
    cr_assert_eq(posix_memalign(&p, 4, 100), EINVAL);
    cr_assert_eq(p, (void *)1);
    errno = 0;
    cr_assert_null(memalign(odd[0], 1));
    cr_assert_eq(errno, EINVAL);
}

Test(aligned, memalign_rounds_odd_alignments_up) {
    void *p = memalign(odd[1], 100), *q = memalign(odd[2], 100), *r = memalign(odd[3], 100);
    check_block(p, 100, 64);
    check_block(q, 100, 16);
    check_block(r, 100, 8192);
    free(p), free(q), free(r);
}

Test(aligned, page_functions) {
    for (size_t i = 0; i < SIZES; i++) {
        void *p = valloc(sizes[i]), *q = pvalloc(sizes[i]);
        check_block(p, sizes[i], 4096);
        check_block(q, (sizes[i] + 4095) / 4096 * 4096, 4096);
        free(p), free(q);
    }
}

Test(libc_names, are_the_same_functions) {
    void *p = __libc_malloc(50), *q = NULL;
    check_block(p, 50, 16);
    p = __libc_realloc(p, 5000);
    check_block(p, 5000, 16);
    p = __libc_reallocarray(p, 100, 100);
    check_block(p, 10000, 16);
    free(p);
    p = __libc_calloc(10, 10);
    cr_assert(all(p, 100, 0));
    __libc_free(p);
    p = __libc_memalign(256, 10);
    check_block(p, 10, 256);
    free(p);
    p = __libc_valloc(10);
    check_block(p, 10, 4096);
    free(p);
    p = __libc_pvalloc(10);
    check_block(p, 4096, 4096);
    free(p);
    cr_assert_eq(__posix_memalign(&q, 512, 10), 0);
    check_block(q, 10, 512);
    free(q);
}

Test(usable, null_is_zero) {
    cr_assert_eq(malloc_usable_size(NULL), 0);
}

Test(usable, is_told_with_the_block) {
    for (size_t i = 0; i < SIZES; i++) {
        struct myalloc_sized found = myalloc_alloc_at_least(sizes[i]);
        cr_assert(found.block != NULL && found.bytes >= sizes[i] && found.bytes == malloc_usable_size(found.block));
        cr_assert(nallocx(sizes[i], 0) >= sizes[i] && nallocx(sizes[i], 0) <= found.bytes, "%zu", sizes[i]);
        memset(found.block, 1, found.bytes);
        sdallocx(found.block, found.bytes, 0);
        found = myalloc_aligned_alloc_at_least(256, sizes[i]);
        cr_assert(memalignment(found.block) >= 256 && found.bytes >= nallocx(sizes[i], 8), "%zu", sizes[i]);
        free_aligned_sized(found.block, 256, found.bytes);
    }
}

Test(info, mallinfo_follows_live_memory) {
    struct mallinfo2 before = mallinfo2();
    void *blocks[1000], *big = malloc(50 << 20);
    size_t usable = malloc_usable_size(big);
    for (int i = 0; i < 1000; i++)
        usable += malloc_usable_size(blocks[i] = malloc(1024));
    struct mallinfo2 during = mallinfo2();
    cr_assert_eq(during.uordblks + during.hblkhd - before.uordblks - before.hblkhd, usable);
    cr_assert_eq(during.uordblks + during.fordblks, during.arena);
    free(big);
    for (int i = 0; i < 1000; i++)
        free(blocks[i]);
    struct mallinfo2 after = mallinfo2();
    cr_assert_eq(after.uordblks + after.hblkhd, before.uordblks + before.hblkhd);
    cr_assert_eq((size_t)mallinfo().uordblks, after.uordblks);
}

Test(info, trim_returns_memory_and_says_so) {
    char *p = malloc(20 << 20), *q = malloc(20 << 20);
    free(p);
    p = malloc(20 << 20); /* below the threshold now: on the heap */
    memset(p, 1, 20 << 20);
    free(p), free(q);
    cr_assert_eq(malloc_trim(0), 1);
    cr_assert_eq(malloc_trim(0), 0);
}

Test(info, malloc_info_is_well_formed_and_checks_options) {
    char text[4096] = "";
    FILE *stream = fmemopen(text, sizeof text, "w");
    cr_assert_eq(malloc_info(1, stream), EINVAL);
    cr_assert_eq(malloc_info(0, stream), 0);
    fclose(stream);
    cr_assert(strncmp(text, "<malloc version=\"1\">", 20) == 0);
    cr_assert_not_null(strstr(text, "</malloc>\n"));
}

Test(mallopt, sets_the_mmap_threshold) {
    cr_assert_eq(mallopt(M_MMAP_THRESHOLD, 1 << 20), 1);
    size_t before = mallinfo2().hblks;
    void *below = malloc(900 << 10), *above = malloc(1 << 20);
    cr_assert_eq(mallinfo2().hblks, before + 1);
    free(above);
    above = malloc(1 << 20); /* set by hand, the threshold no longer moves */
    cr_assert_eq(mallinfo2().hblks, before + 1);
    free(below), free(above);
    cr_assert_eq(mallopt(-12345, 1), 1);
}
