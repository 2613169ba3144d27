/* SPDX-License-Identifier: MIT */
/* A server over some days: by day many objects live, by night few, and from hour to hour their sizes drift, so that
 * what was dropped in one hour does not fit in the next. Between the hours it waits a little. What is held over what is
 * live tells whether the nights are paid for as days. The rate is by processor time. Written for this bench. */
#include "load.h"

enum { HOURS = 24, LEAST = 16, LOOKS = 4 }; /* looks at the memory in an hour */

static long days = 3, objects = 60000, replacements = 60000, waiting = 20;

static const struct parameter parameters[] = {{"days", &days, 1, 100000},
                                              {"objects", &objects, HOURS, 100000000},       /* live at noon */
                                              {"replacements", &replacements, 1, 100000000}, /* an hour */
                                              {"pause", &waiting, 0, 3600000}}; /* milliseconds after each hour */

static struct block *table;
static size_t live_bytes;
static double held, live;

static void drop(struct block *block) {
    live_bytes -= block->size;
    block_drop(block);
}

/* Objects that live at an hour: a sixteenth at midnight, all at noon. */
static long wanted_at(long hour) {
    long from_noon = hour < HOURS / 2 ? HOURS / 2 - hour : hour - HOURS / 2;
    return objects / 16 + (objects - objects / 16) * (HOURS / 2 - from_noon) / (HOURS / 2);
}

/* Sizes of an hour: heavy-tailed, from LEAST to a few KiB, around a middle that moves. */
static size_t size_at(long hour, uint64_t *random) {
    size_t middle = 100 + (size_t)(hour * 7 % HOURS) * 40;
    return random_below(random, 100) == 0 ? random_between(random, middle, 16 * middle)
                                          : random_between(random, LEAST, middle);
}

static void replace(long at, long hour, uint64_t *random) {
    struct block *block = &table[at];
    if (block->at != NULL)
        drop(block);
    size_t size = size_at(hour, random);
    block_new(block, size, (uint32_t)random_next(random));
    memset(block->at + sizeof block->tag, (int)block->tag, size - sizeof block->tag);
    live_bytes += size;
}

static void one_hour(long hour, long before, uint64_t *random) {
    long wanted = wanted_at(hour);
    for (long i = wanted; i < objects; i++)
        if (table[i].at != NULL)
            drop(&table[i]);
    for (int look = 0; look < LOOKS; look++) {
        for (long i = 0; i < replacements / LOOKS; i++)
            replace((long)random_below(random, (uint64_t)wanted), hour, random);
        held += (double)(resident_pages() - before) * page_bytes();
        live += (double)live_bytes;
    }
    usleep((useconds_t)waiting * 1000);
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    table = table_new((size_t)objects, sizeof *table);
    memset(table, 0, (size_t)objects * sizeof *table); /* the load's own pages are there before the first look */
    long before = resident_pages();
    uint64_t random = random_stream(0);
    for (long hour = 0; hour < days * HOURS; hour++)
        one_hour(hour % HOURS, before, &random);
    figure("held-per-live", 100 * held / live, "%");
    figure("rate", (double)(days * HOURS * (replacements / LOOKS * LOOKS)) / processor_seconds(), "replacements/s");
    for (long i = 0; i < objects; i++)
        if (table[i].at != NULL)
            drop(&table[i]);
    return 0;
}
