/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Call sites of which it is known what they allocate, for readers.test: what is kept, what is freed, what was freed behind a
 * peak. Prints one line a function: name, live blocks and bytes, all blocks and bytes. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define APART __attribute__((noinline, noclone))

static void *kept[40000];
static size_t used;

static void tell(const char *name, size_t live, size_t live_bytes, size_t all, size_t bytes) {
    printf("%s %zu %zu %zu %zu\n", name, live, live_bytes, all, bytes);
}

APART void keep_small(void) {
    for (int i = 0; i < 20000; i++)
        kept[used++] = malloc(40);
    tell("keep_small", 20000, 800000, 20000, 800000);
}

APART void keep_large(void) {
    for (int i = 0; i < 50; i++)
        kept[used++] = calloc(1, 100000);
    tell("keep_large", 50, 5000000, 50, 5000000);
}

APART void churn(void) {
    for (int i = 0; i < 20000; i++)
        free(malloc(200));
    tell("churn", 0, 0, 20000, 4000000);
}

APART void grow(void) {
    void *p = NULL;
    for (size_t bytes = 1000; bytes <= 64000; bytes *= 2)
        p = realloc(p, bytes);
    kept[used++] = p;
    tell("grow", 1, 64000, 7, 127000);
}

APART void aligned(void) {
    for (int i = 0; i < 100; i++)
        kept[used++] = aligned_alloc(64, 640);
    tell("aligned", 100, 64000, 100, 64000);
}

int main(void) {
    keep_small();
    keep_large();
    churn();
    grow();
    aligned();
    return 0;
}
