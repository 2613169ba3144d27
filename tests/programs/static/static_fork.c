/* SPDX-License-Identifier: MIT */
/* Forks of a static program while its threads allocate: each child finds a sound heap and can allocate, also in threads
 * of its own and in a child of its own. --no-threads: in none of its own, which qemu-user's own assertions do not survive. */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "../../../alloc/base/myalloc.h"
#include "tap.h"

enum { THREADS = 3, FORKS = 200, BLOCKS = 64 };

static _Atomic bool stop;
static bool with_threads = true;

/* Sizes of each kind: small, of whole units, mapped. */
static bool churn(uint64_t seed, int rounds) {
    static __thread unsigned char *blocks[BLOCKS];
    static __thread size_t sizes[BLOCKS];
    bool sound = true;
    for (int i = 0; i < rounds; i++) {
        size_t slot = tap_random(&seed) % BLOCKS;
        unsigned char *p = blocks[slot];
        sound = sound && (p == NULL || (p[0] == slot && p[sizes[slot] - 1] == slot));
        free(p);
        sizes[slot] = tap_random(&seed) % (i % 64 == 0 ? 300000 : 2000) + 1;
        p = blocks[slot] = malloc(sizes[slot]);
        p[0] = p[sizes[slot] - 1] = (unsigned char)slot;
    }
    return sound;
}

static void *keep_at_it(void *seed) {
    bool sound = true;
    while (!stop)
        sound = churn((uintptr_t)seed, 1000) && sound;
    return sound ? seed : NULL;
}

static void *once(void *seed) {
    return churn((uintptr_t)seed, 1000) ? seed : NULL;
}

static int live_as_child(int i) {
    pthread_t thread;
    void *done = NULL;
    tap_watchdog(20);
    if (myalloc_check_heap() != 0 || !churn((uint64_t)i + 1, 500))
        return 1;
    if (with_threads && i % 10 == 0 &&
        (pthread_create(&thread, NULL, once, &tap_count) != 0 || pthread_join(thread, &done) != 0 || !done))
        return 2;
    pid_t child = i % 10 == 5 ? fork() : -1;
    if (child == 0)
        _exit(churn(3, 500) && myalloc_check_heap() == 0 ? 0 : 1);
    return child < 0 || tap_child_passed(child) ? 0 : 3;
}

int main(int argc, char **argv) {
    tap_watchdog(110);
    with_threads = argc < 2 || strcmp(argv[1], "--no-threads") != 0;
    pthread_t ids[THREADS];
    int passed = 0, sound = 0;
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&ids[i], NULL, keep_at_it, (void *)(i + 7));
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(live_as_child(i));
        passed += tap_child_passed(child);
    }
    stop = true;
    for (int i = 0; i < THREADS; i++) {
        void *done = NULL;
        sound += pthread_join(ids[i], &done) == 0 && done != NULL;
    }
    tap(passed == FORKS, "%d of %d children work", passed, FORKS);
    tap(sound == THREADS, "no block of a thread was changed");
    tap(myalloc_check_heap() == 0, "all invariants hold");
    return tap_done();
}
