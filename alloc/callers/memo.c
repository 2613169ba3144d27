/* SPDX-License-Identifier: MIT */
#include "callers/memo.h"

#include <string.h>

#define ROOM_IN_FRONT (MEMO_FRAMES / 4) /* left where frames are moved, so that they are not moved by the next walk as well */

void memo_begin(struct memo *memo, uint64_t generation) {
    memo->gathered = 0;
    if (UNLIKELY(memo->generation != generation || memo->first == 0)) {
        memo->first = MEMO_FRAMES;
        memo->generation = generation;
    }
}

/* A frame whose caller must be found each time ends it, and so does the end of the memo, where that is 0. */
unsigned memo_follow(const struct memo *memo, unsigned at, unsigned most) {
    for (; most > 0 && memo->ra_at[at] != 0; most--, at++) {
        if (arch_return_address(*(const uintptr_t *)memo->ra_at[at]) != memo->pc[at + 1])
            break;
        if (UNLIKELY((memo->flags[at + 1] & MEMO_NEEDS_FP) != 0 && memo->fp_at[at] != 0 &&
                     *(const uintptr_t *)memo->fp_at[at] != memo->fp[at + 1]))
            break;
    }
    return at;
}

uintptr_t memo_fp(const struct memo *memo, unsigned from, unsigned to, uintptr_t fp) {
    while (to-- > from)
        if (memo->fp_at[to] != 0)
            return *(const uintptr_t *)memo->fp_at[to];
    return fp;
}

static struct memo_frame frame_at(const struct memo *memo, unsigned at) {
    return (struct memo_frame){memo->sp[at], memo->fp[at], memo->pc[at], memo->ra_at[at], memo->fp_at[at],
                               (memo->flags[at] & MEMO_BY_FP) != 0, (memo->flags[at] & MEMO_INTERRUPTED) != 0,
                               (memo->flags[at] & MEMO_LAST) != 0};
}

void memo_add_again(struct memo *memo, unsigned from, unsigned to) {
    for (; from <= to && memo->gathered < MEMO_FRAMES; from++)
        memo->fresh[memo->gathered++] = frame_at(memo, from);
}

/* Whether the frame pointer must be what it was for this frame, or for one further out to which it is kept. */
static bool needs_fp(const struct memo *memo, unsigned at, const struct memo_frame *frame) {
    return frame->by_fp || (frame->ra_at != 0 && frame->fp_at == 0 && (memo->flags[at + 1] & MEMO_NEEDS_FP) != 0);
}

static void put(struct memo *memo, unsigned at, const struct memo_frame *frame) {
    memo->sp[at] = frame->sp;
    memo->pc[at] = frame->pc;
    memo->fp[at] = frame->fp;
    memo->ra_at[at] = frame->ra_at;
    memo->fp_at[at] = frame->fp_at;
    memo->flags[at] = (uint8_t)(MEMO_BY_FP * frame->by_fp | MEMO_INTERRUPTED * frame->interrupted | MEMO_LAST * frame->last |
                                MEMO_NEEDS_FP * needs_fp(memo, at, frame));
}

static void move(struct memo *memo, unsigned to, unsigned from, unsigned count) {
    memmove(&memo->sp[to], &memo->sp[from], count * sizeof *memo->sp);
    memmove(&memo->pc[to], &memo->pc[from], count * sizeof *memo->pc);
    memmove(&memo->fp[to], &memo->fp[from], count * sizeof *memo->fp);
    memmove(&memo->ra_at[to], &memo->ra_at[from], count * sizeof *memo->ra_at);
    memmove(&memo->fp_at[to], &memo->fp_at[from], count * sizeof *memo->fp_at);
    memmove(&memo->flags[to], &memo->flags[from], count);
}

/* Where there is no room in front, the outermost frames are forgotten. */
void memo_end(struct memo *memo, unsigned at) {
    unsigned gathered = memo->gathered;
    if (UNLIKELY(gathered > at)) {
        unsigned room = MEMO_FRAMES - gathered;
        room -= room > ROOM_IN_FRONT ? ROOM_IN_FRONT : 0;
        unsigned behind = MEMO_FRAMES - at, kept = behind < room ? behind : room;
        move(memo, MEMO_FRAMES - kept, at, kept);
        if (kept > 0 && kept < behind)
            memo->ra_at[MEMO_FRAMES - 1] = 0;
        at = MEMO_FRAMES - kept;
    }
    memo->first = at - gathered;
    while (gathered-- > 0)
        put(memo, memo->first + gathered, &memo->fresh[gathered]);
}
