/* SPDX-License-Identifier: MIT */
#include "heap/home.h"

#include "base/freelist.h"
#include "base/sizeclass.h"

/* Of the bits of a word those whose whole group is set. A group is the blocks that fill a cache line: if all are at home, none
 * of them shares its line with a block in use. */
static uint64_t whole_groups(uint64_t bits, unsigned group) {
    if (group == 1)
        return bits;
    uint64_t firsts = bits & bits >> 1; /* the bit of the first of each group, if the whole group is set */
    if (group == 4)
        firsts &= firsts >> 2;
    firsts &= group == 4 ? UINT64_C(0x1111111111111111) : UINT64_C(0x5555555555555555);
    return firsts * (((uint64_t)1 << group) - 1);
}

/* ---- OS pages ---------------------------------------------------------------------------------------------------- */

_Atomic uint32_t home_pages_wanted[CLASS_COUNT] BIG_TABLE;

/* True if all of the blocks [first, end) are at home. */
static bool are_home(const uint64_t *home, size_t first, size_t end) {
    while (first < end) {
        size_t run = min_size(64 - first % 64, end - first);
        uint64_t mask = bit_range(first % 64, run);
        if ((home[first / 64] & mask) != mask)
            return false;
        first += run;
    }
    return true;
}

unsigned home_free_pages(struct span *span, size_t size, size_t nth) {
    const uint64_t *home = span_home(span);
    unsigned pages = 0;
    for (size_t i = 0; i < PAGES_A_UNIT; i++) {
        size_t from = (nth << UNIT_SHIFT) + i * OS_PAGE, end = (from + OS_PAGE + size - 1) / size;
        if (are_home(home, from / size, min_size(end, span->carved)))
            pages |= 1u << i;
    }
    return pages;
}

struct home_used home_used_of_page(struct span *span, size_t size, size_t page) {
    return home_used_by_bits(span_home(span), span->carved, size, page);
}

static bool is_returned(const struct span *span, size_t page) {
    return (span[page / PAGES_A_UNIT].returned_pages >> page % PAGES_A_UNIT & 1) != 0;
}

/* The blocks from number `first` on, a word of them, that lie in pages without memory, be it in part. */
static uint64_t blocks_without_memory(const struct span *span, size_t size, size_t first) {
    size_t end = min_size(first + 64, span->carved), last_page = (end * size - 1) / OS_PAGE;
    uint64_t without = 0;
    for (size_t page = first * size / OS_PAGE; page <= last_page; page++) {
        if (!is_returned(span, page))
            continue;
        size_t from = max_size(page * OS_PAGE / size, first), to = min_size(((page + 1) * OS_PAGE + size - 1) / size, end);
        without |= bit_range(from - first, to - from);
    }
    return without;
}

/* ---- taking ------------------------------------------------------------------------------------------------------ */

/* Takes the blocks whose bits are set in `left` out of word `word` of the span, at most `most`, linked in address order.
 * Returns how many; *end is where the chain ends. */
static inline size_t take_word(uint64_t *home, size_t word, uint64_t left, char *start, size_t size, size_t most,
                               struct block ***end) {
    size_t n = 0;
    for (; left != 0 && n < most; left &= left - 1, n++) {
        size_t at = word * 64 + (size_t)__builtin_ctzll(left);
        struct block *block = (struct block *)(void *)(start + at * size);
        home[word] &= ~(left & -left);
        **end = block;
        *end = &block->next;
    }
    return n;
}

/* Thanks to the order a program walks memory forwards when it allocates again, however randomly it freed: half a million
 * randomly replaced blocks walked over (`locality`) took 131 ms with a list of blocks at home, 88 ms with bits. */
static ALWAYS_INLINE void *take_used(struct span *span, size_t size, size_t most, unsigned group, bool paged, size_t *count) {
    uint64_t *home = span_home(span);
    char *start = span_address(span);
    struct block *chain = NULL, **end = &chain;
    size_t n = 0;
    for (size_t word = 0; n < most && word * 64 < span->carved; word++) {
        uint64_t left = home[word];
        if (paged && left != 0)
            left &= ~blocks_without_memory(span, size, word * 64);
        n += take_word(home, word, whole_groups(left, group), start, size, most - n, &end);
    }
    *end = NULL;
    *count = n;
    return chain;
}

void *home_take_used(struct span *span, size_t size, size_t most, unsigned group, size_t *count) {
    return take_used(span, size, most, group, false, count);
}

/* The pages in which the blocks of the chain lie have memory again. Returns how many had none. */
static uint32_t touch_pages(struct span *span, size_t size, const struct block *chain) {
    uint32_t touched = 0;
    for (const struct block *block = chain; block != NULL; block = block->next) {
        size_t offset = (size_t)((const char *)block - span_address(span)), last = (offset + size - 1) / OS_PAGE;
        for (size_t page = offset / OS_PAGE; page <= last; page++) {
            touched += is_returned(span, page);
            span[page / PAGES_A_UNIT].returned_pages &= (uint16_t)~(1u << page % PAGES_A_UNIT);
        }
    }
    return touched;
}

/* The span is in use: what was idle is so no more. Returns whether pages of it are without memory. */
static bool forget_idle(struct span *span) {
    unsigned returned = 0;
    for (size_t i = 0; i < span->units; i++) {
        span[i].idle_pages = 0;
        returned |= span[i].returned_pages;
    }
    return returned != 0;
}

void *home_take_paged(struct span *span, size_t size, size_t most, unsigned group, size_t *count) {
    span->paged = forget_idle(span);
    if (!span->paged)
        return home_take(span, size, most, group, count);
    size_t used_most = most > 1 ? max_size(most, class_batch(span->class)) : 1;
    void *chain = take_used(span, size, used_most, group, true, count);
    if (chain != NULL) {
        span->live = (uint16_t)(span->live + *count);
        return chain;
    }
    chain = home_take(span, size, most, group, count);
    atomic_fetch_add_explicit(&home_pages_wanted[span->class], touch_pages(span, size, chain), memory_order_relaxed);
    return chain;
}

/* Bytes of the page, of what lies below `end`. */
static size_t page_bytes_below(size_t page, size_t end) {
    return page * OS_PAGE < end ? min_size(end - page * OS_PAGE, OS_PAGE) : 0;
}

size_t home_returned_bytes(const struct span *span, size_t size) {
    size_t end = span->capacity * size, untouched = span->fresh ? align_up(span->carved * size, OS_PAGE) / OS_PAGE : SIZE_MAX;
    size_t bytes = 0;
    if (!span->paged && (!span->fresh || span->carved == span->capacity))
        return 0;
    for (size_t page = 0; page < span->units * PAGES_A_UNIT; page++)
        if (is_returned(span, page) || page >= untouched)
            bytes += page_bytes_below(page, end);
    return bytes;
}

size_t home_count(struct span *span) {
    const uint64_t *home = span_home(span);
    size_t count = 0;
    for (size_t word = 0; word * 64 < span->capacity; word++)
        count += (size_t)__builtin_popcountll(home[word]);
    return count;
}
