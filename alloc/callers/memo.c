/* SPDX-License-Identifier: MIT */
#include "callers/memo.h"

#include <string.h>

void memo_begin(struct memo *memo, uint64_t generation) {
    memo->gathered = 0;
    if (UNLIKELY(memo->generation != generation || memo->first == 0)) {
        memo->first = MEMO_FRAMES;
        memo->generation = generation;
    }
}

unsigned memo_follow(struct memo *memo, unsigned at, struct arch_frame *frame, void **frames, unsigned *count, unsigned most) {
    const struct memo_frame *known = &memo->frames[at];
    uintptr_t fp = frame->value[ARCH_FP], pc = frame->pc;
    unsigned found = *count;
    for (; found < most && known->ra_at != 0 && (!known->by_fp || known->fp == fp); known++) {
        pc = arch_return_address(*(const uintptr_t *)known->ra_at);
        if (pc == 0)
            break;
        if (known->fp_at != 0)
            fp = *(const uintptr_t *)known->fp_at;
        frames[found++] = (void *)pc;
        if (UNLIKELY(pc != known[1].pc)) {
            known++;
            break;
        }
    }
    if (found > *count) {
        frame->value[ARCH_SP] = known->sp;
        frame->value[ARCH_FP] = fp;
        frame->pc = (uintptr_t)frames[found - 1];
        frame->known = UINT64_C(1) << ARCH_FP | UINT64_C(1) << ARCH_SP;
        frame->interrupted = false;
    }
    *count = found;
    return (unsigned)(known - memo->frames);
}

void memo_add_again(struct memo *memo, unsigned from, unsigned to) {
    for (; from < to; from++)
        memo_add(memo, &memo->frames[from]);
}

/* Where there is no room in front, the outermost frames are forgotten. */
void memo_end(struct memo *memo, unsigned at) {
    unsigned behind = MEMO_FRAMES - at, kept = behind < MEMO_FRAMES - memo->gathered ? behind : MEMO_FRAMES - memo->gathered;
    if (memo->gathered > at) {
        memmove(&memo->frames[MEMO_FRAMES - kept], &memo->frames[at], kept * sizeof *memo->frames);
        if (kept > 0 && kept < behind)
            memo->frames[MEMO_FRAMES - 1].ra_at = 0;
        at = MEMO_FRAMES - kept;
    }
    memo->first = at - memo->gathered;
    memcpy(&memo->frames[memo->first], memo->fresh, memo->gathered * sizeof *memo->fresh);
}
