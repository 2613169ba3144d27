/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Use of blocks that have been freed, and what new blocks still show of old ones. */
#include "misuse.h"

static char foreign[256] __attribute__((aligned(64)));

/* A block full of 'S', with others before and behind it that stay. */
static char *take_between(size_t bytes) {
    sink = take(bytes);
    char *p = take(bytes);
    sink = take(bytes);
    memset(p, 'S', bytes);
    return about(p);
}

/* Of what has been freed, if it is the next to be handed out; else any block. */
static char *take_again(size_t bytes) {
    char *p = take(bytes);
    memset(p, 'N', bytes);
    return p;
}

static void read_stale(size_t bytes, bool reused) {
    char *p = take_between(bytes);
    give(p);
    if (reused)
        sink = take_again(bytes);
    begin();
    unsigned char byte = ((volatile unsigned char *)p)[bytes / 2];
    happened();
    shown(byte, reused ? 'N' : 'S', reused ? "the next owner's content" : "the old content");
}

static void write_stale(size_t bytes, bool reused) {
    char *p = take_between(bytes), *q = NULL;
    give(p);
    if (reused)
        q = take_again(bytes);
    begin();
    ((volatile char *)p)[bytes / 2] = 'W';
    happened();
    if (!reused)
        q = take(bytes);
    if (q[bytes / 2] == 'W')
        say("not caught: %s", reused ? "the next owner's content is changed" : "is found in the next block");
    else
        say("harmless: not in the next block");
}

static void read_small(void) {
    read_stale(SMALL, false);
}

static void read_small_reused(void) {
    read_stale(SMALL, true);
}

static void read_large(void) {
    read_stale(LARGE, false);
}

static void read_large_reused(void) {
    read_stale(LARGE, true);
}

static void read_mapping(void) {
    read_stale(MAPPING, false);
}

static void read_mapping_reused(void) {
    read_stale(MAPPING, true);
}

static void write_small(void) {
    write_stale(SMALL, false);
}

static void write_small_reused(void) {
    write_stale(SMALL, true);
}

static void write_large(void) {
    write_stale(LARGE, false);
}

static void write_large_reused(void) {
    write_stale(LARGE, true);
}

static void write_mapping(void) {
    write_stale(MAPPING, false);
}

static void write_mapping_reused(void) {
    write_stale(MAPPING, true);
}

/* ---- links of free blocks ---------------------------------------------------------------------------------------- */

/* The first word of a freed block is where the allocator may keep an address. */
static void read_link(void) {
    char *p = take_between(SMALL), *q = take(SMALL);
    give(q);
    give(p);
    begin();
    uintptr_t word = *(volatile uintptr_t *)p;
    happened();
    if (word == (uintptr_t)q)
        say("not caught: shows the address of another block");
    else
        say("harmless: shows %s", word == 0 ? "zeros" : "a fill pattern");
}

/* The link leads to the program's own variable: the block after next is that. */
static void write_link(void) {
    char *p = take_between(SMALL), *q = take(SMALL);
    give(q);
    give(p);
    begin();
    *(void *volatile *)p = foreign;
    happened();
    sink = take(SMALL);
    sink = take(SMALL);
    say(sink == foreign ? "not caught: malloc returns what was written" : "harmless: not in the next blocks");
}

/* Found when the list goes home. */
static void write_link_home(void *link) {
    void **p = (void **)(void *)take(SMALL), *others[20];
    for (int i = 0; i < 20; i++)
        others[i] = take(SMALL);
    give(about(p));
    say("link %p", link);
    begin();
    *(void *volatile *)p = link;
    happened();
    for (int i = 0; i < 20; i++)
        give(others[i]);
    malloc_trim(0);
    say("harmless: not in the next blocks");
}

static void write_link_foreign(void) {
    write_link_home(foreign);
}

static void write_link_other(void) {
    write_link_home(take(1000));
}

/* ---- after realloc ----------------------------------------------------------------------------------------------- */

static void read_moved(void) {
    char *p = take_between(SMALL);
    sink = realloc(p, 10 * SMALL);
    begin();
    unsigned char byte = ((volatile unsigned char *)p)[SMALL / 2];
    happened();
    shown(byte, 'S', "the old content");
}

static void write_zero_realloc(void) {
    char *p = take_between(SMALL);
    sink = realloc(p, 0);
    begin();
    ((volatile char *)p)[SMALL / 2] = 'W';
    happened();
    char *q = take(SMALL);
    say(q[SMALL / 2] == 'W' ? "not caught: is found in the next block" : "harmless: not in the next block");
}

/* What a block no longer has. */
static void read_shrunk(size_t bytes) {
    char *p = take_between(bytes);
    p = sink = about(realloc(p, bytes * 3 / 4));
    begin();
    unsigned char byte = ((volatile unsigned char *)p)[bytes * 3 / 4];
    happened();
    shown(byte, 'S', "the old content");
    give(p);
}

static void read_shrunk_large(void) {
    read_shrunk(LARGE);
}

static void read_shrunk_mapping(void) {
    read_shrunk(MAPPING);
}

static void write_shrunk_small(void) {
    char *p = NULL;
    for (int i = 0; i < 64 && (p == NULL || (uintptr_t)p % 4096 != 0); i++) /* on a guarded page: at its start */
        p = sink = realloc(take_between(SMALL), SMALL - 24);
    about(p);
    begin();
    ((volatile char *)p)[SMALL - 24] = 'W';
    happened();
    give(p);
    say("harmless: within what the block takes up");
}

/* ---- new blocks -------------------------------------------------------------------------------------------------- */

static void old_content(size_t bytes) {
    char *p = take_between(bytes);
    give(p);
    begin();
    p = take(bytes);
    unsigned char byte = (unsigned char)p[bytes / 2];
    happened();
    shown(byte, 'S', "the old content");
}

static void old_content_small(void) {
    old_content(SMALL);
}

static void old_content_large(void) {
    old_content(LARGE);
}

static void old_content_mapping(void) {
    old_content(MAPPING);
}

static void old_content_grown(void) {
    char *p = take(LARGE), *q = take(LARGE);
    sink = take(LARGE);
    memset(q, 'S', LARGE);
    give(q);
    begin();
    p = sink = realloc(p, 2 * LARGE);
    unsigned char byte = (unsigned char)p[LARGE + LARGE / 2];
    happened();
    shown(byte, 'S', "the old content");
}

/* Without this, use after free finds no victim. */
static void reused_at_once(void) {
    char *p = take_between(SMALL);
    give(p);
    begin();
    bool again = false;
    for (int i = 0; i < 20; i++) {
        char *q = take(SMALL);
        again |= q == p;
        give(q);
    }
    happened();
    say(again ? "not caught: among the next 20 allocations" : "harmless: not among the next 20 allocations");
}

static const struct misuse cases[] = {
    CASE(read_small, "read after free"),
    CASE(read_small_reused, "read after free, block handed out anew"),
    CASE(read_large, "read after free, 64 KiB"),
    CASE(read_large_reused, "read after free, 64 KiB, handed out anew"),
    CASE(read_mapping, "read after free, 1 MiB"),
    CASE(read_mapping_reused, "read after free, 1 MiB, handed out anew"),
    CASE(write_small, "write after free"),
    CASE(write_small_reused, "write after free, block handed out anew"),
    CASE(write_large, "write after free, 64 KiB"),
    CASE(write_large_reused, "write after free, 64 KiB, handed out anew"),
    CASE(write_mapping, "write after free, 1 MiB"),
    CASE(write_mapping_reused, "write after free, 1 MiB, handed out anew"),
    CASE(read_link, "read of a freed block's first word"),
    CASE(write_link, "first word of a freed block overwritten, then two allocations"),
    CASE(write_link_foreign, "the same with the address of a variable, then malloc_trim"),
    CASE(write_link_other, "the same with the address of a block of another size, then malloc_trim"),
    CASE(read_moved, "read of what realloc has moved away"),
    CASE(write_zero_realloc, "write after realloc(p, 0)"),
    CASE(read_shrunk_large, "read behind the end after realloc to less, 64 KiB"),
    CASE(read_shrunk_mapping, "read behind the end after realloc to less, 1 MiB"),
    CASE(write_shrunk_small, "write behind the end after realloc to less"),
    CASE(old_content_small, "old content in a new block"),
    CASE(old_content_large, "old content in a new block of 64 KiB"),
    CASE(old_content_mapping, "old content in a new block of 1 MiB"),
    CASE(old_content_grown, "old content in what realloc adds to 64 KiB"),
    CASE(reused_at_once, "freed block handed out again soon"),
};

MISUSE_MAIN
