/* SPDX-License-Identifier: MIT */
/* run: helper */
/* One thing done under the options that the environment gives, and what came of it on standard output, for
 * effects.test: effects WHAT. Exit status 0 if it could be done. */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "programs/options/json.h"
#include "tap.h"

#define MIB ((size_t)1 << 20)

/* A number of the statistics, in a group of them or, for "", in none. */
static size_t statistic(const char *group, const char *key) {
    json_read();
    return json_in(group, key);
}

static void pause_ms(long ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* Allocations that let the allocator look at what is old, for up to half a second or until `done`. */
static void pass_time(bool (*done)(void)) {
    for (int i = 0; i < 50 && !done(); i++) {
        pause_ms(10);
        free(malloc(100000));
    }
}

static int mappings(const char *bytes) {
    void *p = malloc(strtoul(bytes, NULL, 10));
    printf("%zu\n", mallinfo2().hblks);
    free(p);
    return 0;
}

/* A mapping is freed and asked for again. */
static int again(const char *bytes) {
    free(malloc(strtoul(bytes, NULL, 10)));
    return mappings(bytes);
}

static char *top_before;
static bool top_is_lower(void) {
    return (char *)sbrk(0) + 4 * MIB <= top_before;
}

static int trim(const char *what) {
    char *p = malloc(8 * MIB);
    memset(p, 1, 8 * MIB);
    top_before = sbrk(0);
    free(p);
    pass_time(top_is_lower);
    if (strcmp(what, "top") == 0)
        printf("%zu\n", statistic("", "top"));
    else
        puts(top_is_lower() ? "lower" : "kept");
    return 0;
}

/* What stays of the top when a free, which asks for nothing, gives it back. */
static int padding(const char *unused) {
    (void)unused;
    char *early = malloc(100000), *between = malloc(100000), *p = malloc(8 * MIB);
    memset(p, 1, 8 * MIB);
    free(p);
    pause_ms(50);
    free(early);
    printf("%td\n", (char *)sbrk(0) - p);
    free(between);
    return 0;
}

static int growth(const char *unused) {
    (void)unused;
    free(malloc(100));
    printf("%zu\n", statistic("heap", "bytes"));
    return 0;
}

static size_t resident_before;
static bool resident_is_lower(void) {
    return tap_resident() + 16 * MIB <= resident_before;
}

static int decay(const char *unused) {
    (void)unused;
    char *p = malloc(24 * MIB), *above = malloc(100000);
    memset(p, 1, 24 * MIB);
    resident_before = tap_resident();
    free(p);
    pass_time(resident_is_lower);
    puts(resident_is_lower() ? "lower" : "kept");
    free(above);
    return 0;
}

static int populate(const char *bytes) {
    size_t size = strtoul(bytes, NULL, 10), before = tap_resident();
    void *p = malloc(size);
    size_t after = tap_resident();
    puts(after - before >= size / 10 * 9 ? "present" : after - before < size / 10 ? "absent" : "in part");
    free(p);
    return 0;
}

/* The flags of the mapping that a block lies in. */
static int flags(const char *bytes) {
    char *p = malloc(strtoul(bytes, NULL, 10)), line[512];
    FILE *file = fopen("/proc/self/smaps", "r");
    unsigned long from, to;
    bool here = false;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            here = (unsigned long)p >= from && (unsigned long)p < to;
        if (here && strncmp(line, "VmFlags:", 8) == 0)
            fputs(line, stdout);
    }
    return file == NULL;
}

/* Blocks of one size, freed: what the thread's lists have grown by. */
static int lists(const char *bytes) {
    enum { COUNT = 100 };
    static void *blocks[COUNT];
    size_t size = strtoul(bytes, NULL, 10);
    for (int i = 0; i < COUNT; i++)
        blocks[i] = malloc(size);
    size_t before = statistic("cached_parts", "lists");
    for (int i = 0; i < COUNT; i++)
        free(blocks[i]);
    size_t after = statistic("cached_parts", "lists");
    printf("%zd\n", (ssize_t)(after - before));
    return 0;
}

/* Blocks of many sizes, freed in random order: the most that the lists held. */
static int lists_at_most(const char *set_by_mallopt) {
    enum { COUNT = 500 };
    static void *blocks[COUNT];
    uint64_t random = 20261;
    size_t most = 0;
    for (int i = 0; i < COUNT; i++)
        blocks[i] = malloc(tap_random(&random) % 3000 + 1);
    for (int i = 0; i < COUNT; i++)
        free(blocks[i]), blocks[i] = NULL;
    if (set_by_mallopt[0] != '\0' && mallopt(-1002, atoi(set_by_mallopt)) != 1)
        return 1;
    for (int i = 0; i < 20000; i++) {
        void **at = &blocks[tap_random(&random) % COUNT];
        free(*at);
        *at = tap_random(&random) % 2 ? malloc(tap_random(&random) % 3000 + 1) : NULL;
        size_t now = i % 20 == 0 ? statistic("cached_parts", "lists") : 0;
        most = now > most ? now : most;
    }
    printf("%zu\n", most);
    return 0;
}

static int threads_at_exit(const char *unused) {
    (void)unused;
    free(malloc(100));
    return 0;
}

static int leave_at_once(const char *unused) {
    (void)unused;
    free(malloc(100));
    _exit(0);
}

static int parameters(const char *unused) {
    (void)unused;
    static const struct {
        int parameter, value, expected;
    } calls[] = {
        {M_MMAP_THRESHOLD, 65536, 1},
        {M_MMAP_THRESHOLD, 0, 1},
        {M_MMAP_THRESHOLD, -1, 1},
        {M_MMAP_MAX, 0, 1},
        {M_MMAP_MAX, 100, 1},
        {M_TRIM_THRESHOLD, -1, 1},
        {M_TRIM_THRESHOLD, 0, 1},
        {M_TOP_PAD, 4096, 1},
        {M_TOP_PAD, -1, 1},
        {M_ARENA_MAX, 1, 1},
        {M_ARENA_MAX, 0, 1},
        {M_ARENA_MAX, -1, 1},
        {M_ARENA_TEST, 1, 1},
        {M_ARENA_TEST, 0, 1},
        {M_MXFAST, 0, 1},
        {M_MXFAST, 160, 1},
        {M_MXFAST, 161, 0},
        {M_MXFAST, -1, 0},
        {-1001, 0, 1},
        {-1001, 3600000, 1},
        {-1001, 3600001, 0},
        {-1001, -1, 0},
        {-1002, 4096, 1},
        {-1002, -1, 1},
        {-1002, -2, 0},
        {-1003, 0, 1},
        {-1003, 2, 1},
        {-1003, 3, 0},
        {-1003, -1, 0},
        {-1004, 1, 1},
        {-1004, 0, 1},
        {-1004, 2, 0},
        {-1005, 1024, 1},
        {-1005, 0, 1},
        {-1005, -1, 0},
        {-1006, 0, 0},
        {0, 0, 1},
        {99, 1, 1},
        {INT32_MIN, INT32_MIN, 1},
        {INT32_MAX, INT32_MAX, 1},
    };
    int wrong = 0;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (mallopt(calls[i].parameter, calls[i].value) != calls[i].expected) {
            printf("mallopt(%d, %d) is not %d\n", calls[i].parameter, calls[i].value, calls[i].expected);
            wrong = 1;
        }
    return wrong;
}

/* What mallopt sets counts, as what the environment sets does. */
static int by_mallopt(const char *unused) {
    (void)unused;
    void *first = malloc(1 * MIB);
    if (mallinfo2().hblks != 1 || mallopt(M_MMAP_MAX, 0) != 1)
        return 1;
    void *second = malloc(2 * MIB);
    if (mallinfo2().hblks != 1 || mallopt(M_MMAP_MAX, 65536) != 1 || mallopt(M_MMAP_THRESHOLD, 64 << 10) != 1)
        return 2;
    void *third = malloc(65 << 10);
    if (mallinfo2().hblks != 2)
        return 3;
    free(first);
    free(malloc(3 * MIB)); /* the dynamic rule has ended: the threshold stays */
    void *fourth = malloc(65 << 10);
    if (mallinfo2().hblks != 2 || mallopt(M_MMAP_MAX, -1) != 1 || mallopt(M_TOP_PAD, INT32_MIN) != 1)
        return 4;
    void *more[2] = {malloc(1 * MIB)};
    if (mallinfo2().hblks != 2 || mallopt(M_MMAP_MAX, 65536) != 1 || mallopt(M_MMAP_THRESHOLD, -2) != 1)
        return 7;
    more[1] = malloc(1 * MIB);
    if (mallinfo2().hblks != 2 || mallopt(-1005, 16) != 1)
        return 8;
    free(more[0]), free(more[1]);
    errno = 0;
    if (malloc(16 * MIB) != NULL || errno != ENOMEM || mallopt(-1005, 0) != 1)
        return 5;
    void *fifth = malloc(16 * MIB);
    free(second), free(third), free(fourth), free(fifth);
    return fifth == NULL ? 6 : 0;
}

static int info(const char *unused) {
    (void)unused;
    void *large = malloc(50000), *mapped = malloc(MIB), *small = malloc(100), *freed = malloc(1000);
    free(freed);
    int result = malloc_info(0, stdout) != 0 || malloc_info(1, stdout) != EINVAL;
    free(large), free(mapped), free(small);
    return result;
}

static int stats(const char *unused) {
    (void)unused;
    void *mapped = malloc(MIB), *second = malloc(MIB);
    free(second);
    malloc_stats();
    free(mapped);
    return 0;
}

/* What is live, and rounding, of so many blocks of 1000 bytes that are written to. */
static int asked(const char *count) {
    size_t live = statistic("resident", "live"), rounding = statistic("resident", "rounding");
    for (size_t left = strtoul(count, NULL, 10); left > 0; left--)
        memset(malloc(1000), 1, 1000);
    size_t now = statistic("resident", "live"), rounding_now = statistic("resident", "rounding");
    printf("%zu %zu\n", now - live, rounding_now - rounding);
    fflush(stdout);
    _exit(0); /* lest the leaks be told */
}

/* Blocks of 1 MiB until there is no more, then what is known of it. */
static int take(const char *most) {
    size_t count = 0, wanted = strtoul(most, NULL, 10);
    errno = 0;
    while (count < wanted && malloc(MIB) != NULL)
        count++;
    printf("%zu %d %zu\n", count, errno == ENOMEM, statistic("", "peak"));
    return 0;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        int (*run)(const char *argument);
    } things[] = {
        {"mappings", mappings},
        {"again", again},
        {"trim", trim},
        {"padding", padding},
        {"growth", growth},
        {"decay", decay},
        {"populate", populate},
        {"flags", flags},
        {"lists", lists},
        {"lists-at-most", lists_at_most},
        {"exit", threads_at_exit},
        {"_exit", leave_at_once},
        {"parameters", parameters},
        {"by-mallopt", by_mallopt},
        {"info", info},
        {"stats", stats},
        {"asked", asked},
        {"take", take},
    };
    tap_watchdog(60);
    for (size_t i = 0; argc > 1 && i < sizeof things / sizeof *things; i++)
        if (strcmp(things[i].name, argv[1]) == 0)
            return things[i].run(argc > 2 ? argv[2] : "");
    return 77;
}
