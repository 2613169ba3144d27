/* SPDX-License-Identifier: MIT */
/* Lines are found by two steps: the upper bits of an address choose a leaf, the lower ones a line in it. Leaves come from mmap,
 * so that what is never touched of them takes no memory. */
#include "directory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LEAF_BITS = 24, LEAF_LINES = (1 << LEAF_BITS) / LINE_BYTES };
enum { ADDRESS_BITS = 48, HALF_BITS = (ADDRESS_BITS - LEAF_BITS) / 2 };

static struct line **halves[1 << HALF_BITS];

static uintptr_t *moved; /* lines of which a transfer was counted */
static size_t moved_count, moved_room;

__attribute__((noreturn)) static void no_memory(void) {
    fputs("cores: no memory for the directory of cache lines\n", stderr);
    _Exit(1);
}

static void *zeroed(size_t size) {
    void *found = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (found == MAP_FAILED)
        no_memory();
    return found;
}

/* The place of the leaf of an address, or NULL. */
static struct line **leaf_place(uintptr_t address, bool make) {
    uintptr_t number = (address & ((1ull << ADDRESS_BITS) - 1)) >> LEAF_BITS;
    struct line ***half = &halves[number >> HALF_BITS];
    if (*half == NULL && make)
        *half = zeroed(sizeof **half << HALF_BITS);
    return *half != NULL ? *half + (number & ((1u << HALF_BITS) - 1)) : NULL;
}

struct line *line_of(uintptr_t address) {
    struct line **leaf = leaf_place(address, true);
    if (__builtin_expect(*leaf == NULL, 0))
        *leaf = zeroed(LEAF_LINES * sizeof **leaf);
    return *leaf + (address >> 6) % LEAF_LINES;
}

static bool shares(const struct line *line, unsigned core) {
    return line->sharers[core / 64] >> core % 64 & 1;
}

static void share(struct line *line, unsigned core) {
    line->sharers[core / 64] |= 1ull << core % 64;
}

static unsigned sharers(const struct line *line) {
    unsigned count = 0;
    for (unsigned i = 0; i < LINE_WORDS; i++)
        count += (unsigned)__builtin_popcountll(line->sharers[i]);
    return count;
}

static void own(struct line *line, unsigned core) {
    memset(line->sharers, 0, sizeof line->sharers);
    share(line, core);
    line->owner = (uint16_t)(core + 1);
}

static enum step take_to_read(struct line *line, unsigned core, bool *exclusive) {
    if (shares(line, core))
        return STEP_NONE;
    if (sharers(line) == 0) {
        own(line, core);
        return STEP_COLD;
    }
    *exclusive = line->owner != 0;
    line->owner = 0;
    share(line, core);
    return STEP_FETCH;
}

static enum step take_to_write(struct line *line, unsigned core, bool *exclusive) {
    unsigned had = sharers(line);
    enum step step = had == 0              ? STEP_COLD
                     : !shares(line, core) ? STEP_FETCH
                     : had == 1            ? STEP_NONE
                                           : STEP_UPGRADE;
    own(line, core);
    line->writer = (uint16_t)(core + 1);
    *exclusive = true;
    return step;
}

enum step line_take(struct line *line, unsigned core, bool store, bool *exclusive) {
    if (line->owner != core + 1)
        return (store ? take_to_write : take_to_read)(line, core, exclusive);
    if (store)
        line->writer = (uint16_t)(core + 1);
    return STEP_NONE;
}

bool page_comes(uintptr_t address) {
    struct line *first = line_of(address / PAGE_BYTES * PAGE_BYTES);
    bool comes = !first->page;
    first->page = true;
    return comes;
}

void lines_announce(uintptr_t block, size_t size) {
    uintptr_t end = block + size;
    for (uintptr_t at = block; at < end; at = at / LINE_BYTES * LINE_BYTES + LINE_BYTES) {
        uintptr_t line_end = at / LINE_BYTES * LINE_BYTES + LINE_BYTES;
        unsigned first = (unsigned)(at % LINE_BYTES / GRAIN_BYTES);
        unsigned last = (unsigned)(((end < line_end ? end : line_end) - 1) % LINE_BYTES / GRAIN_BYTES);
        line_of(at)->block |= (uint8_t)((2u << last) - (1u << first));
    }
}

void lines_forget(uintptr_t start, size_t size) {
    uintptr_t leaf_bytes = 1ull << LEAF_BITS, end = start + size;
    for (uintptr_t at = start; at < end;) {
        uintptr_t next = at / leaf_bytes * leaf_bytes + leaf_bytes;
        uintptr_t stop = next < end ? next : end;
        struct line **leaf = leaf_place(at, false);
        if (leaf != NULL && *leaf != NULL && stop - at == leaf_bytes)
            madvise(*leaf, LEAF_LINES * sizeof **leaf, MADV_DONTNEED);
        else if (leaf != NULL && *leaf != NULL)
            memset(*leaf + (at >> 6) % LEAF_LINES, 0, (stop - at) / LINE_BYTES * sizeof **leaf);
        at = stop;
    }
}

/* A line may stand in the list twice: it is new again when its memory was given back. */
void line_count(struct line *line, uintptr_t address) {
    if (line->transfers++ > 0)
        return;
    if (moved_count == moved_room) {
        moved_room = moved_room > 0 ? moved_room * 2 : 4096;
        moved = realloc(moved, moved_room * sizeof *moved);
    }
    if (moved == NULL)
        no_memory();
    moved[moved_count++] = address / LINE_BYTES * LINE_BYTES;
}

static int by_address(const void *a, const void *b) {
    uintptr_t first = *(const uintptr_t *)a, second = *(const uintptr_t *)b;
    return first < second ? -1 : first > second;
}

void lines_walk(void (*see)(uintptr_t address, const struct line *line, void *data), void *data) {
    qsort(moved, moved_count, sizeof *moved, by_address);
    for (size_t i = 0; i < moved_count; i++) {
        const struct line *line = line_of(moved[i]);
        if (line->transfers > 0 && (i == 0 || moved[i] != moved[i - 1]))
            see(moved[i], line, data);
    }
}
