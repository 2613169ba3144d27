/* SPDX-License-Identifier: MIT */
/*
 * Rows: what the unwind tables say of one address of code in one word, as most code has it: the frame's address (CFA) is the
 * stack or the frame pointer plus a number; the return address and the caller's frame pointer are stored at fixed distances
 * from it. What does not fit has a row that says so, and is looked up in full each time (step.h).
 *
 * A table of 16,384 rows is shared by all threads, without a lock: an address has one place in it, and the last that was
 * entered there stays. An entry is two words, of which the first is the key mixed with the second: one whose words come from
 * two writers fits no key.
 *
 * V1 a row that rows_find returns is what rows_make would return now: the key holds code_generation(), or, while nobody sees
 *    code change, says that; then only rows of code that stays are kept (code.h).
 */
#ifndef MYALLOC_ROWS_H
#define MYALLOC_ROWS_H

#include <stdatomic.h>

#include "base/arch_frame.h"
#include "callers/stack_memory.h"

enum row_kind {
    ROW_NONE,   /* not known yet */
    ROW_SHORT,  /* all that is needed is in the row */
    ROW_FULL,   /* the tables tell more than a row can */
    ROW_END,    /* no caller */
    ROW_PLAIN,  /* code without tables */
    ROW_SIGNAL, /* code without tables by which a signal's handler returns */
};

/* Distances are in words of eight bytes, the last two from the CFA. */
struct row {
    uint64_t kind : 3;     /* enum row_kind */
    uint64_t by_fp : 1;    /* the CFA is the frame pointer plus `cfa`, else the stack pointer plus `cfa` */
    uint64_t in_link : 1;  /* the return address is still in the register that the call put it into */
    uint64_t keeps_fp : 1; /* the caller's frame pointer is this one's */
    int64_t cfa : 26;
    int64_t ra : 16;
    int64_t fp : 16;
};

struct rows_entry {
    _Atomic uint64_t mixed, row;
};

#define ROWS_SHIFT 14
#define ROWS ((size_t)1 << ROWS_SHIFT)

/* The table as one walk sees it. */
struct rows_view {
    struct rows_entry *table; /* NULL: nothing is kept */
    uint64_t generation;      /* in the bits that no address has */
};

struct rows_view rows_view(void);

static inline struct rows_entry *rows_place(const struct rows_view *view, uintptr_t address) {
    return &view->table[(uint64_t)address * UINT64_C(0x9e3779b97f4a7c15) >> (64 - ROWS_SHIFT)];
}

static inline uint64_t rows_mixed(const struct rows_view *view, uintptr_t address, uint64_t row) {
    return (address | view->generation) ^ row * UINT64_C(0xd1342543de82ef95);
}

union row_word {
    struct row row;
    uint64_t word;
};

/* The row that is kept for an address; ROW_NONE if there is none. */
static inline struct row rows_find(const struct rows_view *view, uintptr_t address) {
    union row_word found = {.word = 0};
    if (view->table == NULL)
        return found.row;
    const struct rows_entry *entry = rows_place(view, address);
    uint64_t mixed = atomic_load_explicit(&entry->mixed, memory_order_relaxed);
    found.word = atomic_load_explicit(&entry->row, memory_order_relaxed);
    if (UNLIKELY(mixed != rows_mixed(view, address, found.word)))
        found.word = 0;
    return found.row;
}

/* What the tables say of the frame's address, and keeps it. */
struct row rows_make(const struct rows_view *view, const struct arch_frame *frame, struct stack_memory *memory);

#endif
