/* SPDX-License-Identifier: MIT */
/* One thread replaces random blocks of a fixed set; sizes are heavy-tailed. [blocks [replacements]] */
#include <stdint.h>
#include <stdlib.h>

static uint64_t state = 88172645463325252u;

static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static size_t size(uint64_t r) {
    unsigned kind = (r >> 20) % 100;
    size_t n = r >> 32;
    return kind < 70 ? n % 128 + 1 : kind < 95 ? n % 1024 + 1 : kind < 99 ? n % 16384 + 1 : n % 100000 + 1;
}

int main(int argc, char **argv) {
    size_t blocks = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000;
    size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 20000000;
    char **p = calloc(blocks, sizeof *p);
    for (size_t i = 0; i < rounds; i++) {
        uint64_t r = next();
        size_t k = r % blocks, n = size(r);
        free(p[k]);
        p[k] = malloc(n);
        if (p[k] == NULL)
            return 1;
        p[k][0] = p[k][n - 1] = 1;
    }
    return 0;
}
