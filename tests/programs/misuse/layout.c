/* SPDX-License-Identifier: MIT */
/* run: helper */
/* What an attacker may count on: code in blocks, and where blocks lie. */
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/uio.h>
#include <unistd.h>

#include "misuse.h"

/* Jumps into a block that holds a `ret`. */
static void execute(size_t bytes) {
    char *p = about(take(bytes));
    p[0] = (char)0xc3;
    begin();
    void (*volatile jump)(void);
    *(void *volatile *)(void *)&jump = p;
    jump();
    happened();
    say("not caught: the code in the block has run");
}

static void execute_small(void) {
    execute(SMALL);
}

static void execute_large(void) {
    execute(LARGE);
}

static void execute_mapping(void) {
    execute(MAPPING);
}

static void writable_code(void) {
    static char text[65536];
    sink = take(SMALL);
    sink = take(LARGE);
    sink = take(MAPPING);
    begin();
    FILE *maps = fopen("/proc/self/maps", "r");
    size_t length = maps != NULL ? fread(text, 1, sizeof text - 1, maps) : 0;
    text[length] = '\0';
    happened();
    if (length == 0 || length == sizeof text - 1)
        say("/proc/self/maps cannot be read");
    else
        say(strstr(text, " rwx") != NULL ? "not caught: a mapping is" : "harmless: no mapping is");
}

enum { COUNT = 64 };

static uint64_t mix(uint64_t sum, uint64_t word) {
    return (sum ^ word) * UINT64_C(0x100000001b3);
}

/* Addresses relative to the first, of blocks of one size and of several, some freed between. */
static uint64_t pattern(uintptr_t base) {
    char *p[COUNT];
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (int i = 0; i < COUNT; i++)
        p[i] = take(SMALL);
    for (int i = 0; i < COUNT; i += 3)
        give(p[i]);
    for (int i = 0; i < COUNT; i += 3)
        p[i] = take(SMALL);
    for (int i = 0; i < COUNT; i++)
        sum = mix(sum, (uintptr_t)p[i] - (base != 0 ? base : (uintptr_t)p[0]));
    return sum;
}

static void relative_order(void) {
    begin();
    say("fingerprint %016lx", (unsigned long)pattern(0));
    happened();
}

/* Runs itself again without randomised mappings. */
static void absolute_order(void) {
    char *again[] = {"layout", "absolute_order", guarded[0] != NULL ? "full" : NULL, NULL};
    int now = personality(0xffffffff);
    if (now != -1 && (now & ADDR_NO_RANDOMIZE) == 0) {
        if (personality((unsigned long)now | ADDR_NO_RANDOMIZE) == -1 || execv("/proc/self/exe", again) != 0)
            say("cannot: the kernel refuses ADDR_NO_RANDOMIZE");
        return;
    }
    begin();
    say("fingerprint %016lx", (unsigned long)pattern(1));
    happened();
}

/* ---- the allocator's own data ------------------------------------------------------------------------------------ */

/* What can be reached by running over a block's end or start for a MiB, byte by byte, until something is not writable:
 * blocks of the program, and the heap, in which no data of the allocator's lies but the links of free blocks. */
enum { KEPT = 400, MAPS = 4096, PAGE = 4096, ARENA = 4 << 20 };

struct extent {
    uintptr_t start, end;
    bool writable, heap;
};

static struct extent maps[MAPS], kept[KEPT];
static int map_count, kept_count;

static void read_maps(void) {
    char line[512];
    FILE *file = fopen("/proc/self/maps", "r");
    for (map_count = 0; file != NULL && map_count < MAPS && fgets(line, sizeof line, file) != NULL; map_count++) {
        struct extent *map = &maps[map_count];
        char access[5];
        if (sscanf(line, "%lx-%lx %4s", &map->start, &map->end, access) != 3)
            abort();
        map->writable = access[1] == 'w';
        map->heap = strstr(line, "[heap]") != NULL;
    }
    if (file != NULL)
        fclose(file);
}

/* Keeps a block that ends some way before a page does: what is left of its last page counts as its own. */
static void keep(size_t bytes) {
    uintptr_t p = (uintptr_t)take(bytes);
    kept[kept_count++] = (struct extent){p & -(uintptr_t)PAGE, (p + bytes + PAGE - 1) & -(uintptr_t)PAGE, true, false};
}

static const struct extent *extent_of(const struct extent *extents, int count, uintptr_t at) {
    for (int i = 0; i < count; i++)
        if (at >= extents[i].start && at < extents[i].end)
            return &extents[i];
    return NULL;
}

/* Not all that cannot be written is told by /proc/self/maps. */
static bool can_be_written(char *p) {
    char byte;
    struct iovec here = {&byte, 1}, there = {p, 1};
    return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 1 && process_vm_writev(getpid(), &here, 1, &there, 1, 0) == 1;
}

/* What an overflow, or an underflow, runs into next: NULL if that cannot be written. */
static const struct extent *next_reached(uintptr_t at, bool *ours) {
    const struct extent *map = extent_of(maps, map_count, at), *own = extent_of(kept, kept_count, at);
    *ours = true;
    if (map == NULL || !map->writable || !can_be_written((char *)at))
        return NULL;
    if (map->heap || own == NULL || (map->end - map->start) % ARENA == 0) {
        *ours = map->heap || (map->end - map->start) % ARENA == 0;
        return map;
    }
    return own;
}

static bool reaches_foreign(const struct extent *block) {
    const struct extent *next;
    bool ours = true;
    for (uintptr_t at = block->end; at < block->end + MB && (next = next_reached(at, &ours)) != NULL && ours;)
        at = next->end;
    for (uintptr_t at = block->start; ours && at > block->start - MB && (next = next_reached(at - 1, &ours)) != NULL && ours;)
        at = next->start;
    return !ours;
}

static void judge(void) {
    int reached = 0;
    begin();
    read_maps();
    for (int i = 0; i < kept_count; i++)
        reached += reaches_foreign(&kept[i]);
    happened();
    if (map_count == 0 || map_count == MAPS)
        say("/proc/self/maps cannot be read");
    else
        say(reached > 0 ? "not caught: %d of %d blocks reach it" : "harmless: none is reached", reached, kept_count);
}

/* Hardened small blocks lie side by side with places for others, which cannot be told from data by looking. */
static void own_data(void) {
    for (int i = 0; i < 20 && guarded[0] == NULL; i++)
        keep(SMALL);
    for (int i = 0; i < 20; i++)
        keep(LARGE - 100);
    judge();
}

/* As many mappings as make the allocator's table of them grow. */
static void own_data_mappings(void) {
    mallopt(M_MMAP_THRESHOLD, MB / 4);
    for (int i = 0; i < KEPT; i++)
        keep(MB / 4 + (size_t)(i % 100 + 1) * PAGE - 100);
    judge();
}

/* Where the heap cannot grow, an arena serves. */
static void own_data_arena(void) {
    char *end = sbrk(0);
    mmap(end, MB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    for (int i = 0; i < 20; i++)
        keep(LARGE - 100);
    judge();
}

static const struct misuse cases[] = {
    CASE(execute_small, "jump into a block"),
    CASE(execute_large, "jump into a block of 64 KiB"),
    CASE(execute_mapping, "jump into a block of 1 MiB"),
    CASE(writable_code, "memory that is writable and executable"),
    CASE(own_data, "the allocator's own data within a MiB of a block, heap"),
    CASE(own_data_mappings, "the allocator's own data within a MiB of a block, mappings"),
    CASE(own_data_arena, "the allocator's own data within a MiB of a block, arena"),
    CASE(relative_order, "where blocks lie, relative to the first, foretold from another run"),
    CASE(absolute_order, "where blocks lie foretold from another run, where mappings are not randomised"),
};

MISUSE_MAIN
