/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug timeout=120 */
/* Sizes that a caller learns: each byte of them is its own, and may be told at the end, in each mode of the library; alignments
 * that no address has are refused in each of them. */
#include <malloc.h>

#include "tap.h"

struct sized {
    char *block;
    size_t bytes;
};
struct sized myalloc_alloc_at_least(size_t bytes);
struct sized myalloc_aligned_alloc_at_least(size_t align, size_t bytes);
size_t nallocx(size_t bytes, int flags);
void sdallocx(void *p, size_t bytes, int flags);
size_t memalignment(const void *p);
void free_sized(void *p, size_t bytes);
void free_aligned_sized(void *p, size_t align, size_t bytes);
struct sized __size_returning_new(size_t bytes);
struct sized __size_returning_new_hot_cold(size_t bytes, uint8_t hint);
struct sized __size_returning_new_aligned(size_t bytes, size_t align);
struct sized __size_returning_new_aligned_hot_cold(size_t bytes, size_t align, uint8_t hint);
void _ZdlPvm(void *p, size_t bytes);
void _ZdlPvmSt11align_val_t(void *p, size_t bytes, size_t align);

/* No names of glibc's: without the library the program does not start. */
#pragma weak myalloc_alloc_at_least
#pragma weak myalloc_aligned_alloc_at_least
#pragma weak nallocx
#pragma weak sdallocx
#pragma weak memalignment
#pragma weak free_sized
#pragma weak free_aligned_sized
#pragma weak __size_returning_new
#pragma weak __size_returning_new_hot_cold
#pragma weak __size_returning_new_aligned
#pragma weak __size_returning_new_aligned_hot_cold
#pragma weak _ZdlPvm
#pragma weak _ZdlPvmSt11align_val_t

static const size_t sizes[] = {0, 1, 15, 16, 17, 100, 1000, 1024, 1025, 1032, 4000, 4104, 8193, 16384, 16400, 32768, 32769,
                               100000, 200000, 5000000};
enum { SIZES = sizeof sizes / sizeof *sizes, WAYS = 5 };

/* Whether all of it may be written, and no more is told than there is. */
static bool holds(struct sized found, size_t wanted, size_t told) {
    if (found.block == NULL || found.bytes < wanted || malloc_usable_size(found.block) != found.bytes || told < wanted ||
        told > found.bytes)
        return false;
    memset(found.block, 0x5a, found.bytes);
    return true;
}

static bool plain(size_t bytes, int way) {
    struct sized found = myalloc_alloc_at_least(bytes);
    size_t told = nallocx(bytes, 0);
    if (!holds(found, bytes, told) || memalignment(found.block) < 16)
        return false;
    switch (way) {
    case 0: free(found.block); break;
    case 1: free_sized(found.block, bytes); break;
    case 2: free_sized(found.block, found.bytes); break;
    case 3: sdallocx(found.block, told, 0); break;
    default: sdallocx(found.block, (bytes + found.bytes) / 2, 0); break;
    }
    return true;
}

static bool aligned(size_t bytes, unsigned log, int way) {
    size_t align = (size_t)1 << log, told = nallocx(bytes, (int)log);
    struct sized found = myalloc_aligned_alloc_at_least(align, bytes);
    if (!holds(found, bytes, told) || memalignment(found.block) < align)
        return false;
    switch (way) {
    case 0: free(found.block); break;
    case 1: free_aligned_sized(found.block, align, bytes); break;
    case 2: free_aligned_sized(found.block, align, found.bytes); break;
    case 3: sdallocx(found.block, told, (int)log); break;
    default: sdallocx(found.block, found.bytes, (int)log); break;
    }
    return true;
}

static bool of_new(size_t bytes, int way) {
    size_t told = nallocx(bytes, 0);
    struct sized found = way % 2 ? __size_returning_new(bytes) : __size_returning_new_hot_cold(bytes, 255);
    struct sized other = way % 2 ? __size_returning_new_aligned(bytes, 64)
                                 : __size_returning_new_aligned_hot_cold(bytes, 64, 0);
    if (!holds(found, bytes, told) || !holds(other, bytes, bytes) || memalignment(other.block) < 64)
        return false;
    _ZdlPvm(found.block, way < 3 ? bytes : found.bytes);
    _ZdlPvmSt11align_val_t(other.block, way < 3 ? other.bytes : bytes, 64);
    return true;
}

/* The size that went wrong, plus one; 0 if none did. */
static int all_sizes(void) {
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < SIZES; i++) {
            int way = (i + round) % WAYS;
            if (!plain(sizes[i], way) || !aligned(sizes[i], 4 + (unsigned)(i + round) % 10, way) || !of_new(sizes[i], way))
                return i + 1;
        }
    }
    return 0;
}

static void in_mode(const char *options) {
    int status = -1;
    pid_t child = tap_start_again(options, "sizes", 0);
    if (child > 0)
        waitpid(child, &status, 0);
    bool wrong = WIFEXITED(status) && WEXITSTATUS(status) > 0 && WEXITSTATUS(status) <= SIZES;
    tap(status == 0, "%s: status %d, at a size of %zu", *options ? options : "no option", status,
        wrong ? sizes[WEXITSTATUS(status) - 1] : 0);
}

#if defined(__aarch64__)
enum { ADDRESS_BITS = 48 }; /* of the highest that Linux hands to programs */
#else
enum { ADDRESS_BITS = 47 };
#endif

/* Alignments that no address has: no block in any mode, whatever the size. */
static bool far_alignments(void) {
    static const size_t lengths[] = {0, 1, 100, 5000, 300000, (size_t)1 << 40, (size_t)1 << 62, PTRDIFF_MAX, SIZE_MAX - 4096,
                                     SIZE_MAX};
    for (int log = ADDRESS_BITS; log <= 63; log++)
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            volatile size_t align = (size_t)1 << log;
            void *same = (void *)16;
            errno = 0;
            if (posix_memalign(&same, align, lengths[i]) != ENOMEM || same != (void *)16 || errno != ENOMEM ||
                aligned_alloc(align, lengths[i]) != NULL || memalign(align, lengths[i]) != NULL ||
                myalloc_aligned_alloc_at_least(align, lengths[i]).block != NULL || nallocx(lengths[i], log) != 0)
                return false;
        }
    return true;
}

static void refused(void) {
    errno = 0;
    struct sized found = myalloc_alloc_at_least(SIZE_MAX / 2 + 2);
    tap(found.block == NULL && found.bytes == 0 && errno == ENOMEM, "more than there can be: NULL, 0 and ENOMEM");
    errno = 0;
    found = myalloc_aligned_alloc_at_least(48, 100);
    tap(found.block == NULL && found.bytes == 0 && errno == EINVAL, "no power of two: NULL, 0 and EINVAL");
    errno = 0;
    found = myalloc_aligned_alloc_at_least((size_t)1 << 60, 100);
    tap(found.block == NULL && found.bytes == 0 && errno == ENOMEM, "an alignment that no address has: NULL, 0 and ENOMEM");
    tap(nallocx(SIZE_MAX / 2 + 2, 0) == 0 && nallocx(100, 63) == 0, "nallocx: 0 where there can be no such block");
    tap(memalignment(NULL) == 0 && memalignment((void *)96) == 32 && memalignment((void *)1) == 1, "memalignment");
    sdallocx(NULL, 0, 0);
    tap(nallocx(1000, 0) == 1008 && nallocx(1000, 7) == 1024 && nallocx(1000, 0x40) == 1008, "nallocx: as malloc rounds");
}

int main(int argc, char **argv) {
    tap_watchdog(60);
    if (argc == 3 && strcmp(argv[1], "sizes") == 0) {
        int wrong = far_alignments() ? all_sizes() : SIZES + 1;
        if (strstr(getenv("MYALLOC_OPTIONS"), "profile") != NULL)
            _exit(wrong); /* exit would write the profile */
        return wrong;
    }
    if (myalloc_alloc_at_least == NULL) {
        tap(false, "the library is there");
        return tap_done();
    }
    const char *modes[] = {"", "check:1", "check:3", "protect:paranoid", "protect:sample,sample_interval:3",
                           "profile:1,profile_interval:1000", "perturb:7", "cache_limit:0", "leaks:1"};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        in_mode(modes[i]);
    refused();
    return tap_done();
}
