/* SPDX-License-Identifier: MIT */
/*
 * The sampler: which allocations get a guarded page (guarded.h). Each thread counts its allocations down from a random number
 * whose mean is tunables.sample_interval; at 0 the next one is due. Two things correct that count:
 *  - Time stands for allocations that are not seen: a program that frees what it has just allocated may hardly ever find one of
 *    its lists empty, and only calls that do come here. So one is also due when 10 us times the interval have passed.
 *  - Time bounds what guarded pages cost: there is at most one in 8 ms, of all threads together, both by the clock and by the
 *    processor time of the process, unless the interval is below 100.
 *
 * State is each thread's own, but for the two times until which the samples given out are paid for. No locks.
 */
#ifndef MYALLOC_SAMPLER_H
#define MYALLOC_SAMPLER_H

#include <stdatomic.h>

#include "base/base.h"

#define SAMPLER_LOOK 16 /* calls from one look at the clock to the next */

/* A thread's way to its next sample. */
struct sampler {
    int64_t left;    /* allocations until the next; not above 0 while one is due */
    uint64_t random; /* state of the generator; 0: not seeded */
    uint32_t since;  /* the low bits of the clock in ms: when the last one fell due */
    unsigned calls;
    bool begun, due, passed_on;
};
extern HIDDEN THREAD_LOCAL struct sampler sampler_self;

/* While set, every allocation is due: under protect:paranoid, as long as some slots were never used. Written by guarded.c. */
extern HIDDEN _Atomic bool sampler_takes_all;

bool sampler_is_due_slow(void);

/* True if this allocation is due. `allocations`: how many this thread made since its last call here, this one included. A
 * sample that is due stays so until sampler_done. */
static inline bool sampler_is_due(size_t allocations) {
    sampler_self.left -= (int64_t)allocations;
    if (LIKELY(sampler_self.left > 0 && ++sampler_self.calls % SAMPLER_LOOK != 0))
        return atomic_load_explicit(&sampler_takes_all, memory_order_relaxed);
    return sampler_is_due_slow();
}

/* The sample that was due has been taken, or cannot be: the thread begins to count anew. */
void sampler_done(void);

/* Whether the sample that is due shall rather go to an allocation that one of the thread's lists would serve: true in half of
 * the cases, asked once a sample. The caller takes a list away, so that such an allocation comes here; the sample stays due. */
bool sampler_passes_on(void);

/* A number that is different each time; it can be guessed. */
uint64_t sampler_draw(void);

/* In the child of a fork: its numbers are not its parent's. */
void sampler_forked(void);

#endif
