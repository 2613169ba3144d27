/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Reads and writes beyond a block, and of blocks without bytes. */
#include "misuse.h"

enum { BLOCKS = 256, FEW = 64, FEW_FROM = 1024, FILL = 12, FILL_BYTES = 100000, AMID = 912, PAGE = 4096 };

static char *blocks[BLOCKS];
static size_t block_bytes;
static int block_count; /* FEW of large ones */
static char *fill[2 * FILL];
static char source[2 * MB + AMID]; /* copied from */

/* A block that lies so near that there is room for nothing else between. */
static bool has_neighbour(const char *p, bool behind) {
    for (int i = 0; i < block_count; i++) {
        size_t distance = (size_t)(behind ? blocks[i] - p : p - blocks[i]);
        if (distance >= block_bytes && distance <= block_bytes + 64 && distance > 0)
            return true;
    }
    return false;
}

/* A guarded block stands at random at the start of its pages or at their end: misuse of either kind is to be seen. */
enum side { START, END };

static bool stands_at(enum side side, const char *p, size_t bytes) {
    return ((uintptr_t)p + (side == END ? (bytes + 15) / 16 * 16 : 0)) % PAGE == 0;
}

/* Of many blocks one with neighbours on both sides if there is such, else one that stands at a side of its page; where
 * there are neither, any does. */
static char *take_among_aligned(size_t align, size_t bytes, enum side side) {
    block_bytes = bytes;
    block_count = bytes < FEW_FROM ? BLOCKS : FEW;
    for (int i = 0; i < block_count; i++) {
        blocks[i] = sink = align != 0 ? aligned_alloc(align, bytes) : malloc(bytes);
        memset(blocks[i], 'o', bytes);
    }
    for (int i = 0; i < block_count; i++)
        if (has_neighbour(blocks[i], false) && has_neighbour(blocks[i], true))
            return about(blocks[i]);
    for (int i = 0; i < block_count; i++)
        if (stands_at(side, blocks[i], bytes))
            return about(blocks[i]);
    return about(blocks[block_count / 2]);
}

static char *take_among(size_t bytes, enum side side) {
    return take_among_aligned(0, bytes, side);
}

static bool same(const char *p, size_t bytes, char byte) {
    size_t i = 0;
    while (i < bytes && p[i] == byte)
        i++;
    return i == bytes;
}

/* Looks for damage in the other blocks, then frees the block. */
static void finish_among(char *p) {
    bool hit = false;
    happened();
    for (int i = 0; i < block_count; i++)
        hit |= blocks[i] != p && !same(blocks[i], block_bytes, 'o');
    give(p);
    say(hit ? "not caught: another block is changed" : "harmless: within what the block takes up");
}

/* Writes n bytes from `at` upwards, or downwards below it, byte by byte. */
static void store(char *at, size_t n, int step) {
    volatile char *byte = step < 0 ? at - 1 : at;
    for (size_t i = 0; i < n; i++, byte += step)
        *byte = 'x';
}

static void over(size_t bytes, size_t n, enum side side) {
    char *p = take_among(bytes, side);
    begin();
    store(p + bytes, n, 1);
    finish_among(p);
}

static void under(size_t bytes, size_t n, enum side side) {
    char *p = take_among(bytes, side);
    begin();
    store(p, n, -1);
    finish_among(p);
}

static void over_copy(size_t bytes, size_t n) {
    char *p = take_among(bytes, END);
    begin();
    copy(p, source, bytes + n);
    finish_among(p);
}

static void under_copy(size_t bytes, size_t n) {
    char *p = take_among(bytes, START);
    begin();
    copy(p - n, source, bytes + n);
    finish_among(p);
}

static void over_1(void) {
    over(SMALL, 1, END);
}

static void over_1_copy(void) {
    over_copy(SMALL, 1);
}

static void over_32(void) {
    over(SMALL, 32, END);
}

static void over_32_copy(void) {
    over_copy(SMALL, 32);
}

static void under_1(void) {
    under(SMALL, 1, START);
}

static void under_1_copy(void) {
    under_copy(SMALL, 1);
}

static void under_32(void) {
    under(SMALL, 32, START);
}

static void under_32_copy(void) {
    under_copy(SMALL, 32);
}

static void over_1_within(void) {
    over(SMALL, 1, START);
}

static void under_1_within(void) {
    under(SMALL, 1, END);
}

static void over_large_within(void) {
    over(20000, 1, START);
}

/* The size is no multiple of 16: there are bytes between the block's end and the next block. */
static void over_odd(void) {
    over(20, 1, END);
}

static void over_large(void) {
    over(LARGE, 1, END);
}

static void under_large(void) {
    under(LARGE, 1, START);
}

static void over_large_odd(void) {
    over(LARGE - 100, 1, END);
}

static void over_mapping(void) {
    over(MB / 4, 1, END);
}

static void under_mapping(void) {
    under(MB / 4, 1, START);
}

static void over_mapping_odd(void) {
    over(MB / 4 - 100, 1, END);
}

static void over_aligned(void) {
    char *p = take_among_aligned(128, 256, END);
    begin();
    store(p + 256, 1, 1);
    finish_among(p);
}

/* ---- a MiB ------------------------------------------------------------------------------------------------------- */

/* A small block with more than a MiB of the program's own large blocks on either side. Its size is nobody else's. */
static char *take_amid(enum side side) {
    char *p = NULL;
    for (int i = 0; i < 2 * FILL; i++) {
        for (int k = 0; i == FILL && k < FEW; k++) {
            char *next = take(AMID);
            if (p == NULL || (stands_at(side, next, AMID) && !stands_at(side, p, AMID)))
                p = next;
        }
        fill[i] = take(FILL_BYTES);
        memset(fill[i], 'o', FILL_BYTES);
    }
    return about(p);
}

static void finish_amid(char *p) {
    bool hit = false;
    happened();
    for (int i = 0; i < 2 * FILL; i++)
        hit |= !same(fill[i], FILL_BYTES, 'o');
    give(p);
    say(hit ? "not caught: other blocks are changed" : "harmless: within what the block takes up");
}

static void over_mb(void) {
    char *p = take_amid(END);
    begin();
    store(p + AMID, MB, 1);
    finish_amid(p);
}

static void over_mb_copy(void) {
    char *p = take_amid(END);
    begin();
    copy(p, source, AMID + MB);
    finish_amid(p);
}

static void under_mb(void) {
    char *p = take_amid(START);
    begin();
    store(p, MB, -1);
    finish_amid(p);
}

static void under_mb_copy(void) {
    char *p = take_amid(START);
    begin();
    copy(p - MB, source, MB + AMID);
    finish_amid(p);
}

/* ---- reads ------------------------------------------------------------------------------------------------------- */

static void read_at(ptrdiff_t offset) {
    char *p = take_among(SMALL, offset < 0 ? START : END);
    begin();
    unsigned char byte = ((volatile unsigned char *)p)[offset];
    happened();
    shown(byte, 'o', "another block's content");
    give(p);
}

static void read_over(void) {
    read_at(SMALL);
}

static void read_under(void) {
    read_at(-1);
}

/* A string that lacks its NUL: what strlen() finds depends on what lies behind. */
static void read_string(void) {
    char *p = take_among(SMALL, END);
    for (int i = 0; i < block_count; i++)
        if (blocks[i] != p)
            blocks[i][SMALL - 1] = '\0';
    begin();
    size_t length = strlen(p);
    happened();
    give(p);
    say(length >= 2 * SMALL - 1 ? "not caught: shows another block's content" : "harmless: ends before another block");
}

/* ---- no bytes ---------------------------------------------------------------------------------------------------- */

static void zero_write(void) {
    over(0, 1, END);
}

static void zero_write_calloc(void) {
    char *p = sink = about(calloc(0, 8));
    begin();
    store(p, 1, 1);
    happened();
    give(p);
    say("harmless: within what the block takes up");
}

static void zero_read(void) {
    char *p = about(take(0));
    begin();
    unsigned char byte = *(volatile unsigned char *)p;
    happened();
    shown(byte, 'o', "another block's content");
    give(p);
}

static const struct misuse cases[] = {
    CASE(over_1, "1 byte behind the end, stored"),
    CASE(over_1_copy, "1 byte behind the end, copied"),
    CASE(over_32, "32 bytes behind the end, stored"),
    CASE(over_32_copy, "32 bytes behind the end, copied"),
    CASE(over_mb, "1 MiB behind the end, stored"),
    CASE(over_mb_copy, "1 MiB behind the end, copied"),
    CASE(under_1, "1 byte before the start, stored"),
    CASE(under_1_copy, "1 byte before the start, copied"),
    CASE(under_32, "32 bytes before the start, stored"),
    CASE(under_32_copy, "32 bytes before the start, copied"),
    CASE(under_mb, "1 MiB before the start, stored"),
    CASE(under_mb_copy, "1 MiB before the start, copied"),
    CASE(over_1_within, "1 byte behind the end, within the page"),
    CASE(under_1_within, "1 byte before the start, within the page"),
    CASE(over_large_within, "1 byte behind the end of 20000, within the page"),
    CASE(over_odd, "1 byte behind the end of 20"),
    CASE(over_aligned, "1 byte behind the end, aligned block"),
    CASE(over_large, "1 byte behind the end of 64 KiB"),
    CASE(over_large_odd, "1 byte behind the end of 64 KiB less 100 bytes"),
    CASE(under_large, "1 byte before the start of 64 KiB"),
    CASE(over_mapping, "1 byte behind the end of 256 KiB"),
    CASE(over_mapping_odd, "1 byte behind the end of 256 KiB less 100 bytes"),
    CASE(under_mapping, "1 byte before the start of 256 KiB"),
    CASE(zero_write, "write to a block of 0 bytes"),
    CASE(zero_write_calloc, "write to a block of 0 bytes from calloc"),
    CASE(zero_read, "read of a block of 0 bytes"),
    CASE(read_over, "read of the byte behind the end"),
    CASE(read_under, "read of the byte before the start"),
    CASE(read_string, "strlen of a string without NUL"),
};

MISUSE_MAIN
