/* SPDX-License-Identifier: MIT */
/* One thread allocates, another frees, through a bounded queue. [blocks] */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { QUEUE = 4096 };

static void *_Atomic queue[QUEUE];
static size_t blocks = 10000000;

static void *produce(void *data) {
    unsigned random = 1;
    for (size_t i = 0; i < blocks; i++) {
        random = random * 1664525 + 1013904223;
        char *p = malloc(16 + (random >> 8) % 240);
        *p = 1;
        while (atomic_load_explicit(&queue[i % QUEUE], memory_order_acquire) != NULL)
            sched_yield();
        atomic_store_explicit(&queue[i % QUEUE], p, memory_order_release);
    }
    return data;
}

int main(int argc, char **argv) {
    pthread_t producer;
    blocks = argc > 1 ? strtoul(argv[1], NULL, 10) : blocks;
    pthread_create(&producer, NULL, produce, NULL);
    for (size_t i = 0; i < blocks; i++) {
        void *p;
        while ((p = atomic_load_explicit(&queue[i % QUEUE], memory_order_acquire)) == NULL)
            sched_yield();
        atomic_store_explicit(&queue[i % QUEUE], NULL, memory_order_release);
        free(p);
    }
    pthread_join(producer, NULL);
    return 0;
}
