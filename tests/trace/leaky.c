/* SPDX-License-Identifier: MIT */
/* Programs for leaks.test: `leaky CASE`. */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>

#include "tap.h"

#define NOINLINE __attribute__((noinline, noclone))

static void *volatile kept;
static volatile size_t too_much = (size_t)PTRDIFF_MAX / 2;

/* Global functions, linked with -rdynamic, so that their names are there to be found. */
void NOINLINE leak_big(void) {
    kept = malloc(500000); /* leak_big */
}

void NOINLINE leak_many(void) {
    for (int i = 0; i < 50; i++)
        kept = malloc(1000); /* leak_many */
}

void NOINLINE leak_small(size_t bytes) {
    kept = calloc(1, bytes); /* leak_small */
}

void NOINLINE leak_twice(void) {
    leak_small(7);
    leak_small(9);
}

static void NOINLINE leak_static(void) {
    kept = malloc(20000); /* leak_static */
}

static void groups(void) {
    leak_twice();
    leak_many();
    leak_big();
    leak_static();
    for (size_t size = 1; size < 4 << 20; size = size * 3 + 1)
        free(malloc(size));
    void *p = malloc(10);
    p = realloc(p, 100);
    if (realloc(p, too_much) != NULL || errno != ENOMEM)
        abort();
    kept = realloc(p, 3333); /* groups */
}

static void clean(void) {
    for (size_t size = 1; size < 4 << 20; size = size * 3 + 1)
        free(malloc(size));
}

/* More places than a report shows: each depth of the recursion is a stack of its own. */
static NOINLINE int recurse(int depth) {
    kept = malloc((size_t)depth + 1);
    return depth == 0 ? 0 : recurse(depth - 1) + 1;
}

static void places(void) {
    int sum = 0;
    for (int depth = 0; depth < 25; depth++) {
        sum += recurse(depth);
        sum += recurse(depth);
        sum += recurse(depth);
        sum += recurse(depth);
        sum += recurse(depth);
    }
    if (sum != 5 * 300)
        abort();
}

static void *work(void *data) {
    uint64_t seed = (uintptr_t)data * 7919;
    for (int i = 0; i < 5000; i++) {
        void *p = malloc(tap_random(&seed) % 3000);
        if (i % 3 == 0)
            p = realloc(p, tap_random(&seed) % 9000 + 1);
        free(p);
    }
    leak_small(4321);
    return NULL;
}

static void threads(void) {
    pthread_t ids[4];
    for (uintptr_t i = 0; i < 4; i++)
        pthread_create(&ids[i], NULL, work, (void *)(i + 1));
    for (int i = 0; i < 4; i++)
        pthread_join(ids[i], NULL);
}

/* A child that ends by exit reports, one that ends by _exit does not. */
static void forking(void) {
    leak_small(100);
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        if (child == 0) {
            leak_small(1000);
            kept = NULL; /* not for the destructor */
            if (i == 0)
                exit(0);
            _exit(0);
        }
        if (!tap_child_passed(child))
            abort();
    }
}

static void *late;

static void free_late(void) {
    free(late);
}

__attribute__((destructor)) static void free_kept(void) {
    free(kept);
}

static void at_exit(void) {
    atexit(free_late);
    late = malloc(70000);
    kept = malloc(80000);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"groups", groups}, {"clean", clean}, {"places", places}, {"threads", threads}, {"fork", forking}, {"exit", at_exit},
};

int main(int count, char **arguments) {
    tap_watchdog(60);
    for (size_t i = 0; count == 2 && i < sizeof cases / sizeof *cases; i++)
        if (strcmp(cases[i].name, arguments[1]) == 0) {
            cases[i].run();
            if (cases[i].run != at_exit)
                kept = NULL;
            return 0;
        }
    fprintf(stderr, "usage: leaky CASE\n");
    return 2;
}
