/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Linked with -lmcheck, which is to call mcheck(NULL) before main: a block is freed twice. */
#include <stdio.h>
#include <stdlib.h>

static void *volatile sink; /* the compiler shall not see that it is the same block */

int main(int argc, char **argv) {
    static char buffer[1024];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    (void)argv;
    sink = malloc(1000);
    printf("free(%p): block freed twice\n  called from\n", sink);
    printf("  block of 1000 bytes at %p\n  allocated by malloc\n  freed by free\n", sink);
    fflush(stdout);
    free(sink);
    if (argc < 2)
        free(sink);
    return 0;
}
