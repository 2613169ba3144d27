/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug timeout=450 */
/* A limit on what is taken from the OS: never passed, NULL with ENOMEM beyond it, and what is free is given back first.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "programs/options/json.h"
#include "tap.h"

#define MIB ((size_t)1 << 20)
#define LIMIT (64 * MIB)
#define M_MYALLOC_LIMIT_MIB (-1005)

enum { MOST = 1000000 };
static void *blocks[MOST];

static void limit(size_t bytes) {
    if (mallopt(M_MYALLOC_LIMIT_MIB, (int)(bytes / MIB)) != 1)
        abort();
}

/* What has been taken by the library's account, and, as far as the kernel can tell, by the break and mappings. */
static char *break_at_start;
static size_t taken(void) {
    json_read();
    size_t account = json_number("taken"), seen = (size_t)((char *)sbrk(0) - break_at_start) + mallinfo2().hblkhd;
    return account > seen ? account : seen;
}

/* As many blocks as there are to be had. */
static int take(size_t bytes, size_t align) {
    int count = 0;
    errno = 0;
    while (count < MOST && (blocks[count] = align > 16 ? memalign(align, bytes) : malloc(bytes)) != NULL)
        *(char *)blocks[count++] = 1;
    return count;
}

static void give(int count) {
    for (int i = 0; i < count; i++)
        free(blocks[i]);
}

static void fill(size_t bytes, size_t align, size_t at_least) {
    int first = take(bytes, align), error = errno;
    size_t full = taken();
    give(first);
    int second = take(bytes, align);
    give(second);
    tap(error == ENOMEM && full <= LIMIT && (size_t)first * bytes >= at_least && second >= first - first / 50 - 1,
        "blocks of %zu bytes aligned to %zu: %d, then ENOMEM, with %zu bytes taken; again %d", bytes, align, first,
        full, second);
}

/* Free memory of the heap is given back where a mapping needs room. */
static void gives_back(void) {
    int count = 0;
    for (; count < 400000 && taken() < 50 * MIB; count += 1000)
        for (int i = 0; i < 1000; i++)
            memset(blocks[count + i] = malloc(100), 1, 100);
    give(count);
    size_t before = taken();
    void *large = malloc(55 * MIB);
    tap(before > 20 * MIB && large != NULL && taken() <= LIMIT,
        "a heap of %zu free bytes makes room for a block of 55 MiB", before);
    free(large);
    malloc_trim(0);
}

static void resizing(const char *name, size_t start, size_t step) {
    unsigned char *p = malloc(start), *grown = p;
    size_t bytes = start;
    memset(p, 0x5a, start);
    while ((grown = realloc(p, bytes + step)) != NULL) {
        memset(grown + bytes, 0x5a, step);
        p = grown;
        bytes += step;
        if (bytes > 2 * LIMIT)
            break;
    }
    int error = errno;
    size_t full = taken(), intact = 0;
    while (intact < bytes && p[intact] == 0x5a)
        intact++;
    free(p);
    tap(grown == NULL && error == ENOMEM && full <= LIMIT && bytes >= LIMIT / 4 && intact == bytes,
        "realloc of %s grows to %zu bytes, then ENOMEM with the block intact, %zu taken", name, bytes, full);
}

static void clearing(void) {
    for (int i = 0; i < 20; i++)
        blocks[i] = malloc(100);
    give(20);
    size_t on_lists = mallinfo2().fsmblks;
    errno = 0;
    void *much = calloc(LIMIT / 8, 9);
    int error = errno;
    size_t kept = mallinfo2().fsmblks;
    void *some = calloc(LIMIT / 16, 8);
    tap(much == NULL && error == ENOMEM && some != NULL, "calloc: too much is refused, half of it is there");
    tap(on_lists > 0 && kept == on_lists, "what is above the limit costs no list its blocks (%zu bytes)", kept);
    free(some);
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static _Atomic size_t refused;
static _Atomic bool over;

static void *struggle(void *data) {
    enum { HELD = 64 };
    void *held[HELD] = {NULL};
    uint64_t random = (uint64_t)(uintptr_t)data * 77 + 5;
    for (int i = 0; i < 20000; i++) {
        void **at = &held[tap_random(&random) % HELD];
        size_t bytes = tap_random(&random) % 4 == 0 ? tap_random(&random) % (2 * MIB) : tap_random(&random) % 40000;
        if (tap_random(&random) % 8 == 0) {
            void *resized = *at != NULL ? realloc(*at, bytes + 1) : NULL;
            *at = resized != NULL ? resized : *at;
            continue;
        }
        free(*at);
        *at = malloc(bytes);
        atomic_fetch_add(&refused, *at == NULL);
    }
    for (int i = 0; i < HELD; i++)
        free(held[i]);
    return NULL;
}

static void *watch(void *data) {
    static char text[65536];
    while (!atomic_load((_Atomic bool *)data)) {
        json_call(text, sizeof text);
        size_t now = strtoul(strstr(text, "\"taken\": ") + 9, NULL, 10);
        if (now > LIMIT)
            atomic_store(&over, true);
    }
    return NULL;
}

static void threads(void) {
    pthread_t workers[8], watcher;
    static _Atomic bool stop;
    pthread_create(&watcher, NULL, watch, &stop);
    for (size_t i = 0; i < 8; i++)
        pthread_create(&workers[i], NULL, struggle, (void *)(i + 1));
    for (int i = 0; i < 8; i++)
        pthread_join(workers[i], NULL);
    atomic_store(&stop, true);
    pthread_join(watcher, NULL);
    json_read();
    size_t peak = json_number("peak");
    tap(refused > 0 && !over && peak <= LIMIT, "8 threads: %zu requests refused, %zu bytes taken at most", refused,
        peak);
    tap(json_adds_up(), "and all adds up afterwards");
    malloc_trim(0);
}

static void in_a_child(void) {
    void *held = malloc(20 * MIB);
    pid_t child = fork();
    if (child == 0) {
        tap_watchdog(60);
        int count = take(MIB, 16);
        size_t full = taken();
        _exit(!(count >= 30 && count <= 44 && errno == ENOMEM && full <= LIMIT));
    }
    tap(tap_child_passed(child), "a forked child is limited too, its parent's blocks counted");
    free(held);
}

static void changing(void) {
    malloc_trim(0); /* what was refused before gave nothing back that would not have helped */
    void *held = malloc(40 * MIB), *more;
    size_t before = taken();
    limit(16 * MIB);
    int count = take(MIB, 16); /* none, but for what the heap has taken at its end and not handed out yet */
    tap(held != NULL && count <= 8 && errno == ENOMEM && taken() <= before, "a limit set below what is taken: nothing more");
    give(count);
    free(held);
    more = malloc(MIB);
    tap(more != NULL, "... until enough is given back");
    free(more);
    limit(0);
    more = malloc(2 * LIMIT);
    tap(more != NULL, "the limit is taken off");
    free(more);
}

int main(void) {
    static char buffer[1 << 12];
    setvbuf(stdout, buffer, _IOLBF, sizeof buffer);
    tap_watchdog(140);
    free(malloc(1)); /* the heap starts here */
    malloc_trim(0);
    break_at_start = sbrk(0);
    limit(LIMIT);
    threads();
    fill(MIB, 16, 60 * MIB);
    fill(20000, 16, 50 * MIB);
    fill(100, 16, 50 * MIB);
    fill(40000, 16, 40 * MIB);
    fill(100000, 65536, 30 * MIB);
    fill(300000, 4096, 50 * MIB);
    gives_back();
    resizing("a mapping", MIB, MIB);
    resizing("a mapping by small steps", MIB, 40000);
    mallopt(M_MMAP_MAX, 0);
    resizing("a block in the heap", 50000, 50000);
    mallopt(M_MMAP_MAX, 65536);
    resizing("a small block", 10, 5000);
    clearing();
    in_a_child();
    changing();
    return tap_done();
}
