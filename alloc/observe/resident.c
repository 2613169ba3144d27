/* SPDX-License-Identifier: MIT */
#include "observe/resident.h"

#include <string.h>

#include "base/scan.h"
#include "os/os.h"
#include "kit/modes.h"
#include "heap/aside.h"
#include "heap/resident_heap.h"
#include "heap/span.h"
#include "protect/check.h"
#include "protect/protections.h"
#include "observe/leaks.h"

/* ---- what the program asked for ----------------------------------------------------------------------------------- */

/* Of each class, blocks of which it is known what was asked for, and how much that was; those of no class under 0. */
struct asked {
    size_t blocks[CLASS_COUNT], bytes[CLASS_COUNT];
};

static void add_asked(const void *block, size_t bytes, void *data) {
    struct asked *asked = data;
    const struct span *span = span_find(block);
    unsigned class = span != NULL && span->state == SPAN_SMALL ? span->class : 0;
    asked->blocks[class]++;
    asked->bytes[class] += bytes;
}

static bool is_asked_known(struct asked *asked) {
    *asked = (struct asked){0};
    if (modes_has(MODE_CHECK))
        check_each(add_asked, asked);
    else if (modes_has(MODE_LEAKS))
        leaks_each(add_asked, asked);
    else
        return false;
    return true;
}

/* whole * part / all, for part <= all, also where the product is too large. */
static size_t share(size_t whole, size_t part, size_t all) {
    return all == 0 ? 0 : (size_t)((unsigned __int128)whole * part / all);
}

/* The rounding in `live` resident bytes of a class's blocks. */
static size_t rounding_of(const struct asked *asked, const struct stats *stats, unsigned class, size_t live) {
    size_t all = stats->classes[class].live * class_bytes(class), known = asked->blocks[class] * class_bytes(class);
    size_t rounding = known > asked->bytes[class] ? known - asked->bytes[class] : 0;
    return share(live, min_size(rounding, all), all);
}

/* The same of large and mapped blocks, if all of them are known: no page of theirs is rounding alone. */
static size_t rounding_of_large(const struct asked *asked, const struct stats *stats, size_t live) {
    bool all = asked->blocks[0] == stats->large_count + stats->mapped_count;
    size_t bytes = stats->large + stats->mapped;
    return all && bytes > asked->bytes[0] ? min_size(bytes - asked->bytes[0], live) : 0;
}

/* ---- ours --------------------------------------------------------------------------------------------------------- */

static void add_blocks(struct resident *resident, const struct stats *stats, const struct resident_heap *heap) {
    struct asked asked;
    resident->rounding_known = is_asked_known(&asked);
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        const struct stats_class *blocks = &stats->classes[class];
        size_t all = blocks->live + blocks->cached, listed = min_size(blocks->listed, blocks->cached);
        size_t lists = share(heap->used[class], listed, all), transit = share(heap->used[class], blocks->cached - listed, all);
        size_t live = heap->used[class] - lists - transit;
        size_t rounding = resident->rounding_known ? rounding_of(&asked, stats, class, live) : 0;
        resident->lists += lists;
        resident->transit += transit;
        resident->rounding += rounding;
        resident->live += live - rounding;
    }
    resident->lists += heap->cached;
    size_t large = heap->large + heap->mapped;
    size_t rounding = resident->rounding_known ? rounding_of_large(&asked, stats, large) : 0;
    resident->rounding += rounding;
    resident->live += large - rounding;
}

struct protected {
    struct os_pages *pages;
    size_t blocks, records;
};

static void add_range(const void *start, size_t bytes, bool blocks, void *data) {
    struct protected *sum = data;
    size_t found = bytes > 0 ? resident_heap_in(sum->pages, start, bytes) : 0;
    *(blocks ? &sum->blocks : &sum->records) += found;
}

static void add_protected(struct resident *resident, const struct stats *stats, struct os_pages *pages) {
    struct protected sum = {.pages = pages};
    protections_each_range(add_range, &sum);
    size_t live = min_size(sum.blocks, stats->guarded + stats->hardened);
    resident->live += live;
    resident->around = sum.blocks - live;
    resident->metadata += sum.records;
    resident->total += sum.blocks + sum.records;
}

static void read_ours(struct resident *resident, const struct stats *stats) {
    struct os_pages pages;
    struct resident_heap heap;
    os_pages_open(&pages);
    resident_heap_count(&heap, &pages);
    add_blocks(resident, stats, &heap);
    resident->beside = heap.beside;
    resident->holes = heap.holes;
    resident->free = heap.free;
    resident->ahead = heap.ahead;
    resident->huge_excess = heap.huge_excess;
    resident->kept = heap.kept;
    resident->metadata = heap.own;
    resident->total = heap.total + heap.own;
    add_protected(resident, stats, &pages);
    resident->huge = heap.huge;
    resident->trim = heap.trim;
    resident->trim_is_least = heap.trim_is_least;
    resident->by_pagemap = pages.fd >= 0;
    resident->refused = pages.refused;
    os_pages_close(&pages);
    resident->returned = stats->taken > resident->total ? stats->taken - resident->total : 0;
}

/* ---- the process -------------------------------------------------------------------------------------------------- */

/* The number in the line "NAME:   N kB", in bytes; SIZE_MAX if there is no such line. */
static size_t line_of(const char *lines, const char *name) {
    size_t length = strlen(name), number;
    for (const char *line = lines; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) != 0 || line[length] != ':')
            continue;
        const char *digits = line + length + 1;
        digits += strspn(digits, " ");
        return scan_number(digits, strlen(digits), 10, &number) > 0 ? number * KIB : SIZE_MAX;
    }
    return SIZE_MAX;
}

static void read_process(struct resident *resident) {
    char lines[2048];
    lines[os_read_file("/proc/self/smaps_rollup", lines, sizeof lines - 1)] = '\0'; /* since Linux 4.14 */
    resident->rss = line_of(lines, "Rss");
    resident->pss = line_of(lines, "Pss");
    resident->anonymous = line_of(lines, "Anonymous");
    resident->swap = line_of(lines, "Swap");
    bool known = resident->rss != SIZE_MAX && resident->rss > resident->total;
    resident->others = known ? resident->rss - resident->total : 0;
}

void resident_read(struct resident *resident, const struct stats *stats) {
    *resident = (struct resident){.rss = SIZE_MAX, .pss = SIZE_MAX, .anonymous = SIZE_MAX, .swap = SIZE_MAX};
    if (aside_is_on())
        return;
    read_ours(resident, stats);
    read_process(resident);
}
