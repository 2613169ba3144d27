/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug timeout=360 serial */
/* Pages inside of used spans: what of them is resident after malloc_trim and by age, to the page; and threads that check all
 * their bytes, with forks, while pages come and go. --seconds N --seed N */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "../../../alloc/base/myalloc.h"
#include "tap.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

#pragma weak myalloc_check_heap

/* ---- what is resident -------------------------------------------------------------------------------------------- */

enum { COUNT = 200000, PAGES = 1 << 16 }; /* some 38 MB of blocks; pages that they lie in, at the most */
static char *blocks[COUNT];
static uint32_t sizes[COUNT];
static uint64_t touched[PAGES / 64];

static uintptr_t lowest(void) {
    uintptr_t low = UINTPTR_MAX;
    for (size_t i = 0; i < COUNT; i++)
        low = blocks[i] != NULL && (uintptr_t)blocks[i] < low ? (uintptr_t)blocks[i] : low;
    return low & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
}

/* Bytes of pages that hold a byte of a block. */
static size_t floor_bytes(uintptr_t low) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), count = 0;
    memset(touched, 0, sizeof touched);
    for (size_t i = 0; i < COUNT; i++) {
        uintptr_t at = (uintptr_t)blocks[i] / page, end = ((uintptr_t)blocks[i] + sizes[i] - 1) / page + 1;
        for (; blocks[i] != NULL && at < end; at++)
            if (at - low / page < PAGES)
                touched[(at - low / page) / 64] |= (uint64_t)1 << (at - low / page) % 64;
    }
    for (size_t i = 0; i < PAGES / 64; i++)
        count += (size_t)__builtin_popcountll(touched[i]);
    return count * page;
}

/* Resident bytes of the mappings that overlap [low, low + bytes). */
static size_t resident_of(uintptr_t low, size_t bytes) {
    static char text[1 << 20];
    int fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
    size_t length = 0, sum = 0;
    for (ssize_t got; (got = read(fd, text + length, sizeof text - 1 - length)) > 0; length += (size_t)got)
        continue;
    close(fd);
    text[length] = '\0';
    bool overlaps = false;
    for (char *line = text, *next; line != NULL; line = next) {
        unsigned long from, to, kib;
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            overlaps = from < low + bytes && low < to;
        else if (overlaps && sscanf(line, "Rss: %lu kB", &kib) == 1)
            sum += kib * KIB;
    }
    return sum;
}

static bool stays_random(size_t i) {
    return (i * 2654435761u >> 8) % 20 == 0;
}

static bool stays_in_runs(size_t i) {
    return i / 2000 % 20 == 0;
}

static bool stays_at_start(size_t i) {
    return i < COUNT / 20;
}

static void fill(bool one_size) {
    uint64_t random = 7;
    for (size_t i = 0; i < COUNT; i++) {
        sizes[i] = (uint32_t)(one_size ? 256 : tap_random(&random) % 64 != 0 ? 16 + tap_random(&random) % 240
                                                                             : 1000 + tap_random(&random) % 6000);
        blocks[i] = memset(malloc(sizes[i]), (int)(i % 255) + 1, sizes[i]);
    }
}

static void drop(bool (*stays)(size_t)) {
    for (size_t i = 0; i < COUNT; i++)
        if (stays == NULL || !stays(i)) {
            free(blocks[i]);
            blocks[i] = NULL;
        }
}

static bool unchanged(void) {
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; blocks[i] != NULL && k < sizes[i]; k++)
            if ((unsigned char)blocks[i][k] != i % 255 + 1)
                return false;
    return true;
}

static void after_trim(const char *name, bool (*stays)(size_t)) {
    fill(false);
    uintptr_t low = lowest();
    drop(stays);
    malloc_trim(0);
    size_t least = floor_bytes(low), left = resident_of(low, PAGES * (size_t)sysconf(_SC_PAGESIZE));
    tap(unchanged() && left <= least + least / 50 + 64 * KIB,
        "%s: malloc_trim leaves what holds a live block: %zu KiB resident, %zu with a live block", name, left / KIB,
        least / KIB);
    drop(NULL);
    malloc_trim(0);
}

static bool stays_in_each_unit(size_t i) {
    return i % 60 == 0;
}

/* Three of four pages of each span are free: by age alone, on the way of calls that need no small block. */
static void after_a_while(void) {
    fill(true);
    uintptr_t low = lowest();
    drop(stays_in_each_unit);
    size_t least = floor_bytes(low), before = resident_of(low, PAGES * (size_t)sysconf(_SC_PAGESIZE)), left = before;
    for (int tries = 0; tries < 2000 && left > least + least / 10 + MIB; tries++) { /* 20 s; after less than two as a rule */
        free(malloc(100 * KIB));
        usleep(10000);
        if (tries % 10 == 0)
            left = resident_of(low, PAGES * (size_t)sysconf(_SC_PAGESIZE));
    }
    tap(unchanged() && before > 2 * left && left <= least + least / 10 + MIB,
        "free pages of used spans go by age: %zu KiB -> %zu resident, %zu with a live block", before / KIB, left / KIB,
        least / KIB);
    drop(NULL);
    malloc_trim(0);
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, HELD = 4000 };
struct holder {
    pthread_t thread;
    uint64_t random;
    struct {
        unsigned char *at;
        uint32_t bytes;
        unsigned char value;
    } held[HELD];
    size_t wrong;
};
static struct holder holders[THREADS];
static _Atomic bool stop;

static void check_and_drop(struct holder *holder, size_t i) {
    for (size_t k = 0; holder->held[i].at != NULL && k < holder->held[i].bytes; k++)
        holder->wrong += holder->held[i].at[k] != holder->held[i].value;
    free(holder->held[i].at);
    holder->held[i].at = NULL;
}

static void keep(struct holder *holder, size_t i) {
    uint32_t bytes = (uint32_t)(tap_random(&holder->random) % (tap_random(&holder->random) % 8 ? 400 : 12000) + 1);
    bool zeroed = tap_random(&holder->random) % 4 == 0;
    unsigned char *at = zeroed ? calloc(1, bytes) : malloc(bytes);
    for (size_t k = 0; zeroed && k < bytes; k++)
        holder->wrong += at[k] != 0;
    holder->held[i].at = memset(at, (int)(i % 255) + 1, bytes);
    holder->held[i].bytes = bytes;
    holder->held[i].value = (unsigned char)(i % 255 + 1);
}

/* Fills up, drops most of it, and lives on little for a while, so that pages are given back and wanted again. */
static void *come_and_go(void *data) {
    struct holder *holder = data;
    while (!atomic_load(&stop)) {
        for (size_t i = 0; i < HELD; i++) {
            check_and_drop(holder, i);
            keep(holder, i);
        }
        for (size_t i = 0; i < HELD; i++)
            if (tap_random(&holder->random) % 16 != 0)
                check_and_drop(holder, i);
        for (int n = 0; n < 200 && !atomic_load(&stop); n++) {
            size_t i = tap_random(&holder->random) % HELD;
            check_and_drop(holder, i);
            keep(holder, i);
            free(malloc(70 * KIB));
            usleep(300);
        }
    }
    for (size_t i = 0; i < HELD; i++)
        check_and_drop(holder, i);
    return NULL;
}

/* In the child there is the caller's thread only; another may have been giving pages back. */
static bool child_is_sound(void) {
    pid_t child = fork();
    if (child == 0) {
        tap_watchdog(60);
        for (int n = 0; n < 300; n++)
            free(memset(malloc((size_t)n * 16 + 1), 1, (size_t)n * 16 + 1));
        malloc_trim(0);
        _exit(myalloc_check_heap() == 0 ? 0 : 1);
    }
    return tap_child_passed(child);
}

static void threads_and_forks(int seconds, uint64_t seed) {
    size_t wrong = 0, children = 0, sound = 0, broken = 0;
    mallopt(M_MYALLOC_DECAY_MS, 1);
    for (size_t t = 0; t < THREADS; t++) {
        holders[t].random = seed + t;
        pthread_create(&holders[t].thread, NULL, come_and_go, &holders[t]);
    }
    for (time_t end = time(NULL) + seconds; time(NULL) < end; children++) {
        usleep(20000);
        if (children % 2 == 0)
            malloc_trim(0);
        sound += child_is_sound();
        broken += myalloc_check_heap() != 0;
    }
    atomic_store(&stop, true);
    for (size_t t = 0; t < THREADS; t++) {
        pthread_join(holders[t].thread, NULL);
        wrong += holders[t].wrong;
    }
    tap(wrong == 0, "no byte of a block changes while pages are given back (seed %llu)", (unsigned long long)seed);
    tap(sound == children && broken == 0, "%zu of %zu children are sound, the heap is broken %zu times", sound, children,
        broken);
}

int main(int argc, char **argv) {
    int seconds = 1;
    uint64_t seed = 20261129;
    for (int i = 1; i + 1 < argc; i += 2) {
        seconds = strcmp(argv[i], "--seconds") == 0 ? atoi(argv[i + 1]) : seconds;
        seed = strcmp(argv[i], "--seed") == 0 ? strtoull(argv[i + 1], NULL, 10) : seed;
    }
    tap_watchdog(100);
    after_trim("one of twenty at random", stays_random);
    after_trim("one run of twenty", stays_in_runs);
    after_trim("the first twentieth", stays_at_start);
    after_a_while();
    threads_and_forks(seconds, seed);
    return tap_done();
}
