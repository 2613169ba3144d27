/* SPDX-License-Identifier: MIT */
/* Everything at once under ThreadSanitizer: threads allocate, resize and free, small and large, also what another allocated;
 * threads start and end; tunables are set, statistics read and the heap walked; two threads fork. */
#include <malloc.h>
#include <pthread.h>

#include "heap/cache_bound.h"
#include "api/front.h"
#include "heap/mapped.h"
#include "base/myalloc.h"
#include "observe/stats.h"
#include "tap.h"
#include "kit/tunables.h"
#include "process/verify.h"

enum { TRADERS = 3, LIVES = 150, BOXES = 32, LOOKS = 60, FORKS = 12, LARGE_MOST = 600000 };

static _Atomic(unsigned char *) boxes[BOXES];
static _Atomic size_t broken;
static _Atomic bool stop;

static size_t some_size(uint64_t *random) {
    unsigned kind = tap_random(random) % 16;
    return tap_random(random) % (kind == 0 ? LARGE_MOST : kind < 4 ? 20000 : 1200) + 2;
}

static void trade(uint64_t *random, int rounds) {
    for (int i = 0; i < rounds; i++) {
        size_t bytes = some_size(random), larger = some_size(random);
        unsigned char *p = front_alloc(bytes, "malloc");
        p[0] = (unsigned char)bytes;
        p[bytes - 1] = (unsigned char)bytes;
        p = front_realloc(p, larger, "realloc");
        broken += p[0] != (unsigned char)bytes;
        p = atomic_exchange(&boxes[tap_random(random) % BOXES], p);
        if (p != NULL) {
            p[1] = 1;
            front_free(p, "free");
        }
    }
}

static void *trader(void *data) {
    uint64_t random = (uintptr_t)data * 31 + 5;
    while (!stop)
        trade(&random, 100);
    return NULL;
}

static void *short_life(void *data) {
    uint64_t random = (uintptr_t)data * 77 + 3;
    trade(&random, 20);
    return NULL;
}

static void *lives(void *unused) {
    (void)unused;
    for (size_t i = 0; i < LIVES; i++) {
        pthread_t ids[2];
        for (size_t k = 0; k < 2; k++)
            pthread_create(&ids[k], NULL, short_life, (void *)(i * 2 + k + 1));
        for (size_t k = 0; k < 2; k++)
            pthread_join(ids[k], NULL);
    }
    return NULL;
}

/* All that mallopt can set while others read it; the bound on lists last, because it stays. */
static void *look(void *unused) {
    (void)unused;
    for (int i = 0; i < LOOKS; i++) {
        struct stats stats;
        stats_read(&stats);
        broken += stats.taken == 0;
        broken += verify_heap() != 0;
        front_trim(0);
        mapped_mallopt(M_MMAP_THRESHOLD, 64000 + i * 3000);
        mapped_mallopt(M_TRIM_THRESHOLD, 100000 + i);
        mapped_mallopt(M_TOP_PAD, i);
        mapped_mallopt(M_MMAP_MAX, 1000 + i);
        mapped_mallopt(M_MYALLOC_DECAY_MS, i);
        mapped_mallopt(M_MYALLOC_LIMIT_MIB, 4000 + i);
        mapped_mallopt(M_MYALLOC_HUGEPAGES, i % 3);
        mapped_mallopt(M_MYALLOC_POPULATE, i % 2);
        tunables.dynamic_threshold = 1; /* so that frees go on raising it */
        if (i == LOOKS / 2 && mapped_mallopt(M_MYALLOC_CACHE_LIMIT, 20000))
            cache_bound_now();
    }
    return NULL;
}

static void *forks(void *passed) {
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child == 0) {
            uint64_t random = 11;
            tap_watchdog(60);
            trade(&random, 50);
            _exit(broken == 0 && verify_heap() == 0 ? 0 : 1);
        }
        *(int *)passed += tap_child_passed(child);
        usleep(2000);
    }
    return NULL;
}

int main(void) {
    tap_watchdog(110);
    pthread_t traders[TRADERS], others[4];
    int passed[2] = {0, 0};
    for (size_t i = 0; i < TRADERS; i++)
        pthread_create(&traders[i], NULL, trader, (void *)(i + 1));
    pthread_create(&others[0], NULL, lives, NULL);
    pthread_create(&others[1], NULL, look, NULL);
    pthread_create(&others[2], NULL, forks, &passed[0]);
    pthread_create(&others[3], NULL, forks, &passed[1]);
    for (size_t i = 0; i < 4; i++)
        pthread_join(others[i], NULL);
    stop = true;
    for (size_t i = 0; i < TRADERS; i++)
        pthread_join(traders[i], NULL);
    tap(broken == 0 && verify_heap() == 0,
        "%d threads trade, %d start and end, tunables, statistics and walks meanwhile", TRADERS, 2 * LIVES);
    tap(passed[0] == FORKS && passed[1] == FORKS, "%d forks by two threads meanwhile", 2 * FORKS);
    return tap_done();
}
