/* SPDX-License-Identifier: MIT */
/* What a program asks of its allocator, each kind of call at least once, every byte that it counts on looked at. */
#ifndef TESTS_KERNEL_WORK_H
#define TESTS_KERNEL_WORK_H

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define WORK_KIB ((size_t)1 << 10)
#define WORK_MIB ((size_t)1 << 20)
#define WORK_STEP ((size_t)16 << 10)

/* What went wrong first; NULL if nothing has. */
static const char *volatile work_wrong;

static void work_must(bool holds, const char *what) {
    if (!holds && work_wrong == NULL)
        work_wrong = what;
}

/* Marks the first and the last bytes, and one in WORK_STEP between. */
static void work_fill(char *p, size_t bytes, char value) {
    for (size_t i = 0; i < bytes; i += WORK_STEP)
        p[i] = value;
    if (bytes > 0)
        p[bytes - 1] = value;
}

static bool work_holds(const char *p, size_t bytes, char value) {
    for (size_t i = 0; i < bytes; i += WORK_STEP)
        if (p[i] != value)
            return false;
    return bytes == 0 || p[bytes - 1] == value;
}

static bool work_is_zero(const char *p, size_t bytes) {
    return bytes == 0 || (p[0] == 0 && memcmp(p, p + 1, bytes - 1) == 0);
}

/* Blocks of all kinds, a bounded number of them alive. */
static void work_blocks(unsigned seed, int rounds) {
    static const size_t sizes[] = {1, 24, 100, 600, 3000, 20000, 40000, 150000, 700000, 2000000};
    enum { KEPT = 40 };
    char *kept[KEPT] = {NULL};
    size_t bytes[KEPT] = {0};
    for (int i = 0; i < rounds; i++) {
        unsigned at = (seed = seed * 1103515245 + 12345) >> 16 & 31;
        size_t size = sizes[(seed >> 8) % 10] + (seed >> 20) % 90;
        char *p = seed & 64 ? malloc(size) : realloc(kept[at], size);
        work_must(p != NULL, "a block");
        if (p == NULL)
            return;
        if (seed & 64) {
            work_must(kept[at] == NULL || work_holds(kept[at], bytes[at], (char)(at + 1)), "what a block holds");
            free(kept[at]);
        } else {
            size_t least = size < bytes[at] ? size : bytes[at];
            size_t marked = least / WORK_STEP * WORK_STEP; /* marks lie at multiples */
            work_must(least <= WORK_STEP || work_holds(p, marked - WORK_STEP + 1, (char)(at + 1)), "what a resized block holds");
        }
        work_fill(kept[at] = p, bytes[at] = size, (char)(at + 1));
    }
    for (int at = 0; at < KEPT; at++)
        free(kept[at]);
}

/* A block that grows through all kinds, and shrinks again. */
static void work_growing(void) {
    char *p = malloc(1000);
    size_t had = 0;
    for (size_t size = 1000; size <= 20 * WORK_MIB; size = size * 5 / 2) {
        char *q = realloc(p, size);
        work_must(q != NULL, "a block that grows");
        if (q == NULL)
            break;
        p = q;
        work_must(had == 0 || p[had - 1] == 5, "what a block holds that grows");
        p[size - 1] = 5;
        had = size;
    }
    p[99] = 6;
    for (size_t size = had / 3; size > 100; size /= 5) {
        char *q = realloc(p, size);
        work_must(q != NULL && q[99] == 6, "a block that shrinks");
        p = q ? q : p;
    }
    free(p);
}

static void work_zeros(void) {
    static const size_t sizes[] = {40, 5000, 60000, 300000, 2000000, 40000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *p = malloc(sizes[i]);
        work_must(p != NULL, "a block");
        if (p == NULL)
            continue;
        memset(p, 9, sizes[i] < 3000000 ? sizes[i] : 3000000);
        free(p);
        p = calloc(1, sizes[i]);
        work_must(p != NULL && work_is_zero(p, sizes[i] < 3000000 ? sizes[i] : 3000000), "zeros");
        free(p);
    }
}

static void work_odd(void) {
    char *p = aligned_alloc(4096, 8192), *q = memalign(WORK_MIB, 300000);
    work_must(p != NULL && (uintptr_t)p % 4096 == 0 && q != NULL && (uintptr_t)q % WORK_MIB == 0, "an aligned block");
    free(p);
    free(q);
    /* More heap than its metadata is writable for at the start. */
    char *many[24];
    for (int i = 0; i < 24; i++) {
        many[i] = malloc(3700000);
        work_must(many[i] != NULL, "the heap grows");
        if (many[i] != NULL)
            many[i][3699999] = 1;
    }
    for (int i = 0; i < 24; i++)
        free(many[i]);
    malloc_trim(0);
    work_must(mallinfo2().arena + 1 != 0, "mallinfo2");
}

/* All of it. */
__attribute__((unused)) static void work(unsigned seed) {
    work_blocks(seed, 80);
    work_growing();
    work_zeros();
    work_odd();
    work_blocks(seed + 1, 80);
    malloc_trim(0);
}

#endif
