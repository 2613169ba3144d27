/* SPDX-License-Identifier: MIT */
/* A server after Larson and Krishnan, "Memory allocation for long-running server applications" (ISMM 1998): each thread
 * replaces random blocks of its set, then ends and hands the set to a new thread. [threads [generations]] */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

enum { BLOCKS = 1000, REPLACEMENTS = 100000 };

struct set {
    char *p[BLOCKS];
    uint32_t random;
    int left;
};

static int generations = 100;

static uint32_t next(struct set *set) {
    set->random = set->random * 1664525 + 1013904223;
    return set->random >> 8;
}

static void start(struct set *set);

static void *serve(void *data) {
    struct set *set = data;
    for (int i = 0; i < REPLACEMENTS; i++) {
        size_t k = next(set) % BLOCKS, n = 8 + next(set) % 992;
        free(set->p[k]);
        *(set->p[k] = malloc(n)) = 1;
    }
    if (__atomic_sub_fetch(&set->left, 1, __ATOMIC_RELEASE) > 0)
        start(set);
    return NULL;
}

static void start(struct set *set) {
    pthread_t id;
    if (pthread_create(&id, NULL, serve, set) != 0)
        abort();
    pthread_detach(id);
}

int main(int argc, char **argv) {
    int threads = argc > 1 ? atoi(argv[1]) : 2;
    generations = argc > 2 ? atoi(argv[2]) : generations;
    struct set *sets = calloc((size_t)threads, sizeof *sets);
    for (int i = 0; i < threads; i++) {
        sets[i].random = (uint32_t)i + 1;
        sets[i].left = generations;
        start(&sets[i]);
    }
    for (int i = 0; i < threads; i++)
        while (__atomic_load_n(&sets[i].left, __ATOMIC_ACQUIRE) > 0)
            nanosleep(&(struct timespec){0, 1000000}, NULL);
    return 0;
}
