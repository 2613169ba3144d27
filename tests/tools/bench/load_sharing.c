/* SPDX-License-Identifier: MIT */
/* sharing KIND THREADS ROUNDS: threads that share memory in one way, so that what must come of it can be calculated. */
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LINE = 64, LINES = 500, THREADS = 64, SECTION = 400 };

static struct {
    _Alignas(LINE) _Atomic long value;
} lines[THREADS + 1];
static _Alignas(LINE) _Atomic long words[LINE / sizeof(long)];
static _Alignas(LINE) _Atomic int arrived;
static _Alignas(LINE) volatile char table[LINES * LINE];
static _Alignas(LINE) volatile long guarded;
static _Alignas(LINE) pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned char *block;
static long threads, rounds;
static void (*kind)(long self, long round);

/* Two threads by turns: each reads until it is its turn, and writes. */
static void pass(long self, long round) {
    (void)round;
    while (atomic_load_explicit(&lines[0].value, memory_order_relaxed) % 2 != self)
        ;
    atomic_store_explicit(&lines[0].value, lines[0].value + 1, memory_order_relaxed);
}

static void count(long self, long round) {
    (void)self, (void)round;
    atomic_fetch_add(&lines[0].value, 1);
}

/* A word of one's own in one line, or in a line of one's own. */
static void neighbours(long self, long round) {
    atomic_store_explicit(&words[self], round, memory_order_relaxed);
}

static void apart(long self, long round) {
    atomic_store_explicit(&lines[self].value, round, memory_order_relaxed);
}

static void read_table(long self, long round) {
    (void)self, (void)round;
    for (int i = 0; i < LINES; i++)
        (void)table[i * LINE];
}

static void read_block(long self, long round) {
    (void)self, (void)round;
    for (int i = 0; i < LINES; i++)
        (void)((volatile unsigned char *)block)[i * LINE];
}

static void work(void) {
    for (int i = 0; i < SECTION; i++)
        guarded = i;
}

static void lock(long self, long round) {
    (void)self, (void)round;
    while (atomic_exchange(&lines[0].value, 1) != 0)
        while (atomic_load_explicit(&lines[0].value, memory_order_relaxed) != 0)
            ;
    work();
    atomic_store_explicit(&lines[0].value, 0, memory_order_release);
}

static void sleep_for_lock(long self, long round) {
    (void)self, (void)round;
    pthread_mutex_lock(&mutex);
    work();
    pthread_mutex_unlock(&mutex);
}

static void allocate(long self, long round) {
    (void)self, (void)round;
    void *volatile p = malloc(16);
    (void)p;
}

static void forks(long self, long round) {
    (void)self, (void)round;
    if (fork() == 0)
        _exit(0);
}

static void hangs(long self, long round) {
    (void)self, (void)round;
    pause();
}

static void fails(long self, long round) {
    (void)self, (void)round;
    fputs("it fails\n", stderr);
    _exit(3);
}

/* The time that passes by itself, for a thread that has nothing else to wait for. */
static void waits(long self, long round) {
    (void)round;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 100;
    if (self == 0) {
        pthread_mutex_lock(&mutex);
        while (pthread_cond_timedwait(&(pthread_cond_t)PTHREAD_COND_INITIALIZER, &mutex, &until) == 0)
            ;
        pthread_mutex_unlock(&mutex);
    }
}

/* The core's number, by a system call and in the rseq area, where kernels since 6.3 have it a second time (mm_cid). */
static void processor(long self, long round) {
    (void)self, (void)round;
    free(malloc(1));
    const ptrdiff_t *offset = dlsym(RTLD_DEFAULT, "__rseq_offset");
    const uint32_t *area = (const uint32_t *)((const char *)__builtin_thread_pointer() + *offset);
    if ((int)area[1] != sched_getcpu() || area[0] != area[1] || area[6] != area[1] || sysconf(_SC_NPROCESSORS_ONLN) != 48)
        _exit(4);
}

static const struct {
    const char *name;
    void (*call)(long self, long round);
} kinds[] = {{"pass", pass},         {"count", count},           {"neighbours", neighbours}, {"apart", apart},
             {"table", read_table},  {"block", read_block},      {"lock", lock},             {"mutex", sleep_for_lock},
             {"allocate", allocate}, {"forks", forks},           {"hangs", hangs},           {"fails", fails},
             {"waits", waits},       {"processor", processor}};

static void *thread(void *data) {
    long self = (long)(intptr_t)data;
    atomic_fetch_add(&arrived, 1);
    while (atomic_load_explicit(&arrived, memory_order_relaxed) < threads)
        sched_yield();
    for (long i = 0; i < rounds; i++)
        kind(self, i);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t ids[THREADS];
    for (size_t i = 0; argc == 4 && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(argv[1], kinds[i].name) == 0)
            kind = kinds[i].call;
    if (kind == NULL)
        return 2;
    threads = atol(argv[2]);
    rounds = atol(argv[3]);
    block = aligned_alloc(LINE, LINES * LINE);
    memset(block, 1, LINES * LINE);
    memset((char *)(uintptr_t)table, 1, sizeof table);
    for (long i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, thread, (void *)(intptr_t)i) != 0)
            return 1;
    for (long i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    return 0;
}
