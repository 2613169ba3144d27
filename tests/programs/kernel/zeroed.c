/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug */
/* calloc's memory is zero, whatever it was before: freed, resized away, trimmed, given back by age. Also run by emulators,
 * which agree to calls that they do not know (tests/proofs/builds/emulated.test, aarch64.test). */
#include "tap.h"

#include <malloc.h>

#define COUNT 20
#define BYTES ((size_t)1000000)

static size_t not_zero(size_t bytes) {
    unsigned char *p = calloc(1, bytes);
    size_t wrong = 0;
    for (size_t i = 0; i < bytes; i++)
        wrong += p[i] != 0;
    memset(p, 0x77, bytes);
    free(p);
    return wrong;
}

static size_t all_sizes(void) {
    size_t wrong = 0;
    for (size_t bytes = 24; bytes <= 40000000; bytes = bytes * 7 / 3)
        wrong += not_zero(bytes);
    return wrong;
}

/* Blocks of the heap, each written over. */
static void fill(char **blocks, size_t bytes, int value) {
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = malloc(bytes);
        memset(blocks[i], value, bytes);
    }
}

static void free_all(char **blocks) {
    for (int i = 0; i < COUNT; i++)
        free(blocks[i]);
}

static size_t all_not_zero(void) {
    size_t wrong = 0;
    char *blocks[COUNT];
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = calloc(1, BYTES);
        for (size_t k = 0; k < BYTES; k++)
            wrong += blocks[i][k] != 0;
        memset(blocks[i], 0x33, BYTES);
    }
    free_all(blocks);
    return wrong;
}

int main(void) {
    char *moved[COUNT], *after[COUNT], path[] = "/tmp/myalloc-zeroed-XXXXXX";
    tap_watchdog(100);
    free(malloc(8 << 20)); /* from now on such blocks come from the heap */
    fill(moved, BYTES, 0x11);
    for (int i = 0; i < COUNT - 1; i++)
        moved[i] = realloc(moved[i], 3 * BYTES); /* its pages leave the heap */
    fill(after, BYTES, 0x5a);
    /* What a page has left behind is memory to the system's calls, too. */
    int file = mkstemp(path);
    bool written = true;
    for (int i = 0; i < COUNT; i++)
        written = written && pwrite(file, after[i], BYTES, 0) == (ssize_t)BYTES;
    tap(written, "system calls read what lies where pages have moved away");
    unlink(path);
    free_all(after);
    malloc_trim(0);
    tap(all_not_zero() == 0, "zeros where pages have moved away, freed and trimmed");
    tap(all_not_zero() == 0, "zeros where blocks were freed");
    free_all(moved);
    malloc_trim(0);
    tap(all_sizes() == 0, "zeros of all sizes");
    tap(all_sizes() == 0, "... again, after all of it was written over");
    malloc_trim(0);
    tap(all_sizes() == 0, "... and trimmed");
    return tap_done();
}
