/* SPDX-License-Identifier: MIT */
/* run: libs=so paced timeout=990 args=--seconds,100 */
/*
 * A program like a server, for a long time: sessions come and go, each with a few hundred blocks of many sizes, buffers that
 * grow by realloc, and blocks that another thread frees; threads end and new ones begin; the load rises and falls. What is
 * live is the same at the end of each round, so the memory of the process must be, too. It moves in steps all the same: free
 * memory goes back when it is old, some megabytes at once, and a minute may have one such step only. So three figures are
 * taken of what the time has added: by the slope of Theil and Sen, the median over all pairs of samples, which a few odd ones
 * do not move; by the lowest samples of the first and of the last third; by the highest. What leaks raises all three, a step
 * at most two; so the least of them may be no more than a margin. Steps may still come together in a minute as a growth would,
 * but not in three minutes one after the other: one of three windows must be flat, where a leak leaves none so.
 * --seconds N --seed N --soak (an hour, or SOAK_SECONDS, in one window);
 * paced: it sleeps most of the time.
 */
#include <malloc.h>
#include <pthread.h>
#include <time.h>

#include "tap.h"

int myalloc_check_heap(void);
#pragma weak myalloc_check_heap

enum { THREADS = 4, SESSIONS = 120, BLOCKS = 60, SAMPLES_MOST = 2000, MAILBOXES = 512, WINDOWS_MOST = 3 };

struct session {
    unsigned char *blocks[BLOCKS];
    size_t sizes[BLOCKS];
    unsigned char *buffer;
    size_t room;
};

static pthread_mutex_t mailbox_lock = PTHREAD_MUTEX_INITIALIZER;
static void *mailbox[MAILBOXES];
static _Atomic bool broken;
static _Atomic unsigned long requests;
static uint64_t seed = 1;

static size_t random_size(uint64_t *random) {
    uint64_t kind = tap_random(random) % 1000;
    return 1 + tap_random(random) % (kind < 700 ? 200 : kind < 950 ? 3000 : kind < 995 ? 40000 : 400000);
}

static void send_away(void *block, uint64_t *random) {
    size_t i = tap_random(random) % MAILBOXES;
    pthread_mutex_lock(&mailbox_lock);
    void *old = mailbox[i];
    mailbox[i] = block;
    pthread_mutex_unlock(&mailbox_lock);
    free(old);
}

static void replace(struct session *session, size_t i, uint64_t *random) {
    unsigned char *old = session->blocks[i];
    if (old != NULL && (old[0] != (unsigned char)i || old[session->sizes[i] - 1] != (unsigned char)i))
        broken = true;
    if (tap_random(random) % 8 == 0)
        send_away(old, random);
    else
        free(old);
    size_t bytes = session->sizes[i] = random_size(random);
    memset(session->blocks[i] = malloc(bytes), (int)i, bytes);
}

/* One request: some blocks are new, a buffer grows in steps and goes. */
static void serve(struct session *session, uint64_t *random) {
    for (int k = 0; k < 12; k++)
        replace(session, tap_random(random) % BLOCKS, random);
    size_t most = random_size(random) * 4;
    for (size_t room = 64; room < most; room *= 2) {
        session->buffer = realloc(session->buffer, room);
        session->buffer[room - 1] = 1;
    }
    free(session->buffer);
    session->buffer = NULL;
    requests++;
}

static void end(struct session *session) {
    for (size_t i = 0; i < BLOCKS; i++)
        free(session->blocks[i]);
    memset(session, 0, sizeof *session);
}

/* The life of a thread: a round of rising and falling load, after which nothing of it is left. */
static void *round_of_load(void *data) {
    static const int loads[] = {1, 3, 6, 10, 10, 6, 3, 1};
    uint64_t random = (uintptr_t)data * UINT64_C(0x9e3779b97f4a7c15) + seed;
    struct session *sessions = calloc(SESSIONS, sizeof *sessions);
    for (size_t step = 0; step < sizeof loads / sizeof *loads; step++) {
        for (int i = 0; i < 60 * loads[step]; i++) {
            size_t which = tap_random(&random) % (size_t)(SESSIONS * loads[step] / 10);
            serve(&sessions[which], &random);
            if (tap_random(&random) % 20 == 0)
                end(&sessions[which]);
        }
        usleep(50000);
    }
    for (size_t i = 0; i < SESSIONS; i++)
        end(&sessions[i]);
    free(sessions);
    return NULL;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, by_value);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* Bytes a second. */
static double slope(const double *times, const double *values, size_t count) {
    size_t pairs = 0;
    double *slopes = malloc(count * count / 2 * sizeof *slopes);
    for (size_t i = 0; i < count; i++)
        for (size_t k = i + 1; k < count; k++)
            slopes[pairs++] = (values[k] - values[i]) / (times[k] - times[i]);
    double result = median(slopes, pairs);
    free(slopes);
    return result;
}

/* The lowest (sign -1) or highest (1) of some samples. */
static double extreme(const double *values, size_t count, double sign) {
    double result = values[0];
    for (size_t i = 1; i < count; i++)
        if ((values[i] - result) * sign > 0)
            result = values[i];
    return result;
}

/* Bytes that the time has added: a steady growth of R adds two thirds of R from the first third to the last. */
static double growth(const double *times, const double *values, size_t count) {
    size_t third = count / 3;
    double result = slope(times, values, count) * (times[count - 1] - times[0]);
    for (double sign = -1; sign <= 1; sign += 2) {
        double rise = 1.5 * (extreme(values + count - third, third, sign) - extreme(values, third, sign));
        if (rise < result)
            result = rise;
    }
    return result;
}

/* The measure itself: 60 samples of made-up memory that moves between two heights, with a growth of 3 % over all the time and
 * without. */
static void try_growth(void) {
    static double times[60], steady[60], grows[60];
    uint64_t random = seed;
    for (int i = 0; i < 60; i++) {
        times[i] = i;
        steady[i] = 70e6 + (i < 20 || i > 35 ? 4e6 : 0) + (double)(tap_random(&random) % 200000);
        grows[i] = steady[i] + 70e6 * 0.03 * i / 59;
    }
    tap(growth(times, steady, 60) < 70e6 / 50, "steps of 4 MB are no growth: %.0f", growth(times, steady, 60));
    for (int i = 0; i < 60; i++)
        steady[i] = 70e6 + (i > 30 ? 4e6 : 0) + (i % 10 == 0 ? 1e5 : 0);
    steady[3] = steady[12] = 74e6;
    tap(growth(times, steady, 60) < 70e6 / 50, "nor is one that was up at first, too: %.0f", growth(times, steady, 60));
    tap(growth(times, grows, 60) > 70e6 / 50, "3 %% beside the steps are: %.0f", growth(times, grows, 60));
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* A value of /proc/self/smaps_rollup, in bytes; `file` stays open, so that sampling allocates nothing. */
static double rollup(FILE *file, const char *name) {
    char line[200];
    long kib = -1;
    fflush(file);
    rewind(file);
    while (kib < 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            kib = atol(line + strlen(name));
    return (double)kib * 1024;
}

static struct {
    double times[SAMPLES_MOST], resident[SAMPLES_MOST], shares[SAMPLES_MOST], heap[SAMPLES_MOST];
    size_t count, rounds;
} samples;

static void one_round(void) {
    pthread_t ids[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        if (pthread_create(&ids[i], NULL, round_of_load, (void *)(++samples.rounds)) != 0)
            abort();
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
}

/* Samples of a window of two thirds of the time; before the first one a third is not counted: lists and spans settle. */
static void take_samples(FILE *file, double seconds, bool first) {
    double start = now(), window = seconds * 0.66, next = start + (first ? seconds / 3 : 0), end = next + window;
    samples.count = 0;
    while (now() < end || samples.count < 20) {
        one_round();
        if (now() < next || samples.count == SAMPLES_MOST)
            continue;
        next += window / (seconds > 1800 ? 1000 : 60);
        samples.times[samples.count] = now() - start;
        samples.resident[samples.count] = rollup(file, "Rss:");
        samples.shares[samples.count] = rollup(file, "Pss:");
        samples.heap[samples.count++] = (double)mallinfo2().arena;
    }
    printf("# %zu threads, %lu requests, %zu samples over %.0f seconds\n", samples.rounds, requests, samples.count,
           samples.times[samples.count - 1] - samples.times[0]);
}

/* Whether nothing has grown in the window; judges if it has not, or this is the last window. */
static bool all_flat(bool last) {
    const struct {
        const char *name;
        const double *values;
    } series[] = {{"resident", samples.resident}, {"proportional", samples.shares}, {"heap", samples.heap}};
    enum { SERIES = sizeof series / sizeof *series };
    double rise[SERIES], middle[SERIES], margin[SERIES];
    bool flat = true;
    for (size_t i = 0; i < SERIES; i++) {
        static double sorted[SAMPLES_MOST];
        memcpy(sorted, series[i].values, samples.count * sizeof *sorted);
        rise[i] = growth(samples.times, series[i].values, samples.count);
        middle[i] = median(sorted, samples.count);
        margin[i] = middle[i] / 50 > 262144 ? middle[i] / 50 : 262144; /* 2 %, or 256 KiB */
        flat = flat && rise[i] < margin[i];
    }
    for (size_t i = 0; i < SERIES && !flat && !last; i++)
        printf("# not flat yet: %s %+.0f KiB (at most %.0f)\n", series[i].name, rise[i] / 1024, margin[i] / 1024);
    for (size_t i = 0; i < SERIES && (flat || last); i++)
        tap(rise[i] < margin[i], "%s memory is flat: %.0f KiB in the middle, %+.0f KiB over all the time (at most %.0f)",
            series[i].name, middle[i] / 1024, rise[i] / 1024, margin[i] / 1024);
    return flat;
}

int main(int argc, char **argv) {
    double seconds = 3600;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--soak") == 0)
            seconds = getenv("SOAK_SECONDS") != NULL ? atof(getenv("SOAK_SECONDS")) : 3600;
        else if (i + 1 < argc && strcmp(argv[i], "--seconds") == 0)
            seconds = atof(argv[i + 1]);
        else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0)
            seed = (uint64_t)atol(argv[i + 1]);
    }
    printf("# %.0f seconds, seed %lu\n", seconds, (unsigned long)seed);
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    if (!tap(file != NULL, "the memory of the process can be read"))
        return tap_done();
    try_growth();
    const int windows = seconds > 1800 ? 1 : WINDOWS_MOST;
    bool flat = false;
    for (int window = 0; window < windows && !flat; window++) {
        take_samples(file, seconds, window == 0);
        flat = all_flat(window == windows - 1);
    }
    tap(!broken, "every block kept what was written to it");
    tap(myalloc_check_heap() == 0, "all invariants hold");
    return tap_done();
}
