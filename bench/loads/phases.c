/* SPDX-License-Identifier: MIT */
/* A peak of small blocks, nearly all of them freed in one of four patterns, then a while without any call, then a
 * while with a few small ones: when does the memory come back? It is held against the least that must stay, the pages on
 * which a live block lies; where no block stays, against the bytes that were live at the peak. The rate is of the calls
 * by processor time: what giving back costs is in it, the waiting is not. Written for this bench; the question is that of
 * every report "I freed it, and the process still holds it". */
#include "load.h"
#include <malloc.h>
#include <stdbool.h>

enum { RANDOM, BLOCK, TAIL, ALL, PATTERNS };

static long blocks = 1200000, pattern = RANDOM, kept = 20, quiet = 3000, calls = 2000;

static const struct parameter parameters[] = {{"blocks", &blocks, 1, 100000000},
                                              {"pattern", &pattern, RANDOM, PATTERNS - 1},
                                              {"kept", &kept, 1, 1000000},   /* one of so many */
                                              {"quiet", &quiet, 0, 3600000}, /* milliseconds */
                                              {"calls", &calls, 0, 3600000}};

static struct block *table;
static uint64_t *seen; /* pages, as a set */
static size_t seen_size;
static long before;
static double needed;       /* pages: the floor, or at the peak */
static double held;         /* resident pages, summed over looks */
static long looks;

static bool is_kept(long i, uint64_t *random) {
    switch (pattern) {
    case RANDOM:
        return random_below(random, (uint64_t)kept) == 0;
    case BLOCK:
        return i / 2000 % kept == 0;
    case TAIL:
        return i < blocks / kept;
    default:
        return false;
    }
}

static bool is_new(uint64_t page) {
    size_t at = page * 0x9e3779b97f4a7c15u % seen_size;
    while (seen[at] != 0 && seen[at] != page)
        at = (at + 1) % seen_size;
    bool found = seen[at] == 0;
    seen[at] = page;
    return found;
}

/* Pages on which a live block lies. */
static long count_floor(void) {
    uint64_t page = (uint64_t)page_bytes();
    long found = 0;
    memset(seen, 0, seen_size * sizeof *seen);
    for (long i = 0; i < blocks; i++)
        if (table[i].at != NULL)
            for (uint64_t at = (uintptr_t)table[i].at / page; at <= ((uintptr_t)table[i].at + table[i].size - 1) / page;
                 at++)
                found += is_new(at);
    return found;
}

static double kib(long pages) {
    return (double)pages * page_bytes() / 1024;
}

/* Resident pages. Less than a MiB counts as one: what of it is there is hardly the load's. */
static long look(void) {
    long pages = resident_pages() - before, least = (1 << 20) / page_bytes();
    held += (double)(pages > least ? pages : least);
    looks++;
    return pages;
}

/* A look so long after the frees, which is told. */
static void tell(const char *name, long milliseconds) {
    char moment[32];
    double sum = held;
    figure(name, kib(look()), "KiB");
    snprintf(moment, sizeof moment, "held-%gs", (double)milliseconds / 1000);
    figure(moment, 100 * (held - sum) / needed, "%");
}

/* Lets so many milliseconds pass, with a small call in each if there are to be calls, and looks at the memory every
 * tenth of a second. */
static void pass(long milliseconds, bool with_calls) {
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (long i = 0; i < milliseconds; i++) {
        if (with_calls)
            free(checked(malloc(100 + (size_t)i % 50), 150));
        if (i % 100 == 0)
            look();
        next.tv_nsec += 1000000;
        if (next.tv_nsec >= 1000000000) {
            next.tv_nsec -= 1000000000;
            next.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    table = table_new((size_t)blocks, sizeof *table);
    seen_size = (size_t)blocks * 4;
    seen = table_new(seen_size, sizeof *seen);
    memset(table, 1, (size_t)blocks * sizeof *table); /* the load's own pages are there before the first look */
    memset(seen, 1, seen_size * sizeof *seen);
    before = resident_pages();
    uint64_t random = random_stream(0);
    size_t bytes = 0;
    for (long i = 0; i < blocks; i++) {
        size_t size =
            random_below(&random, 64) == 0 ? random_between(&random, 1000, 7000) : random_between(&random, 16, 255);
        block_new(&table[i], size, (uint32_t)i);
        memset(table[i].at + sizeof(uint32_t), (int)table[i].tag, size - sizeof(uint32_t));
        bytes += size;
    }
    figure("peak", kib(resident_pages() - before), "KiB");
    for (long i = 0; i < blocks; i++)
        if (!is_kept(i, &random))
            block_drop(&table[i]);
    long freed = resident_pages() - before, floor = count_floor();
    figure("freed", kib(freed), "KiB");
    figure("floor", kib(floor), "KiB");
    needed = floor > 0 ? (double)floor : (double)bytes / (double)page_bytes();
    pass(quiet / 3, false);
    tell("quiet-third", quiet / 3);
    pass(quiet - quiet / 3, false);
    tell("quiet", quiet);
    pass(calls, true);
    tell("calls", quiet + calls);
    figure(floor > 0 ? "held-per-floor" : "held-per-peak", 100 * held / (double)looks / needed, "%");
    figure("rate", (double)(2 * blocks) / processor_seconds(), "calls/s");
    malloc_trim(0);
    figure("trimmed", kib(resident_pages() - before), "KiB");
    for (long i = 0; i < blocks; i++)
        if (table[i].at != NULL)
            block_drop(&table[i]);
    return 0;
}
