/* SPDX-License-Identifier: MIT */
/*
 * DWARF expressions, by which unwind tables tell what no register plus offset can: the frames of procedure linkage tables, of
 * signals, of functions that align their stack. A small stack machine. An expression that is damaged, needs a register that is
 * not known or memory that cannot be read has no value; one that goes in circles is given up.
 */
#ifndef MYALLOC_EXPRESSION_H
#define MYALLOC_EXPRESSION_H

#include "base/arch_frame.h"
#include "callers/eh_reader.h"
#include "callers/stack_memory.h"

/* What an expression is about. */
struct expression_of {
    const struct arch_frame *frame;
    struct stack_memory *memory;
    uintptr_t cfa;
    bool has_cfa;
    bool unknown; /* set where a register was needed that is not known */
};

/* Its value, with `first` on the stack at the start if that is not NULL. False if it has none. */
bool expression_value(struct expression_of *of, struct eh_reader code, const uintptr_t *first, uintptr_t *value);

#endif
