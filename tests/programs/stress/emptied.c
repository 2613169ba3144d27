/* SPDX-License-Identifier: MIT */
/* run: libs=so timeout=360 paced */
/*
 * Processes that fill a heap, free all of it and call nothing afterwards: the memory has gone back with the last frees. Who
 * fills it again pays for the pages once, and then keeps them. Each case is a process of its own.
 */
#include <pthread.h>
#include <sys/resource.h>

#include "tap.h"

enum { HEAP = 160 << 20, LEFT = 24 << 20, ROUNDS = 4 }; /* 2 MiB may stay, and what lists and the program have */
enum order { FIRST_FIRST, LAST_FIRST, SHUFFLED };

static struct {
    size_t bytes, threads, rounds;
    enum order order;
} now;

static pthread_barrier_t all_have_filled;

static long faults(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

static void shuffle(char **blocks, size_t count) {
    uint64_t random = 7;
    for (size_t i = count; i-- > 1;) {
        size_t other = tap_random(&random) % (i + 1);
        char *block = blocks[i];
        blocks[i] = blocks[other];
        blocks[other] = block;
    }
}

static void *fill_and_free(void *blocks_of_thread) {
    char **blocks = blocks_of_thread;
    size_t count = HEAP / now.threads / now.bytes;
    for (size_t i = 0; i < count; i++)
        for (size_t at = (blocks[i] = malloc(now.bytes)) == NULL ? now.bytes : 0; at < now.bytes; at += 4096)
            blocks[i][at] = 1;
    if (now.order == SHUFFLED)
        shuffle(blocks, count);
    pthread_barrier_wait(&all_have_filled);
    for (size_t i = 0; i < count; i++)
        free(blocks[now.order == LAST_FIRST ? count - 1 - i : i]);
    return NULL;
}

/* The arrays are not of the heap. */
static void round_of_threads(char ***blocks) {
    pthread_t ids[8];
    if (pthread_barrier_init(&all_have_filled, NULL, (unsigned)now.threads) != 0)
        _exit(2);
    for (size_t i = 1; i < now.threads; i++)
        if (pthread_create(&ids[i], NULL, fill_and_free, blocks[i]) != 0)
            _exit(2);
    fill_and_free(blocks[0]);
    for (size_t i = 1; i < now.threads; i++)
        pthread_join(ids[i], NULL);
}

static void run(void) {
    static char *room[HEAP / 64 + 8];
    static char **blocks[8];
    for (size_t i = 0; i < now.threads; i++)
        blocks[i] = room + i * (HEAP / now.threads / now.bytes + 1);
    size_t used = HEAP / now.bytes * sizeof(char *); /* of the arrays' memory */
    long before = faults(), all = 0, last = 0;
    for (size_t i = 0; i < now.rounds; i++) {
        long at_start = faults();
        round_of_threads(blocks);
        last = faults() - at_start;
    }
    all = faults() - before;
    size_t left = tap_resident();
    if (now.rounds == 1 && left > LEFT + used)
        printf("# %zu bytes are left\n", left);
    if (now.rounds > 1 && last > all / 10)
        printf("# %ld page faults in all, %ld in the last round\n", all, last);
    fflush(stdout);
    _exit(now.rounds == 1 ? left > LEFT + used : last > all / 10);
}

static bool passes(size_t threads, size_t bytes, enum order order, size_t rounds) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        tap_watchdog(100);
        now.bytes = bytes;
        now.threads = threads;
        now.order = order;
        now.rounds = rounds;
        run();
    }
    return tap_child_passed(child);
}

int main(void) {
    static const size_t sizes[] = {64, 2000, 20000, 100000};
    static const char *const orders[] = {"the first first", "the last first", "in random order"};
    tap_watchdog(200);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (enum order order = FIRST_FIRST; order <= SHUFFLED; order++)
            tap(passes(1, sizes[i], order, 1), "160 MB of blocks of %zu bytes, freed %s, then no call", sizes[i],
                orders[order]);
    tap(passes(4, 2000, FIRST_FIRST, 1), "four threads that end, and no call");
    tap(passes(1, 2000, FIRST_FIRST, ROUNDS), "who fills the heap again and again pays for the pages once more, not each time");
    return tap_done();
}
