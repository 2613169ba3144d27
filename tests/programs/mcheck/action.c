/* SPDX-License-Identifier: MIT */
/* run: helper */
/* M_CHECK_ACTION of mallopt(3): action VALUE free|realloc|usable|mapping [mcheck]. The fault is one that is found with
 * and without the checks; the program says what is due on standard output, and that it went on. */
#include <errno.h>
#include <malloc.h>
#include <mcheck.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int myalloc_check_heap(void) __attribute__((weak));

static void *volatile sink; /* the compiler shall not see that it is the same block */
static char static_bytes[64] __attribute__((aligned(16)));

int main(int argc, char **argv) {
    static char buffer[1024];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    const char *what = argc > 2 ? argv[2] : "";
    if (argc > 3 && mcheck(NULL) != 0)
        puts("mcheck failed");
    if (mallopt(M_CHECK_ACTION, atoi(argv[1])) != 1)
        puts("mallopt failed");
    sink = malloc(40);
    void *bad = strcmp(what, "free") == 0 ? sink : static_bytes;
    printf("at %p\n", bad);
    fflush(stdout);
    free(sink);
    if (strcmp(what, "realloc") == 0) {
        sink = static_bytes;
        puts(realloc(sink, 100) == NULL && errno == ENOMEM ? "NULL" : "realloc gave memory");
    } else if (strcmp(what, "usable") == 0) {
        puts(malloc_usable_size(static_bytes) == 0 ? "0" : "it has a size");
    } else {
        sink = bad;
        free(sink);
    }
    void *volatile a = malloc(40), *volatile b = malloc(40);
    puts(a != b && myalloc_check_heap() == 0 ? "went on" : "the heap is broken");
    return 0;
}
