/* SPDX-License-Identifier: MIT */
/* Rounds of filling a table with one range of sizes and dropping two thirds of it, then the next range: what is dropped
 * must serve the next sizes. [blocks [rounds]] */
#include <stdlib.h>

int main(int argc, char **argv) {
    size_t blocks = argc > 1 ? strtoul(argv[1], NULL, 10) : 300000;
    int rounds = argc > 2 ? atoi(argv[2]) : 16;
    char **p = calloc(blocks, sizeof *p);
    unsigned random = 1;
    for (int r = 0; r < rounds; r++) {
        for (size_t i = 0; i < blocks; i++)
            if (p[i] == NULL) {
                random = random * 1664525 + 1013904223;
                p[i] = malloc(24 + (size_t)(r % 4) * 40 + (random >> 8) % 100);
                *p[i] = 1;
            }
        for (size_t i = 0; i < blocks; i++)
            if ((i * 7 + (size_t)r) % 3) {
                free(p[i]);
                p[i] = NULL;
            }
    }
    return 0;
}
