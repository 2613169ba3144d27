/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug timeout=360 */
/* Threads that come and go: what they leave behind is found again, and what they cached is not lost. */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tap.h"

#define SURVIVORS 64

static void *survivor[SURVIVORS];
static _Atomic unsigned turn;

/* Frees a survivor of an earlier thread, leaves one of its own, and works in between. */
static void *short_life(void *data) {
    uint64_t random = (uintptr_t)data * 77777 + 1;
    unsigned slot = atomic_fetch_add(&turn, 1) % SURVIVORS;
    void *scratch[50];
    for (int i = 0; i < 50; i++)
        scratch[i] = malloc(tap_random(&random) % 3000);
    for (int i = 0; i < 50; i++)
        free(scratch[i]);
    void *mine = malloc(500), *old;
    memset(mine, 1, 500);
    old = __atomic_exchange_n(&survivor[slot], mine, __ATOMIC_ACQ_REL);
    free(old);
    return NULL;
}

static void many_lives(unsigned lives) {
    pthread_t ids[8];
    for (unsigned i = 0; i < lives; i += 8) {
        for (unsigned k = 0; k < 8; k++)
            pthread_create(&ids[k], NULL, short_life, (void *)(uintptr_t)(i + k));
        for (unsigned k = 0; k < 8; k++)
            pthread_join(ids[k], NULL);
    }
}

static void churn(void) {
    many_lives(2000);
    size_t early = mallinfo2().arena;
    many_lives(10000);
    size_t late = mallinfo2().arena;
    /* One lost block a thread would be 5 MB; less than two steps of growth at a top_pad of 1 MiB is none. */
    tap(late <= early + (2 << 20), "10,000 threads that end leave nothing behind (%zu -> %zu bytes)", early, late);
    for (int i = 0; i < SURVIVORS; i++)
        free(survivor[i]);
}

static pthread_key_t keys[3];
static _Atomic int destroyed;

/* glibc runs destructors again while they set values: allocation must work in every round. */
static void destructor(void *value) {
    char *fresh = malloc(200);
    memset(fresh, 2, 200);
    free(value);
    if (atomic_fetch_add(&destroyed, 1) % 3 == 0)
        pthread_setspecific(keys[0], fresh);
    else
        free(fresh);
}

static void *with_destructors(void *data) {
    for (int i = 0; i < 3; i++)
        pthread_setspecific(keys[i], malloc(100 + (size_t)i * 1000));
    return data;
}

static void lives_with_destructors(int count) {
    for (int i = 0; i < count; i++) {
        pthread_t id;
        pthread_create(&id, NULL, with_destructors, NULL);
        pthread_join(id, NULL);
    }
}

static void destructors(void) {
    for (int i = 0; i < 3; i++)
        pthread_key_create(&keys[i], destructor);
    /* As many as fill the checks' quarantine (4 MiB, 4.7 KB a thread), whose blocks count as in use. */
    lives_with_destructors(1500);
    size_t before = mallinfo2().uordblks;
    lives_with_destructors(500);
    size_t after = mallinfo2().uordblks;
    tap(destroyed >= 6000, "destructors allocate and free while their thread ends");
    /* One lost block a thread would be 50,000 bytes at least. */
    tap(after <= before + 20000, "their blocks are not lost (%zu -> %zu bytes)", before, after);
}

static void *idle(void *data) {
    pthread_barrier_t *barrier = data;
    void *p = malloc(1000);
    pthread_barrier_wait(barrier);
    pthread_barrier_wait(barrier);
    free(p);
    return NULL;
}

static void thousand_alive(void) {
    static pthread_t ids[1000];
    pthread_barrier_t barrier;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 << 10);
    pthread_barrier_init(&barrier, NULL, 1001);
    int started = 0;
    for (int i = 0; i < 1000; i++)
        started += pthread_create(&ids[i], &attributes, idle, &barrier) == 0;
    if (!tap(started == 1000, "1000 threads start"))
        exit(1);
    pthread_barrier_wait(&barrier);
    size_t arena = mallinfo2().arena;
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 1000; i++)
        pthread_join(ids[i], NULL);
    tap(arena < (size_t)64 << 20, "1000 threads with a block each take %zu bytes of heap", arena);
}

int main(void) {
    tap_watchdog(110);
    churn();
    destructors();
    thousand_alive();
    return tap_done();
}
