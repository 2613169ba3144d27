/* SPDX-License-Identifier: MIT */
/*
 * From a frame to that of its caller, by the unwind tables in full: all registers, expressions, frames of signals. This is the
 * slow way, which knows everything; rows.h has a short form of what it finds for most code.
 */
#ifndef MYALLOC_STEP_H
#define MYALLOC_STEP_H

#include "callers/cfi.h"
#include "callers/stack_memory.h"

enum step {
    STEP_DONE,    /* the frame is the caller's */
    STEP_END,     /* there is no caller */
    STEP_UNKNOWN, /* what is needed is a register that is not known */
    STEP_LOST,    /* the tables or the stack make no sense */
};

/* Where the frame's function is, as the tables have it: the call, not what follows it. */
static inline uintptr_t step_address(const struct arch_frame *frame) {
    return frame->pc - !frame->interrupted;
}

/* By the rules of the entry for the frame's address. */
enum step step_by_rules(struct arch_frame *frame, const struct eh_entry *entry, const struct cfi_rules *rules,
                        struct stack_memory *memory);

/* True if the frame's code is that by which a signal's handler returns, in a module that has no tables for it. */
bool step_is_signal_return(const struct arch_frame *frame, struct stack_memory *memory);

/* To what such a signal has interrupted. */
enum step step_by_signal(struct arch_frame *frame, struct stack_memory *memory);

/* Reads what a frame pointer points to, if that looks like a frame of code whose stack pointer is `sp`: the caller's frame
 * pointer and where the caller goes on. */
bool step_read_pointer(uintptr_t fp, uintptr_t sp, struct stack_memory *memory, uintptr_t *above, uintptr_t *pc);

/* From a frame whose address is no code, because a call or a jump led there: to where the caller goes on. What the call has put
 * there, and nothing else, has changed since. */
enum step step_by_call(struct arch_frame *frame, struct stack_memory *memory);

/* For code without tables: by the frame pointer, if what it points to looks like a frame. */
enum step step_by_pointer(struct arch_frame *frame, struct stack_memory *memory);

#endif
