/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Blocks that stay, and then the statistics as JSON on standard output, for metadata.test: metadata blocks COUNT BYTES, or
 * metadata stacks COUNT DIFFERENT, which allocates COUNT blocks from so many different call stacks, 65,536 at most, and says
 * on standard error how many frames each has. */
#include <execinfo.h>
#include <unistd.h>

#include "programs/options/json.h"

enum { DEPTH = 8 }; /* of calls, each by one of four functions: 65,536 different stacks */
static int frames;

static void *onward(unsigned way, int depth);

/* No tail call: it would leave no frame. */
#define WAY(name)                                                                                                      \
    static __attribute__((noinline)) void *name(unsigned way, int depth) {                                             \
        void *p = onward(way, depth);                                                                                  \
        __asm__ volatile("" : : "r"(p));                                                                               \
        return p;                                                                                                      \
    }
WAY(north)
WAY(east)
WAY(south)
WAY(west)

static __attribute__((noinline)) void *onward(unsigned way, int depth) {
    static void *(*const ways[])(unsigned, int) = {north, east, south, west};
    void *list[64], *p;
    if (depth == DEPTH && frames == 0)
        frames = backtrace(list, 64);
    p = depth == DEPTH ? malloc(16) : ways[way % 4](way / 4, depth + 1);
    __asm__ volatile("" : : "r"(p));
    return p;
}

int main(int argc, char **argv) {
    size_t count = argc == 4 ? strtoul(argv[2], NULL, 10) : 0, what = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
    for (size_t i = 0; i < count; i++) {
        void *p = strcmp(argv[1], "stacks") == 0 ? onward((unsigned)(i % what), 0) : malloc(what);
        if (p == NULL)
            return 1;
    }
    json_read();
    fputs(json_text, stdout);
    fflush(stdout);
    if (frames > 0)
        dprintf(STDERR_FILENO, "%d\n", frames);
    _exit(0);
}
