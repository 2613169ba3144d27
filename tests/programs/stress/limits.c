/* SPDX-License-Identifier: MIT */
/* run: libs=so timeout=600 */
/* The largest numbers: as many mappings as the kernel allows, thousands of threads, and 100 GiB of addresses. What is refused
 * is refused with ENOMEM, nothing is lost, and all comes back. */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tap.h"

int myalloc_check_heap(void);
#pragma weak myalloc_check_heap

enum { BLOCK = 128 << 10, MOST = 200000, TOUCHED = 16 };

static long read_number(const char *path) {
    long number = -1;
    FILE *file = fopen(path, "r");
    if (file != NULL && fscanf(file, "%ld", &number) != 1)
        number = -1;
    if (file != NULL)
        fclose(file);
    return number;
}

static long mappings(void) {
    char line[512];
    long count = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        count += strchr(line, '\n') != NULL;
    if (file != NULL)
        fclose(file);
    return count;
}

static size_t address_space(void) {
    return (size_t)read_number("/proc/self/statm") * 4096;
}

/* ---- vm.max_map_count -------------------------------------------------------------------------------------------- */

static unsigned char *blocks[MOST];

static bool intact(size_t first, size_t count) {
    for (size_t i = first; i < count; i += 2)
        if (blocks[i] != NULL && i % TOUCHED == 1 &&
            (blocks[i][0] != (unsigned char)i || blocks[i][BLOCK - 1] != (unsigned char)i))
            return false;
    return true;
}

static void serves_what_it_has(void) {
    enum { SOME = 2000 };
    static unsigned char *again[SOME], *small[SOME];
    size_t served = 0, dirty = 0, wrong = 0, smalls = 0;
    for (size_t i = 0; i < SOME; i++) {
        errno = 0;
        again[i] = calloc(1, BLOCK);
        served += again[i] != NULL;
        wrong += again[i] == NULL && errno != ENOMEM;
        dirty += again[i] != NULL && (again[i][0] | again[i][BLOCK / 2] | again[i][BLOCK - 1]) != 0;
        if (again[i] != NULL)
            memset(again[i], 1, BLOCK);
        errno = 0;
        small[i] = malloc(i % 500 * 10 + 1);
        smalls += small[i] != NULL;
        wrong += small[i] == NULL && errno != ENOMEM;
    }
    tap(served == SOME && smalls == SOME && wrong == 0 && dirty == 0,
        "without a mapping more, %zu of %d blocks of 128 KiB and %zu small ones are served; calloc's are zero", served, SOME,
        smalls);
    unsigned char *shrunk = realloc(again[0], BLOCK / 4 * 3);
    tap(shrunk != NULL && shrunk[BLOCK / 2] == 1, "shrinking does not fail");
    again[0] = shrunk != NULL ? shrunk : again[0];
    errno = 0;
    unsigned char *grown = realloc(again[1], BLOCK * 8);
    tap(grown != NULL ? grown[BLOCK - 1] == 1 : errno == ENOMEM && again[1][BLOCK - 1] == 1, "growing keeps the contents (%s)",
        grown != NULL ? "done" : "refused");
    again[1] = grown != NULL ? grown : again[1];
    for (size_t i = 0; i < SOME; i++) {
        free(again[i]);
        free(small[i]);
    }
}

static void as_many_mappings_as_there_can_be(void) {
    long most = read_number("/proc/sys/vm/max_map_count");
    size_t count = (size_t)most * 2 + 18000;
    if (most < 1000 || count > MOST || read_number("/proc/sys/vm/overcommit_memory") == 2) {
        printf("ok %d # SKIP vm.max_map_count is %ld, or memory is not overcommitted\n", ++tap_count, most);
        return;
    }
    mallopt(M_MMAP_THRESHOLD, BLOCK);
    mallopt(M_MMAP_MAX, 1 << 30);
    size_t resident = tap_resident(), got = 0;
    long before = mappings();
    for (size_t i = 0; i < count; i++) {
        got += (blocks[i] = malloc(BLOCK)) != NULL;
        if (blocks[i] != NULL && i % TOUCHED < 2)
            memset(blocks[i], (int)i, 1), memset(blocks[i] + BLOCK - 1, (int)i, 1);
    }
    tap(got == count, "%zu blocks of 128 KiB", got);
    for (size_t i = 0; i < count; i += 2)
        free(blocks[i]);
    long holes = mappings();
    tap(holes >= most - 5, "every second one freed: %ld mappings of %ld allowed", holes, most);
    tap(intact(1, count) && mallinfo2().hblks == count / 2, "the other blocks are whole, and %zu are counted",
        mallinfo2().hblks);
    serves_what_it_has();
    tap(myalloc_check_heap() == 0, "all invariants hold");
    for (size_t i = 1; i < count; i += 2)
        free(blocks[i]);
    malloc_trim(0);
    long after = mappings();
    size_t left = tap_resident();
    tap(mallinfo2().hblks == 0 && after < before + 100 && left < resident + (16 << 20),
        "all freed: %ld mappings (%ld before), %zu -> %zu KiB resident", after, before, resident >> 10, left >> 10);
    for (size_t i = 0; i < 1000; i++)
        blocks[i] = malloc(BLOCK);
    for (size_t i = 0; i < 1000; i++)
        free(blocks[i]);
    tap(mallinfo2().hblks == 0 && myalloc_check_heap() == 0, "and it goes on");
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

enum { AT_ONCE = 1000, ROUNDS = 10, SURVIVORS = 8 };
static pthread_barrier_t barrier;
static unsigned char *survivors[AT_ONCE][SURVIVORS];
static _Atomic int broken;
static size_t resident_together; /* while all threads of a round have their blocks: free pages may go back at any time */

static void *live(void *data) {
    size_t me = (size_t)(uintptr_t)data;
    uint64_t random = me + 1;
    unsigned char *own[40];
    for (size_t i = 0; i < 40; i++)
        memset(own[i] = malloc(i * 40 + 1), (int)i, i * 40 + 1);
    if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
        resident_together = tap_resident();
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < SURVIVORS; i++) { /* of a thread that is gone */
        broken += survivors[me][i] != NULL && survivors[me][i][0] != (unsigned char)me;
        free(survivors[me][i]);
        memset(survivors[me][i] = malloc(tap_random(&random) % 1000 + 1), (int)me, 1);
    }
    for (size_t i = 0; i < 40; i++) {
        broken += own[i][0] != (unsigned char)i || own[i][i * 40] != (unsigned char)i;
        free(own[i]);
    }
    return NULL;
}

static void many_threads(void) {
    pthread_attr_t attributes;
    size_t resident[ROUNDS];
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 << 10);
    pthread_barrier_init(&barrier, NULL, AT_ONCE);
    for (int round = 0; round < ROUNDS; round++) {
        static pthread_t ids[AT_ONCE];
        for (size_t i = 0; i < AT_ONCE; i++)
            if (pthread_create(&ids[i], &attributes, live, (void *)i) != 0)
                abort();
        for (size_t i = 0; i < AT_ONCE; i++)
            pthread_join(ids[i], NULL);
        resident[round] = resident_together;
    }
    tap(broken == 0 && resident[ROUNDS - 1] < resident[2] + (2 << 20),
        "%d threads, %d at once, blocks outlive them: %zu KiB resident in the third thousand, %zu in the last",
        AT_ONCE * ROUNDS, AT_ONCE, resident[2] >> 10, resident[ROUNDS - 1] >> 10);
    for (size_t i = 0; i < AT_ONCE; i++)
        for (size_t k = 0; k < SURVIVORS; k++)
            free(survivors[i][k]);
    tap(myalloc_check_heap() == 0, "all invariants hold");
}

/* ---- addresses --------------------------------------------------------------------------------------------------- */

static void hundred_gigabytes(void) {
    const size_t wanted = (size_t)100 << 30;
    bool strict = read_number("/proc/sys/vm/overcommit_memory") == 2;
    size_t space = address_space(), resident = tap_resident(), sum = 0, count = 0;
    long before = mappings();
    errno = 0;
    for (size_t bytes = 1 << 20; sum < wanted && count < MOST; bytes = bytes < (size_t)1 << 30 ? bytes * 2 : 1 << 20) {
        if ((blocks[count] = malloc(bytes)) == NULL)
            break;
        blocks[count++][0] = 1;
        sum += bytes;
    }
    if (strict) /* a case of its own: there is no such memory to be had */
        tap(sum >= wanted || errno == ENOMEM, "strict overcommit: %zu MiB, then refused with ENOMEM", sum >> 20);
    else
        tap(sum >= wanted, "%zu GiB in %zu blocks of 1 MiB to 1 GiB", sum >> 30, count);
    tap(mallinfo2().hblkhd + mallinfo2().uordblks >= sum, "they are counted");
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
    malloc_trim(0);
    size_t left = address_space();
    tap(left < space + (256 << 20) && mappings() < before + 20 && tap_resident() < resident + (4 << 20),
        "all freed: %zu MiB of addresses above the start, %ld mappings (%ld before)", left > space ? (left - space) >> 20 : 0,
        mappings(), before);
}

/* ---- what there cannot be ---------------------------------------------------------------------------------------- */

/* Lists would be flushed for nothing. */
static void hopeless_requests(void) {
    enum { SOME = 1000, TIMES = 10000 };
    static void *warm[SOME];
    for (size_t i = 0; i < SOME; i++)
        warm[i] = malloc(16 + i % 50 * 16);
    for (size_t i = 0; i < SOME; i++)
        free(warm[i]);
    size_t before = mallinfo2().fsmblks, refused = 0;
    for (volatile size_t i = 0, bytes = (size_t)1 << 46; i < TIMES; i++) {
        errno = 0;
        void *p = malloc(bytes);
        refused += p == NULL && errno == ENOMEM;
        free(p);
    }
    size_t after = mallinfo2().fsmblks;
    tap(refused == TIMES, "64 TiB are refused each of %d times", TIMES);
    tap(before > 0 && after >= before, "lists keep their blocks meanwhile (%zu -> %zu bytes)", before, after);
}

int main(void) {
    tap_watchdog(190);
    hopeless_requests();
    hundred_gigabytes();
    many_threads();
    as_many_mappings_as_there_can_be();
    return tap_done();
}
