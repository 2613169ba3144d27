/* SPDX-License-Identifier: MIT */
/* blocks COUNT [STATUS]: allocates COUNT blocks of 100 bytes and spins a known time for each; then checks that no two
 * overlap, prints how many there were and exits with STATUS (0). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spin.h"

enum { BYTES = 100 };

int main(int argc, char **argv) {
    int count = argc > 1 ? atoi(argv[1]) : 1000, status = argc > 2 ? atoi(argv[2]) : 0;
    unsigned **blocks = malloc((size_t)count * sizeof *blocks);
    for (int i = 0; i < count; i++) {
        blocks[i] = malloc(BYTES);
        memset(blocks[i], 0, BYTES);
        *blocks[i] = (unsigned)i;
        spin(SPIN_TURNS);
    }
    for (int i = 0; i < count; i++)
        if (*blocks[i] != (unsigned)i) {
            fprintf(stderr, "load_blocks: block %d has changed\n", i);
            return 1;
        }
    printf("figure blocks %d blocks\n", count);
    return status;
}
