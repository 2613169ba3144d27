/* SPDX-License-Identifier: MIT */
/* Two blocks that grow by realloc, one to 50 MB. [rounds] */
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 20;
    for (int r = 0; r < rounds; r++) {
        char *p = NULL, *q = NULL;
        size_t have = 0;
        for (size_t n = 100; n < 50000000; n = n * 5 / 4 + 64) {
            p = realloc(p, n);
            memset(p + have, 1, n - have);
            have = n;
            if (n < 1000000)
                q = realloc(q, n / 2);
        }
        if (p[0] != 1 || p[have / 2] != 1)
            return 1;
        free(p);
        free(q);
    }
    return 0;
}
