/* SPDX-License-Identifier: MIT */
/*
 * A thread's last walk. Most of a stack is the same from one capture to the next: a frame with the same stack pointer that goes
 * on at the same address has its return address in the same place, and the frame above it is the same one if that place holds
 * the same address. So of a frame that is known only what it stores is read again, and no row is looked up.
 *
 * M1 a walk that follows the memo finds what a walk without it would: every return address is read from the stack, and a frame
 *    is taken only if the frame pointer, where its rule or one further out needs it, is what it was. What was known of code is
 *    the same (generation).
 */
#ifndef MYALLOC_MEMO_H
#define MYALLOC_MEMO_H

#include "base/arch_frame.h"

#define MEMO_FRAMES 64

/* A frame of the walk that is being made. */
struct memo_frame {
    uintptr_t sp, fp, pc;
    uintptr_t ra_at, fp_at; /* where the caller's address and frame pointer are stored; 0: must be found each time; kept */
    bool by_fp;             /* the rule needs the frame pointer */
    bool interrupted;       /* as in struct arch_frame */
    bool last;              /* there is no caller */
};

/* The frames from `first` on, innermost first: what is read of most of them lies close together. Those of a walk are
 * gathered in `fresh` and put in front of what they lead to. */
struct memo {
    uint64_t generation; /* of code; rows.h */
    unsigned first, gathered;
    uintptr_t sp[MEMO_FRAMES + 1], pc[MEMO_FRAMES + 1], ra_at[MEMO_FRAMES + 1], fp[MEMO_FRAMES + 1], fp_at[MEMO_FRAMES + 1];
    uint8_t flags[MEMO_FRAMES + 1];
    struct memo_frame fresh[MEMO_FRAMES];
};

enum { MEMO_BY_FP = 1, MEMO_INTERRUPTED = 2, MEMO_LAST = 4, MEMO_NEEDS_FP = 8 };

/* Begins a walk. */
void memo_begin(struct memo *memo, uint64_t generation);

/* The first frame at or behind `from` that is not further in than `now`: where to look for the next one. */
static inline unsigned memo_find(const struct memo *memo, unsigned from, const struct memo_frame *now) {
    while (from < MEMO_FRAMES && memo->sp[from] < now->sp)
        from++;
    return from;
}

/* True if that is the frame, at the same place in its function. */
static inline bool memo_is(const struct memo *memo, unsigned at, const struct memo_frame *now) {
    return at < MEMO_FRAMES && memo->sp[at] == now->sp && memo->pc[at] == now->pc &&
           !(memo->flags[at] & MEMO_INTERRUPTED) == !now->interrupted &&
           (!(memo->flags[at] & MEMO_NEEDS_FP) || memo->fp[at] == now->fp);
}

/* Follows the memo from its frame `at`, which memo_is says, over at most `most` callers, all of which are what they were.
 * Returns the last frame that is. */
unsigned memo_follow(const struct memo *memo, unsigned at, unsigned most);

/* The frame pointer in the frame `to`, which the memo was followed to from `from`, where it was `fp`. */
uintptr_t memo_fp(const struct memo *memo, unsigned from, unsigned to, uintptr_t fp);

/* Adds the frames of the memo from `from` to `to` to those of the walk. */
void memo_add_again(struct memo *memo, unsigned from, unsigned to);

/* Ends a walk. `at`: the frame of the memo behind those that were gathered; MEMO_FRAMES if there is none. */
void memo_end(struct memo *memo, unsigned at);

#endif
