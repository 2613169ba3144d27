/* SPDX-License-Identifier: MIT */
/* run: helper */
/* What probes.test listens to. `probed INTERVAL PATH`: waits for a line on standard input, then allocates and frees by each
 * kind of call while a profile of its own is on, writes it to PATH, and prints a line for each event: what a listener hears at
 * an interval of 1. Then it makes the heap grow, give memory back and come to its limit. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <malloc.h>
#include <unistd.h>

#include "../../../alloc/base/myalloc.h"
#pragma weak myalloc_profile_start
#pragma weak myalloc_profile_stop
#pragma weak myalloc_profile_write

#define BLOCKS 120
#define LARGE ((size_t)48 << 20)

static char output[1 << 16], input[4096];

static void *told(void *p, size_t bytes) {
    printf("alloc %#lx %zu\n", (unsigned long)p, bytes);
    return p;
}

static void give(void *p) {
    printf("free %#lx\n", (unsigned long)p);
    free(p);
}

/* One that does not move by more bytes of its class is not told of; one that moves is a free and an alloc. */
static void *grow(void *p, size_t old, size_t bytes) {
    uintptr_t was = (uintptr_t)p;
    p = realloc(p, bytes);
    if ((uintptr_t)p == was && old == bytes)
        return p;
    printf("move %#lx %#lx %zu\n", (unsigned long)was, (unsigned long)p, bytes);
    return p;
}

static void allocate(void) {
    void *kept[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++)
        kept[i] = told(malloc(100 + 37 * i), 100 + 37 * i);
    for (size_t i = 0; i < BLOCKS; i += 2)
        give(kept[i]);
    give(told(calloc(30, 100), 3000));
    give(told(aligned_alloc(256, 5120), 5120));
    void *p = told(malloc(1000), 1000);
    p = grow(p, 1000, 1000); /* stays */
    p = grow(p, 1000, 70000);
    p = grow(p, 70000, 900000); /* a mapping */
    p = grow(p, 900000, 3000000);
    give(p);
}

static void heap(void) {
    mallopt(M_MMAP_MAX, 0);
    char *large = malloc(LARGE); /* grow */
    memset(large, 1, LARGE);
    free(large);
    malloc_trim(0); /* purge */
    mallopt(M_MYALLOC_LIMIT_MIB, 64);
    if (malloc(LARGE * 2) != NULL) /* refuse */
        exit(3);
    mallopt(M_MYALLOC_LIMIT_MIB, 0);
}

/* False at the end of standard input. */
static int line(void) {
    int c = getchar();
    while (c != '\n' && c != EOF)
        c = getchar();
    return c != EOF;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    setvbuf(stdout, output, _IOFBF, sizeof output);
    setvbuf(stdin, input, _IOFBF, sizeof input);
    mallopt(M_MMAP_THRESHOLD, 128 << 10); /* whatever is freed */
    puts("ready");
    fflush(stdout);
    if (!line())
        return 2;
    if (myalloc_profile_start(strtoul(argv[1], NULL, 0)) != 0)
        return 4;
    allocate();
    myalloc_profile_stop();
    if (myalloc_profile_write(argv[2]) != 0)
        return 5;
    heap();
    puts("end");
    fflush(stdout);
    line();
    return 0;
}
