/* SPDX-License-Identifier: MIT */
/*
 * A thread's last walk. Most of a stack is the same from one capture to the next: a frame with the same stack pointer that goes
 * on at the same address has its return address in the same place, and the frame above it is the same one if that place holds
 * the same address. So of a frame that is known only what it stores is read again, and no row is looked up.
 *
 * M1 a walk that follows the memo finds what a walk without it would: every return address is read from the stack, and a frame
 *    whose rule needs the frame pointer is taken only if that is what it was. What was known of code is the same (generation).
 */
#ifndef MYALLOC_MEMO_H
#define MYALLOC_MEMO_H

#include "base/arch_frame.h"

#define MEMO_FRAMES 64

struct memo_frame {
    uintptr_t sp, fp, pc;
    uintptr_t ra_at, fp_at; /* where the caller's address and frame pointer are stored; 0: must be found each time; kept */
    bool by_fp;             /* the rule needs the frame pointer */
    bool interrupted;       /* as in struct arch_frame */
    bool last;              /* there is no caller */
};

/* The frames from `first` on, innermost first. Those of a walk are gathered in `fresh` and put in front of what they lead
 * to. */
struct memo {
    uint64_t generation; /* of code; rows.h */
    unsigned first, gathered;
    struct memo_frame frames[MEMO_FRAMES], fresh[MEMO_FRAMES];
};

/* Begins a walk. */
void memo_begin(struct memo *memo, uint64_t generation);

/* Adds a frame of this walk. */
static inline void memo_add(struct memo *memo, const struct memo_frame *frame) {
    if (memo->gathered < MEMO_FRAMES)
        memo->fresh[memo->gathered++] = *frame;
}

/* The first frame at or behind `from` that is not further in than `frame`: where to look for the next one. *same: it is that
 * frame. */
static inline unsigned memo_find(const struct memo *memo, unsigned from, const struct arch_frame *frame, bool *same) {
    uintptr_t sp = frame->value[ARCH_SP];
    while (from < MEMO_FRAMES && memo->frames[from].sp < sp)
        from++;
    *same = from < MEMO_FRAMES && memo->frames[from].sp == sp && memo->frames[from].pc == frame->pc &&
            memo->frames[from].interrupted == frame->interrupted;
    return from;
}

/* Follows the memo from its frame `at`, which is `frame`, and adds the frames that come after it to those that are found
 * already. Returns how far it came; `frame` is then the last of them, which is that of the memo there, or has its stack
 * pointer. */
unsigned memo_follow(struct memo *memo, unsigned at, struct arch_frame *frame, void **frames, unsigned *count, unsigned most);

/* Adds the frames of the memo from `from` to before `to`, which the walk has found again. */
void memo_add_again(struct memo *memo, unsigned from, unsigned to);

/* Ends a walk. `at`: the frame of the memo behind those that were gathered; MEMO_FRAMES if there is none. */
void memo_end(struct memo *memo, unsigned at);

#endif
