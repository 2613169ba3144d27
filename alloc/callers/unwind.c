/* SPDX-License-Identifier: MIT */
#include "callers/unwind.h"

#include <string.h>

#include "kit/tunables.h"
#include "callers/code.h"
#include "callers/ways.h"
#include "callers/step.h"
#include "callers/walker.h"

/* In the section by which ways.c knows our own code. */
#define OWN_SECTION "myalloc_text"

#define SHORT_KNOWN (UINT64_C(1) << ARCH_FP | UINT64_C(1) << ARCH_SP)

struct walk {
    struct rows_view rows;
    struct stack_memory *memory;
    struct memo *memo;       /* NULL: there is none, or all registers are wanted, so that no short way can be gone */
    struct arch_frame frame; /* where the walk is; with a memo, only if it is `whole`: else the memo's frame says it */
    bool whole, plain;       /* with a memo: the stack and the frame pointer are known */
};

static uintptr_t cfa_of(struct row row, uintptr_t sp, uintptr_t fp) {
    return (row.by_fp ? fp : sp) + (uintptr_t)(row.cfa * 8);
}

/* To the caller, by what is in the row. */
static enum step step_short(struct walk *walk, struct row row) {
    struct arch_frame *frame = &walk->frame;
    uintptr_t fp = frame->value[ARCH_FP], pc = frame->value[ARCH_RA], cfa = cfa_of(row, frame->value[ARCH_SP], fp);
    if ((frame->known & SHORT_KNOWN) != SHORT_KNOWN)
        return STEP_LOST;
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

static enum step step_by_row(struct walk *walk, struct row row, bool all) {
    switch (row.kind) {
    case ROW_SHORT:
        return all ? step_full(walk) : step_short(walk, row);
    case ROW_FULL:
        return step_full(walk);
    case ROW_PLAIN:
        return step_by_pointer(&walk->frame, walk->memory);
    case ROW_SIGNAL:
        return step_by_signal(&walk->frame, walk->memory);
    default:
        return STEP_END;
    }
}

/* Whether a return address leads into code that is loaded. */
static bool is_loaded(const struct walk *walk, uintptr_t pc) {
    struct row row = rows_find(&walk->rows, pc - 1);
    struct code code;
    return row.kind != ROW_NONE ? row.kind != ROW_PLAIN : code_find(pc - 1, &code);
}

/* unwind:fp. A frame pointer that looks like one, and leads to code, is taken at its word; code made at run time is not known,
 * so the tables lead there, and from there a step without tables. At the end of the chain, where code keeps something else in
 * the register, and in our own code, which has none, the tables tell more. */
static bool has_pointer(const struct walk *walk, const struct memo_frame *now, uintptr_t *above, uintptr_t *pc) {
    return tunables.unwind == UNWINDER_FP && !ways_is_own((const void *)now->pc) &&
           step_read_pointer(now->fp, now->sp, walk->memory, above, pc) && *pc != 0 && is_loaded(walk, *pc);
}

static bool frame_has_pointer(const struct walk *walk) {
    const struct arch_frame *frame = &walk->frame;
    struct memo_frame now = {.sp = frame->value[ARCH_SP], .fp = frame->value[ARCH_FP], .pc = frame->pc};
    uintptr_t above, pc;
    return (frame->known & SHORT_KNOWN) == SHORT_KNOWN && has_pointer(walk, &now, &above, &pc);
}

/* All by rows. Returns how many frames there are; *unknown if it had to stop for want of a register. */
static unsigned follow(struct walk *walk, void **frames, unsigned most, bool all, bool *unknown) {
    unsigned count = 0;
    enum step done = STEP_DONE;
    while (count < most && done == STEP_DONE) {
        frames[count++] = (void *)walk->frame.pc;
        if (!all && frame_has_pointer(walk)) {
            done = step_by_pointer(&walk->frame, walk->memory);
            continue;
        }
        struct row row = rows_find(&walk->rows, step_address(&walk->frame));
        if (row.kind == ROW_NONE)
            row = rows_make(&walk->rows, &walk->frame, walk->memory);
        if (count < most)
            done = step_by_row(walk, row, all);
    }
    *unknown = done == STEP_UNKNOWN;
    return count;
}

/* ---- with a memo ------------------------------------------------------------------------------------------------- */

static void make_whole(struct walk *walk, const struct memo_frame *now) {
    if (walk->whole)
        return;
    walk->frame = (struct arch_frame){.pc = now->pc, .known = SHORT_KNOWN, .interrupted = now->interrupted};
    walk->frame.value[ARCH_SP] = now->sp;
    walk->frame.value[ARCH_FP] = now->fp;
    walk->whole = true;
}

static struct memo_frame memo_frame_of(struct walk *walk) {
    const struct arch_frame *frame = &walk->frame;
    walk->plain = (frame->known & SHORT_KNOWN) == SHORT_KNOWN;
    return (struct memo_frame){.sp = frame->value[ARCH_SP], .fp = frame->value[ARCH_FP], .pc = frame->pc,
                               .interrupted = frame->interrupted};
}

/* By a row whose frame is all on the stack. */
static ALWAYS_INLINE enum step step_on_stack(struct walk *walk, struct row row, struct memo_frame *now,
                                             struct memo_frame *next) {
    uintptr_t cfa = cfa_of(row, now->sp, now->fp), ra_at = cfa + (uintptr_t)(row.ra * 8);
    uintptr_t fp_at = cfa + (uintptr_t)(row.fp * 8);
    uintptr_t pc, fp = now->fp;
    if (!stack_memory_read(walk->memory, ra_at, &pc) || (!row.keeps_fp && !stack_memory_read(walk->memory, fp_at, &fp)))
        return STEP_LOST;
    now->by_fp = row.by_fp;
    now->ra_at = ra_at;
    now->fp_at = row.keeps_fp ? 0 : fp_at;
    *next = (struct memo_frame){.sp = cfa, .fp = fp, .pc = arch_return_address(pc)};
    walk->whole = false;
    return next->pc != 0 ? STEP_DONE : STEP_END;
}

static NOINLINE enum step step_other(struct walk *walk, struct row row, struct memo_frame *now, struct memo_frame *next) {
    make_whole(walk, now);
    now->last = row.kind == ROW_END;
    enum step done = step_by_row(walk, row, false);
    *next = memo_frame_of(walk);
    return done;
}

/* One step by the frame pointer, as by a row whose frame is all on the stack. */
static bool step_by_fp(struct walk *walk, struct memo_frame *now, struct memo_frame *next) {
    uintptr_t above, pc;
    if (!walk->plain || !has_pointer(walk, now, &above, &pc))
        return false;
    now->by_fp = true;
    now->fp_at = now->fp;
    now->ra_at = now->fp + 8;
    *next = (struct memo_frame){.sp = now->fp + 16, .fp = above, .pc = pc};
    walk->whole = false;
    walk->memo->gathered++;
    return true;
}

/* One step, which the memo gets to know. */
static ALWAYS_INLINE enum step step(struct walk *walk, struct memo_frame *now, struct memo_frame *next) {
    if (UNLIKELY(tunables.unwind == UNWINDER_FP) && step_by_fp(walk, now, next))
        return STEP_DONE;
    struct row row = rows_find(&walk->rows, now->pc - !now->interrupted);
    if (UNLIKELY(row.kind == ROW_NONE)) {
        make_whole(walk, now);
        row = rows_make(&walk->rows, &walk->frame, walk->memory);
    }
    enum step done = LIKELY(row.kind == ROW_SHORT && !row.in_link && walk->plain) ? step_on_stack(walk, row, now, next)
                                                                                  : step_other(walk, row, now, next);
    if (UNLIKELY(done != STEP_DONE)) /* whatever led there, it has no caller that is known */
        now->ra_at = 0;
    walk->memo->gathered++;
    return done;
}

/* The step that leads from the memo's frame `at` to another caller than the last walk's. */
static enum step step_aside(struct walk *walk, unsigned at, uintptr_t fp) {
    struct memo *memo = walk->memo;
    struct memo_frame *last = &memo->fresh[memo->gathered - 1], *next = last + 1;
    if (last->fp_at != 0)
        fp = *(const uintptr_t *)last->fp_at;
    *next = (struct memo_frame){.sp = memo->sp[at + 1], .fp = fp,
                                .pc = arch_return_address(*(const uintptr_t *)last->ra_at)};
    if (next->pc != 0)
        return STEP_DONE;
    last->ra_at = 0;
    return STEP_END;
}

/* Follows the memo from its frame `at`, which the walk has come to. *same: as far as is wanted. Otherwise the walk goes on at
 * the last frame that was gathered, or stands behind it if it could go one further. */
static unsigned follow_known(struct walk *walk, unsigned *at, void **frames, unsigned most, bool *same, enum step *done) {
    struct memo *memo = walk->memo;
    unsigned from = *at, to = memo_follow(memo, from, most), count = to - from;
    memcpy(frames, &memo->pc[from + 1], count * sizeof *frames);
    *same = count == most || (memo->flags[to] & MEMO_LAST) != 0;
    if (*same || (to == from && memo->ra_at[to] == 0))
        return count;
    uintptr_t fp = memo_fp(memo, from, to, memo->fresh[memo->gathered].fp);
    memo_add_again(memo, from, to);
    walk->whole = false;
    walk->plain = true;
    *at = to;
    if (memo->ra_at[to] != 0 && to + 1 < MEMO_FRAMES) {
        *done = step_aside(walk, to, fp);
        if (*done == STEP_DONE)
            frames[count++] = (void *)memo->fresh[memo->gathered].pc;
    } else {
        memo->fresh[--memo->gathered].fp = fp;
    }
    return count;
}

/* By rows until a frame is met that the last walk had, too, and from there on by that as far as it goes. The frame that the
 * walk begins with is the first of `fresh`. */
static unsigned follow_memo(struct walk *walk, void **frames, unsigned most, bool *unknown) {
    struct memo *memo = walk->memo;
    unsigned at = memo->first, count = 1;
    enum step done = STEP_DONE;
    bool same = false;
    frames[0] = (void *)memo->fresh[0].pc;
    while (done == STEP_DONE && !same) {
        struct memo_frame *now = &memo->fresh[memo->gathered];
        at = memo_find(memo, at, now);
        if (memo_is(memo, at, now)) {
            count += follow_known(walk, &at, frames + count, most - count, &same, &done);
            now = &memo->fresh[memo->gathered];
        }
        if (same || done != STEP_DONE)
            break;
        if (count == most) {
            memo->gathered++;
            at += at < MEMO_FRAMES && memo->sp[at] == now->sp;
            same = true;
        } else {
            done = step(walk, now, now + 1);
            if (done == STEP_DONE)
                frames[count++] = (void *)now[1].pc;
        }
    }
    *unknown = done == STEP_UNKNOWN;
    memo_end(memo, same ? at : MEMO_FRAMES);
    return count;
}

/* Few functions need another register to find their frame. The walk is made again for them, with all registers from the start
 * on. */
static unsigned walk_whole(struct walk *walk, const struct arch_frame *start, void **frames, unsigned most) {
    bool unknown;
    walk->frame = *start;
    return follow(walk, frames, most, true, &unknown);
}

static unsigned walk_from(struct walk *walk, const struct arch_frame *start, void **frames, unsigned most) {
    unsigned count;
    bool unknown;
    walk->frame = *start;
    walk->whole = true;
    if (walk->memo != NULL) {
        walk->memo->fresh[0] = memo_frame_of(walk);
        count = follow_memo(walk, frames, most, &unknown);
    } else {
        count = follow(walk, frames, most, false, &unknown);
    }
    return unknown ? walk_whole(walk, start, frames, most) : count;
}

/* ---- a capture --------------------------------------------------------------------------------------------------- */

/* Takes what can be had for the walk; `memory` is for one without a walker. */
static struct walker *begin(struct walk *walk, struct stack_memory *memory, unsigned most) {
    struct walker *walker = walker_take();
    walk->rows = rows_view();
    walk->memory = walker != NULL ? &walker->memory : memory;
    bool follows = walker != NULL && walk->rows.table != NULL && most <= MEMO_FRAMES && code_is_seen_to_change();
    walk->memo = follows ? &walker->memo : NULL;
    if (walker == NULL)
        *memory = (struct stack_memory){.next = 0};
    if (walk->memo != NULL)
        memo_begin(walk->memo, walk->rows.generation);
    return walker;
}

unsigned unwind_walk(const struct arch_frame *start, void **frames, unsigned most) {
    struct walk walk;
    struct stack_memory memory;
    if (start->pc == 0 || most == 0)
        return 0;
    struct walker *walker = begin(&walk, &memory, most);
    unsigned count = walk_from(&walk, start, frames, most);
    if (walker != NULL)
        walker_let_go(walker);
    return count;
}

/* The walk from the program's frame. 0 if the way there is not known, or another register is needed. */
static unsigned capture_known(struct walk *walk, const struct arch_frame *here, void **frames, unsigned most) {
    bool unknown;
    if (walk->memo == NULL || !ways_leave(here, walk->memory, &walk->memo->fresh[0]))
        return 0;
    walk->whole = false;
    walk->plain = true;
    unsigned count = follow_memo(walk, frames, most, &unknown);
    return unknown ? 0 : count;
}

/* The walk from the capture itself, and without our own frames. */
static unsigned capture_any(const struct arch_frame *here, void **frames, unsigned most) {
    void *all[UNWIND_MOST + WAY_MOST + WAY_MOST];
    unsigned first = 0, count = 0;
    unsigned found = unwind_walk(here, all, (unsigned)min_size(most + WAY_MOST, sizeof all / sizeof *all));
    while (first < found && ways_is_own(all[first]))
        first++;
    for (; first < found && count < most; first++)
        frames[count++] = all[first];
    return count;
}

static unsigned capture(const struct arch_frame *here, void **frames, unsigned most) {
    struct walk walk;
    struct stack_memory memory;
    struct walker *walker = begin(&walk, &memory, most);
    unsigned count = capture_known(&walk, here, frames, most);
    if (UNLIKELY(count == 0) && walk.memo != NULL)
        ways_learn(here, &walk.rows, walk.memory);
    if (walker != NULL)
        walker_let_go(walker);
    return LIKELY(count != 0) ? count : capture_any(here, frames, most);
}

/* The loader allocates before it maps a library. */
static void look_for_loader(const void *innermost) {
    if (UNLIKELY(code_is_loader((uintptr_t)innermost)))
        code_changes();
}

__attribute__((section(OWN_SECTION))) NOINLINE unsigned unwind_capture(void **frames, unsigned most, unsigned skip) {
    void *skipped[UNWIND_MOST + WAY_MOST];
    struct arch_frame here;
    arch_frame_here(&here);
    most = (unsigned)min_size(min_size(most, UNWIND_MOST), tunables.stack_depth);
    skip = (unsigned)min_size(skip, WAY_MOST);
    if (most == 0)
        return 0;
    void **into = skip == 0 ? frames : skipped;
    unsigned count = capture(&here, into, most + skip);
    if (count > 0)
        look_for_loader(into[0]);
    if (LIKELY(skip == 0))
        return count;
    count = count > skip ? count - skip : 0;
    memcpy(frames, skipped + skip, count * sizeof *frames);
    return count;
}

/* ---- what a signal has interrupted ------------------------------------------------------------------------------- */

static bool is_code(uintptr_t pc) {
    struct code code;
    return code_find(pc - 1, &code);
}

/* From an address that is no code to who called or jumped there. Where the stack's top is no return address, because a damaged
 * one led there or the last jump of a function, the frame pointer may still be that of a caller. */
static bool leave_bad_code(struct arch_frame *frame, struct stack_memory *memory) {
    struct arch_frame start = *frame;
    if (step_by_call(frame, memory) == STEP_DONE && is_code(frame->pc))
        return true;
    *frame = start;
    return step_by_pointer(frame, memory) == STEP_DONE && is_code(frame->pc);
}

/* What walkers remember of readable memory is not asked: the stack itself may be what was freed. */
unsigned unwind_interrupted(const void *context, bool jumped, void **frames, unsigned most) {
    struct stack_memory memory = {.next = 0};
    struct walk walk = {.rows = rows_view(), .memory = &memory};
    struct arch_frame start;
    arch_frame_of_signal(&start, context);
    most = (unsigned)min_size(min_size(most, UNWIND_MOST), tunables.stack_depth);
    if (most == 0 || !ARCH_UNWINDS)
        return 0;
    frames[0] = (void *)(start.pc + 1);
    if (!jumped) {
        unsigned count = walk_from(&walk, &start, frames, most);
        frames[0] = (void *)(start.pc + 1);
        return count;
    }
    return most > 1 && leave_bad_code(&start, &memory) ? 1 + walk_from(&walk, &start, frames + 1, most - 1) : 1;
}

void unwind_prepare(void) {
    code_changes();
    code_prepare();
}
