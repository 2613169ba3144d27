/* SPDX-License-Identifier: MIT */
/* memory [small|large]: keeps many small blocks, or 64 MiB in large ones, and uses all that they have. */
#include <myalloc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* At least `bytes`, and how many there are. Ends the program where there is no memory. */
static size_t keep(size_t bytes) {
    struct myalloc_sized found = myalloc_alloc_at_least(bytes);
    if (found.block == NULL) {
        fprintf(stderr, "memory: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    memset(found.block, 1, found.bytes);
    return found.bytes;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    size_t wanted = 0, have = 0;
    myalloc_tag(what);
    for (int i = 0; i < 400000 && strcmp(what, "small") == 0; i++)
        wanted += 90, have += keep(90);
    for (int i = 0; i < 64 && strcmp(what, "large") == 0; i++)
        wanted += 1 << 20, have += keep(1 << 20);
    printf("%zu bytes of the %zu that were asked for\n", have, wanted);
    return 0;
}
