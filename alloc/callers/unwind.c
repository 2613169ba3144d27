/* SPDX-License-Identifier: MIT */
#include "callers/unwind.h"

#include "kit/tunables.h"
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
    struct memo *memo;       /* NULL: there is none, or all registers are wanted, so that no short way can be gone */
    struct arch_frame frame; /* of which short steps know the stack and the frame pointer only */
};

#define SHORT_KNOWN (UINT64_C(1) << ARCH_FP | UINT64_C(1) << ARCH_SP)

/* To the caller, by what is in the row. */
static enum step step_short(struct walk *walk, struct row row, struct memo_frame *found) {
    struct arch_frame *frame = &walk->frame;
    uintptr_t fp = frame->value[ARCH_FP], pc = frame->value[ARCH_RA];
    uintptr_t cfa = (row.by_fp ? fp : frame->value[ARCH_SP]) + (uintptr_t)(row.cfa * 8);
    uintptr_t ra_at = cfa + (uintptr_t)(row.ra * 8), fp_at = cfa + (uintptr_t)(row.fp * 8);
    if ((frame->known & SHORT_KNOWN) != SHORT_KNOWN)
        return STEP_LOST;
    if (row.in_link ? !arch_knows(frame, ARCH_RA) : !stack_memory_read(walk->memory, ra_at, &pc))
        return STEP_LOST;
    if (!row.keeps_fp && !stack_memory_read(walk->memory, fp_at, &fp))
        return STEP_LOST;
    found->by_fp = row.by_fp;
    found->ra_at = row.in_link ? 0 : ra_at;
    found->fp_at = row.keeps_fp ? 0 : fp_at;
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

static enum step step_by_row(struct walk *walk, bool all, struct memo_frame *found) {
    struct row row = rows_find(&walk->rows, step_address(&walk->frame));
    if (UNLIKELY(row.kind == ROW_NONE))
        row = rows_make(&walk->rows, &walk->frame, walk->memory);
    if (LIKELY(row.kind == ROW_SHORT && !all))
        return step_short(walk, row, found);
    switch (row.kind) {
    case ROW_SHORT: case ROW_FULL:
        return step_full(walk);
    case ROW_PLAIN:
        return step_by_pointer(&walk->frame, walk->memory);
    case ROW_SIGNAL:
        return step_by_signal(&walk->frame, walk->memory);
    default:
        found->last = true;
        return STEP_END;
    }
}

/* The frame that the walk has come to, whose caller must be found. */
static struct memo_frame memo_frame_of(const struct arch_frame *frame) {
    return (struct memo_frame){.sp = frame->value[ARCH_SP], .fp = frame->value[ARCH_FP], .pc = frame->pc,
                               .interrupted = frame->interrupted};
}

/* One step, which the memo gets to know. */
static enum step step(struct walk *walk, bool all) {
    struct memo_frame found = memo_frame_of(&walk->frame);
    enum step done = step_by_row(walk, all, &found);
    if (walk->memo != NULL) {
        if (done != STEP_DONE) /* whatever led there, it has no caller that is known */
            found.ra_at = 0;
        memo_add(walk->memo, &found);
    }
    return done;
}

/* All by rows. Returns how many frames there are; *unknown if it had to stop for want of a register. */
static unsigned follow(struct walk *walk, void **frames, unsigned most, bool all, bool *unknown) {
    unsigned count = 0;
    enum step done = STEP_DONE;
    while (count < most && done == STEP_DONE) {
        frames[count++] = (void *)walk->frame.pc;
        if (count < most)
            done = step(walk, all);
    }
    *unknown = done == STEP_UNKNOWN;
    return count;
}

/* By rows until a frame is met that the last walk had, too, and from there on by that as far as it goes. */
static unsigned follow_memo(struct walk *walk, void **frames, unsigned most, bool *unknown) {
    struct memo *memo = walk->memo;
    unsigned at = memo->first, count = 0;
    enum step done = STEP_DONE;
    struct memo_frame outermost;
    bool same = false;
    frames[count++] = (void *)walk->frame.pc;
    while (done == STEP_DONE) {
        at = memo_find(memo, at, &walk->frame, &same);
        if (same) {
            unsigned from = at;
            at = memo_follow(memo, at, &walk->frame, frames, &count, most);
            same = count == most || (memo->frames[at].last && memo->frames[at].pc == walk->frame.pc);
            if (same) {
                at = from;
                break;
            }
            memo_add_again(memo, from, at);
        }
        if (count == most) {
            outermost = memo_frame_of(&walk->frame);
            memo_add(memo, &outermost);
            break;
        }
        done = step(walk, false);
        if (done == STEP_DONE)
            frames[count++] = (void *)walk->frame.pc;
    }
    *unknown = done == STEP_UNKNOWN;
    memo_end(memo, same ? at : MEMO_FRAMES);
    return count;
}

/* Few functions need another register to find their frame. The walk is made again for them, with all registers from the start
 * on. */
static unsigned walk_from(struct walk *walk, const struct arch_frame *start, void **frames, unsigned most) {
    bool unknown;
    walk->frame = *start;
    unsigned count =
        walk->memo != NULL ? follow_memo(walk, frames, most, &unknown) : follow(walk, frames, most, false, &unknown);
    if (!unknown)
        return count;
    walk->frame = *start;
    walk->memo = NULL;
    return follow(walk, frames, most, true, &unknown);
}

unsigned unwind_walk(const struct arch_frame *start, void **frames, unsigned most) {
    struct walk walk = {.rows = rows_view()};
    struct stack_memory memory;
    if (start->pc == 0 || most == 0)
        return 0;
    struct walker *walker = walker_take();
    if (walker == NULL)
        memory = (struct stack_memory){.next = 0};
    walk.memory = walker != NULL ? &walker->memory : &memory;
    walk.memo = walker != NULL && walk.rows.table != NULL && most <= MEMO_FRAMES ? &walker->memo : NULL;
    if (walk.memo != NULL)
        memo_begin(walk.memo, walk.rows.generation);
    unsigned count = walk_from(&walk, start, frames, most);
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
    most = (unsigned)min_size(min_size(most, UNWIND_MOST), tunables.stack_depth);
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
