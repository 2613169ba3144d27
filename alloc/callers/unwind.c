/* SPDX-License-Identifier: MIT */
#include "callers/unwind.h"

#include "callers/code.h"
#include "callers/rows.h"
#include "callers/step.h"
#include "callers/walker.h"

#define OWN_MOST 16 /* frames of ours between the program and the capture at most; a checked malloc has 9 */

/* Where our own code lies: in the shared library, all of it; in a static program, the section that the Makefile puts the code
 * of libmyalloc.a in. The linker names the bounds of both. The shared library has that section, too, because unwind_capture is
 * put there by name; otherwise the linker would not know the names of its bounds. */
#define OWN_SECTION "myalloc_text"
extern HIDDEN const char __ehdr_start[], _end[], __start_myalloc_text[], __stop_myalloc_text[];

static bool is_own(const void *address) {
    uintptr_t a = (uintptr_t)address;
    if (MYALLOC_STATIC)
        return a > (uintptr_t)__start_myalloc_text && a <= (uintptr_t)__stop_myalloc_text;
    return a > (uintptr_t)__ehdr_start && a <= (uintptr_t)_end;
}

struct walk {
    struct rows_view rows;
    struct stack_memory *memory;
    struct arch_frame frame; /* of which short steps know the stack and the frame pointer only */
};

#define SHORT_KNOWN (UINT64_C(1) << ARCH_FP | UINT64_C(1) << ARCH_SP)

/* To the caller, by what is in the row. */
static enum step step_short(struct walk *walk, struct row row) {
    struct arch_frame *frame = &walk->frame;
    uintptr_t fp = frame->value[ARCH_FP], pc = frame->value[ARCH_RA];
    uintptr_t cfa = (row.by_fp ? fp : frame->value[ARCH_SP]) + (uintptr_t)(row.cfa * 8);
    if (row.in_link ? !arch_knows(frame, ARCH_RA) : !stack_memory_read(walk->memory, cfa + (uintptr_t)(row.ra * 8), &pc))
        return STEP_LOST;
    if (!row.keeps_fp && !stack_memory_read(walk->memory, cfa + (uintptr_t)(row.fp * 8), &fp))
        return STEP_LOST;
    frame->value[ARCH_SP] = cfa;
    frame->value[ARCH_FP] = fp;
    frame->pc = arch_return_address(pc);
    frame->known = SHORT_KNOWN;
    frame->interrupted = false;
    return frame->pc != 0 ? STEP_DONE : STEP_END;
}

static enum step step_full(struct walk *walk) {
    uintptr_t address = step_address(&walk->frame);
    struct code code;
    struct eh_entry entry;
    struct cfi_rules rules;
    if (!code_find(address, &code) || !eh_table_find(&code, address, &entry) || !cfi_run(&entry, address, &rules))
        return STEP_LOST;
    return step_by_rules(&walk->frame, &entry, &rules, walk->memory);
}

/* `full`: all registers are wanted, so that no short way can be gone. */
static enum step step(struct walk *walk, bool full) {
    struct row row = rows_find(&walk->rows, step_address(&walk->frame));
    if (UNLIKELY(row.kind == ROW_NONE))
        row = rows_make(&walk->rows, &walk->frame, walk->memory);
    if (LIKELY(row.kind == ROW_SHORT && !full))
        return (walk->frame.known & SHORT_KNOWN) == SHORT_KNOWN ? step_short(walk, row) : STEP_LOST;
    switch (row.kind) {
    case ROW_SHORT: case ROW_FULL:
        return step_full(walk);
    case ROW_PLAIN:
        return step_by_pointer(&walk->frame, walk->memory);
    case ROW_SIGNAL:
        return step_by_signal(&walk->frame, walk->memory);
    default:
        return STEP_END;
    }
}

/* Returns how many frames there are; *unknown if it had to stop for want of a register. */
static unsigned follow(struct walk *walk, void **frames, unsigned most, bool full, bool *unknown) {
    unsigned count = 0;
    enum step done = STEP_DONE;
    while (count < most && done == STEP_DONE) {
        frames[count++] = (void *)walk->frame.pc;
        if (count < most)
            done = step(walk, full);
    }
    *unknown = done == STEP_UNKNOWN;
    return count;
}

/* Few functions need another register to find their frame. The walk is made again for them, with all registers from the start
 * on. */
static unsigned walk_with(struct stack_memory *memory, const struct arch_frame *start, void **frames, unsigned most) {
    struct walk walk = {.rows = rows_view(), .memory = memory, .frame = *start};
    bool unknown;
    unsigned count = follow(&walk, frames, most, false, &unknown);
    if (!unknown)
        return count;
    walk.frame = *start;
    return follow(&walk, frames, most, true, &unknown);
}

unsigned unwind_walk(const struct arch_frame *start, void **frames, unsigned most) {
    struct stack_memory memory;
    if (start->pc == 0)
        return 0;
    struct walker *walker = walker_take();
    if (walker == NULL)
        memory = (struct stack_memory){.next = 0};
    unsigned count = walk_with(walker != NULL ? &walker->memory : &memory, start, frames, most);
    if (walker != NULL)
        walker_let_go(walker);
    return count;
}

/* The loader allocates before it maps a library. */
static void look_for_loader(const void *innermost) {
    if (UNLIKELY(code_is_loader((uintptr_t)innermost)))
        code_changes();
}

__attribute__((section(OWN_SECTION))) NOINLINE unsigned unwind_capture(void **frames, unsigned most, unsigned skip) {
    void *all[UNWIND_MOST + OWN_MOST];
    struct arch_frame here;
    arch_frame_here(&here);
    most = (unsigned)min_size(most, UNWIND_MOST);
    skip = (unsigned)min_size(skip, OWN_MOST);
    unsigned first = 0, count = 0;
    unsigned found = unwind_walk(&here, all, (unsigned)min_size(most + skip + OWN_MOST, UNWIND_MOST + OWN_MOST));
    while (first < found && is_own(all[first]))
        first++;
    if (first < found)
        look_for_loader(all[first]);
    for (first += skip; first < found && count < most; first++)
        frames[count++] = all[first];
    return count;
}

void unwind_prepare(void) {
    code_changes();
    code_prepare();
}
