/* SPDX-License-Identifier: MIT */
/* run: helper */
/* A million times the call named by the argument and its free, for counting instructions: pairs malloc|calloc|realloc */
#include <stdlib.h>
#include <string.h>

enum { PAIRS = 1000000 };

int main(int argc, char **argv) {
    const char *call = argc > 1 ? argv[1] : "malloc";
    void *volatile p;
    for (int i = 0; i < 64; i++) { /* the lists are set up */
        p = malloc(64);
        free(p);
    }
    if (strcmp(call, "malloc") == 0)
        for (int i = 0; i < PAIRS; i++) {
            p = malloc(64);
            free(p);
        }
    if (strcmp(call, "calloc") == 0)
        for (int i = 0; i < PAIRS; i++) {
            p = calloc(1, 64);
            free(p);
        }
    if (strcmp(call, "realloc") == 0) {
        p = malloc(64);
        for (int i = 0; i < PAIRS; i++)
            p = realloc(p, 64);
        free(p);
    }
    return 0;
}
