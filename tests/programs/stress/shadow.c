/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug,ubsan timeout=600 */
/*
 * The shadow model: every block is filled with a pattern of its own, to its last usable byte, and looked at before it is
 * freed, resized or passed on, so that any overlap of two blocks is caught. Threads come and go, pass blocks to each
 * other through mailboxes, and leave blocks behind for later ones. --threads N --ops N --max BYTES --seed N --soak
 */
#include <malloc.h>
#include <pthread.h>

#include "tap.h"

#define BLOCKS 400
#define MAILBOXES 256

struct item {
    unsigned char *p;
    size_t bytes;
    unsigned char pattern;
};

static struct {
    pthread_mutex_t lock;
    struct item item;
} mailbox[MAILBOXES];

struct worker {
    uint64_t random;
    struct item items[BLOCKS];
};

static size_t ops = 40000, max_bytes = 1 << 20;

/* Long blocks are filled and checked at their ends and on a stride, which hits every page. */
static size_t step(size_t at, size_t bytes) {
    return bytes > 16384 && at > 256 && at + 512 < bytes ? 251 : 1;
}

static void fill(struct item *item) {
    size_t usable = malloc_usable_size(item->p);
    for (size_t i = 0; i < usable; i += step(i, usable))
        item->p[i] = item->pattern;
    item->bytes = usable;
}

static void verify(const struct item *item, size_t bytes) {
    for (size_t i = 0; i < bytes; i += step(i, item->bytes)) {
        if (item->p[i] != item->pattern) {
            printf("not ok - block %p of %zu bytes overwritten at %zu\n", (void *)item->p, item->bytes, i);
            fflush(stdout);
            abort();
        }
    }
}

/* Heavy-tailed: most requests are small, a few reach max_bytes. */
static size_t random_size(uint64_t *random) {
    uint64_t kind = tap_random(random) % 1000;
    if (kind < 600)
        return tap_random(random) % 256;
    if (kind < 900)
        return tap_random(random) % 4096;
    if (kind < 990)
        return tap_random(random) % 65536;
    return tap_random(random) % (kind < 999 ? max_bytes / 8 + 1 : max_bytes + 1);
}

static void require(bool condition, const char *what) {
    if (!condition) {
        printf("not ok - %s\n", what);
        fflush(stdout);
        abort();
    }
}

static void allocate(struct worker *worker, struct item *item) {
    size_t bytes = random_size(&worker->random), align = 16;
    switch (tap_random(&worker->random) % 6) {
    case 0:
        align = (size_t)16 << tap_random(&worker->random) % 12;
        item->p = memalign(align, bytes);
        break;
    case 1:
        item->p = calloc(1, bytes);
        item->bytes = bytes;
        item->pattern = 0;
        require(item->p != NULL, "calloc gives memory");
        for (size_t i = 0; i < bytes; i += step(i, bytes))
            require(item->p[i] == 0, "calloc gives zeros");
        break;
    default:
        item->p = malloc(bytes);
    }
    require(item->p != NULL && (uintptr_t)item->p % align == 0, "blocks are given and aligned");
    require(malloc_usable_size(item->p) >= bytes, "blocks are large enough");
    item->pattern = (unsigned char)tap_random(&worker->random);
    fill(item);
}

static void resize(struct worker *worker, struct item *item) {
    size_t bytes = random_size(&worker->random) + 1, old = item->bytes;
    verify(item, old);
    unsigned char *moved = realloc(item->p, bytes);
    require(moved != NULL, "realloc gives memory");
    item->p = moved;
    item->bytes = old;
    verify(item, old < bytes ? old : bytes);
    item->pattern = (unsigned char)tap_random(&worker->random);
    fill(item);
}

static void exchange(struct worker *worker, struct item *item) {
    size_t box = tap_random(&worker->random) % MAILBOXES;
    pthread_mutex_lock(&mailbox[box].lock);
    struct item theirs = mailbox[box].item;
    mailbox[box].item = *item;
    pthread_mutex_unlock(&mailbox[box].lock);
    *item = theirs;
    if (item->p != NULL)
        verify(item, item->bytes);
}

static void release(struct item *item) {
    verify(item, item->bytes);
    free(item->p);
    item->p = NULL;
}

static void *work(void *data) {
    struct worker *worker = data;
    for (size_t i = 0; i < ops; i++) {
        struct item *item = &worker->items[tap_random(&worker->random) % BLOCKS];
        if (item->p == NULL)
            allocate(worker, item);
        else if (tap_random(&worker->random) % 4 == 0)
            resize(worker, item);
        else if (tap_random(&worker->random) % 8 == 0)
            exchange(worker, item);
        else
            release(item);
    }
    for (size_t i = 0; i < BLOCKS; i++)
        if (worker->items[i].p != NULL)
            release(&worker->items[i]);
    return NULL;
}

static void run(int threads, int generations, uint64_t seed) {
    pthread_t ids[64];
    static struct worker workers[64];
    for (int g = 0; g < generations; g++) {
        for (int i = 0; i < threads; i++) {
            workers[i].random = seed + (uint64_t)(g * 1000 + i) * UINT64_C(0x9e3779b97f4a7c15) + 1;
            require(pthread_create(&ids[i], NULL, work, &workers[i]) == 0, "threads start");
        }
        for (int i = 0; i < threads; i++)
            pthread_join(ids[i], NULL);
    }
    tap(true, "%d threads, %d generations, %zu operations each, up to %zu bytes, seed %llu", threads, generations, ops,
        max_bytes, (unsigned long long)seed);
}

static void soak(uint64_t seed) {
    for (int round = 0; round < 100; round++)
        run(1 << round % 7, 3, seed + (uint64_t)round);
}

int main(int argc, char **argv) {
    uint64_t seed = 20260501;
    int threads = 0;
    bool long_run = false;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "0";
        if (strcmp(argv[i], "--soak") == 0)
            long_run = true;
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--threads") == 0)
            threads = atoi(value);
        else if (strcmp(argv[i], "--ops") == 0)
            ops = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--max") == 0)
            max_bytes = strtoull(value, NULL, 10);
    }
    tap_watchdog(long_run ? 7000 : 180);
    for (int i = 0; i < MAILBOXES; i++)
        pthread_mutex_init(&mailbox[i].lock, NULL);
    if (long_run) {
        soak(seed);
    } else if (threads > 0) {
        run(threads, 2, seed);
    } else {
        run(1, 4, seed);
        run(2, 2, seed);
        run(8, 2, seed);
        ops = 4000;
        run(64, 3, seed);
        ops = 3000;
        max_bytes = (size_t)64 << 20;
        run(4, 2, seed);
    }
    return tap_done();
}
