/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Blocks that stay, and then the statistics as JSON on standard output, for metadata.test: metadata blocks COUNT BYTES, or
 * metadata threads COUNT BYTES, of so many threads, each with one block, which all stay, or
 * metadata stacks COUNT DIFFERENT, which allocates COUNT blocks from so many different call stacks, 65,536 at most, and says
 * on standard error how many frames each has. */
#include <execinfo.h>
#include <pthread.h>
#include <stdbool.h>
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

static pthread_barrier_t barrier;

static void *stay(void *bytes) {
    void *p = malloc((size_t)bytes);
    pthread_barrier_wait(&barrier);
    pause();
    return p;
}

static void start_threads(size_t count, size_t bytes) {
    pthread_attr_t small;
    pthread_t id;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 * 1024);
    pthread_barrier_init(&barrier, NULL, (unsigned)count + 1);
    for (size_t i = 0; i < count; i++)
        if (pthread_create(&id, &small, stay, (void *)bytes) != 0)
            _exit(1);
    pthread_barrier_wait(&barrier);
}

int main(int argc, char **argv) {
    size_t count = argc == 4 ? strtoul(argv[2], NULL, 10) : 0, what = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
    bool threads = argc == 4 && strcmp(argv[1], "threads") == 0;
    if (threads)
        start_threads(count, what);
    for (size_t i = 0; i < count && !threads; i++) {
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
