/* SPDX-License-Identifier: MIT */
/* Large buffers, 5 to 25 MiB, eight at a time, half of them zeroed, partly or wholly written. [buffers] */
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    int buffers = argc > 1 ? atoi(argv[1]) : 600;
    char *p[8] = {0};
    unsigned random = 1;
    for (int i = 0; i < buffers; i++) {
        random = random * 1664525 + 1013904223;
        size_t k = random >> 29, n = (5u << 20) + (random >> 8) % (20u << 20);
        free(p[k]);
        p[k] = i % 2 ? calloc(1, n) : malloc(n);
        if (p[k] == NULL || (i % 2 && p[k][n / 2] != 0))
            return 1;
        for (size_t at = 0; at < n; at += 16384)
            p[k][at] = 1;
        if (i % 7 == 0)
            memset(p[k], 1, n);
    }
    return 0;
}
