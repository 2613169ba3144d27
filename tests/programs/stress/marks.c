/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug,ubsan timeout=300 */
/* The mark of freed blocks. Every second free of a block is told, in each class, however many blocks were freed between, and
 * wherever the block lies meanwhile: on this thread's list or its spare chain, on another thread's, in the transfer cache, at
 * home. And what only looks like a freed block is freed like any other: the program copies what it finds in memory that it has
 * not written, the mark among it. */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../alloc/base/myalloc.h"
#include "tap.h"

enum { DEPTHS = 5, MOST = 3000, SIZES = 11 };
static const size_t sizes[SIZES] = {1, 16, 24, 40, 64, 100, 500, 1024, 3000, 12000, 32768};
static const int depths[DEPTHS] = {0, 1, 7, 60, MOST};

static void *blocks[MOST];
static void *volatile sink;

static __attribute__((noinline)) void give(void *p) {
    sink = p;
    free(sink);
}

static void *take(size_t bytes) {
    sink = malloc(bytes);
    return sink;
}

/* Runs the misuse in a child; true if it aborted with a line that names the call. The line says "double free", or "invalid
 * pointer" once the block's span, all of it free, is no place of blocks any more. */
static bool told(void (*misuse)(size_t bytes, int depth), size_t bytes, int depth) {
    int out[2], status;
    char said[400] = "";
    if (pipe(out) != 0)
        return false;
    pid_t child = fork();
    if (child == 0) {
        dup2(out[1], 2);
        misuse(bytes, depth);
        _exit(0);
    }
    close(out[1]);
    ssize_t length = read(out[0], said, sizeof said - 1);
    close(out[0]);
    waitpid(child, &status, 0);
    return length > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strncmp(said, "==", 2) == 0 &&
           strstr(said, ": myalloc: free(0x") != NULL &&
           (strstr(said, "): double free") != NULL ||
            ((bytes > 1000 || depth == MOST) && strstr(said, "): no live block") != NULL));
}

static void free_others(size_t bytes, int depth, void *first) {
    for (int i = 0; i < depth; i++)
        blocks[i] = take(bytes);
    give(first);
    for (int i = 0; i < depth; i++)
        give(blocks[i]);
}

static void in_this_thread(size_t bytes, int depth) {
    void *p = take(bytes);
    free_others(bytes, depth, p);
    give(p);
}

/* Blocks are handed out from the list meanwhile, which may bring other chains in. */
static void with_mallocs(size_t bytes, int depth) {
    void *keep = take(bytes), *p = take(bytes);
    free_others(bytes, depth, p);
    for (int i = 0; i < depth / 4; i++)
        if (take(bytes) == p)
            give(p);
    give(p);
    give(keep);
}

struct other {
    size_t bytes;
    int depth;
    void *block;
    bool stays;
    _Atomic int state;
};

static void *free_in_other(void *data) {
    struct other *other = data;
    give(take(other->bytes)); /* its cache is open and the class is used */
    free_others(other->bytes, other->depth, other->block);
    other->state = 1;
    while (other->stays && other->state == 1)
        usleep(1000);
    return NULL;
}

static void by_other(size_t bytes, int depth, bool stays) {
    struct other other = {.bytes = bytes, .depth = depth, .block = take(bytes), .stays = stays};
    pthread_t id;
    pthread_create(&id, NULL, free_in_other, &other);
    while (other.state == 0)
        usleep(1000);
    if (!stays)
        pthread_join(id, NULL);
    give(other.block);
}

static void other_lives(size_t bytes, int depth) {
    by_other(bytes, depth, true);
}

static void other_ended(size_t bytes, int depth) {
    by_other(bytes, depth, false);
}

static void after_fork(size_t bytes, int depth) {
    void *p = take(bytes);
    free_others(bytes, depth, p);
    pid_t child = fork();
    int status = 0;
    if (child == 0)
        give(p);
    else
        waitpid(child, &status, 0);
    if (child != 0 && WIFSIGNALED(status))
        abort();
}

/* As many blocks are freed as there may be without any of their memory going back to the OS at once. */
static int depth_of(int wanted, size_t bytes) {
    size_t most = ((size_t)24 << 20) / bytes;
    return most < (size_t)wanted ? (int)most : wanted;
}

static void all_told(const char *where, void (*misuse)(size_t bytes, int depth)) {
    int missed = 0;
    for (int i = 0; i < SIZES; i++)
        for (int k = 0; k < DEPTHS; k++)
            if (!told(misuse, sizes[i], depth_of(depths[k], sizes[i]))) {
                missed++;
                printf("# %zu bytes, %d others between: not told\n", sizes[i], depth_of(depths[k], sizes[i]));
            }
    tap(missed == 0, "second frees told, %s: %d of %d", where, SIZES * DEPTHS - missed, SIZES * DEPTHS);
}

/* ---- what only looks like it ------------------------------------------------------------------------------------- */

static uint64_t mark;

static __attribute__((noinline)) void read_mark(void) {
    void *volatile p = malloc(64);
    free(p);
    mark = ((volatile uint64_t *)p)[1];
}

/* Every block has the mark where a freed one has it, at each free. */
static void *live_with_mark(void *data) {
    uint64_t random = (uintptr_t)data + 3;
    enum { HELD = 200 };
    static __thread uint64_t *held[HELD];
    long wrong = 0;
    for (int i = 0; i < 60000; i++) {
        unsigned at = (unsigned)(tap_random(&random) % HELD);
        if (held[at] != NULL) {
            wrong += held[at][0] != (uintptr_t)held[at] || held[at][1] != mark;
            give(held[at]);
        }
        size_t bytes = tap_random(&random) % 3 ? 16 + tap_random(&random) % 200 : 16 + tap_random(&random) % 32000;
        held[at] = tap_random(&random) % 2 ? calloc(1, bytes) : malloc(bytes);
        wrong += held[at] == NULL || held[at][1] == mark; /* malloc has cleared it */
        held[at][0] = (uintptr_t)held[at];
        held[at][1] = mark;
        if (tap_random(&random) % 8 == 0)
            held[at] = realloc(held[at], bytes + 500), held[at][0] = (uintptr_t)held[at];
    }
    for (int i = 0; i < HELD; i++)
        give(held[i]);
    return (void *)wrong;
}

static void coincidences(void) {
    enum { THREADS = 3 };
    pthread_t ids[THREADS];
    long wrong = (long)live_with_mark(NULL);
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&ids[i], NULL, live_with_mark, (void *)(i + 1));
    for (size_t i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(ids[i], &result);
        wrong += (long)result;
    }
    tap(wrong == 0, "blocks in which the program has written the mark are freed as any other");
}

int main(void) {
    tap_watchdog(95);
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_MYALLOC_DECAY_MS, 1000000); /* what goes back to the OS loses its mark */
    read_mark();
    tap(mark != 0 && (mark & 1) == 1 && mark >> 62 == 2, "a freed block has a mark that is no address");
    coincidences();
    all_told("in this thread", in_this_thread);
    all_told("with mallocs between", with_mallocs);
    all_told("the first by a thread that lives", other_lives);
    all_told("the first by a thread that has ended", other_ended);
    all_told("in a forked child", after_fork);
    return tap_done();
}
