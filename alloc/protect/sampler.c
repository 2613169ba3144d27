/* SPDX-License-Identifier: MIT */
#include "protect/sampler.h"

#include "base/exponential.h"
#include "os/os.h"
#include "kit/tunables.h"

/* A guarded block costs 13 us where nothing else runs and stacks are short, several times that in a compiler: two call
 * stacks, two system calls, a page fault. One in 8 ms takes 0.16 % of the time then. */
#define EACH_MS 8
#define SAVED_MS 128      /* so much time that no sample was taken in can be made up for later: 16 samples at once */
#define UNBOUND 100       /* intervals below this are taken at their word, whatever they cost */
#define CALLS_A_MS 100    /* allocations that a thread is thought to make in a ms where its lists serve them unseen */

/* In ms, by the clock and in the processor time of the process: each sample adds EACH_MS, and is refused while that is ahead of
 * the time. */
static _Atomic uint64_t clock_paid, process_paid;

THREAD_LOCAL struct sampler sampler_self;
_Atomic bool sampler_takes_all;

static _Atomic uint32_t seeds; /* drawn by this process and those it was forked from */

/* Without the kernel's random numbers: whoever guesses which allocations are sampled gains nothing by it. */
static void seed(void) {
    sampler_self.random = exponential_seed(os_clock_us() ^ (uintptr_t)&sampler_self, seeds++) | 1;
}

uint64_t sampler_draw(void) {
    if (sampler_self.random == 0)
        seed();
    return exponential_random(&sampler_self.random);
}

void sampler_forked(void) {
    if (sampler_self.random != 0)
        seed();
}

/* Uniform from 1 to twice the interval less 1, so that the mean is the interval. Allocations that were counted beyond the last
 * turn are taken off the next, but not more of them than one interval. */
void sampler_done(void) {
    int64_t interval = (int64_t)tunables.sample_interval;
    int64_t left = sampler_self.left < -interval ? -interval : sampler_self.left;
    sampler_self.left = left + 1 + (int64_t)(sampler_draw() % (uint64_t)(2 * interval - 1));
    sampler_self.due = sampler_self.passed_on = false;
}

/* Pays for one sample; false if the time until `now` is spent. */
static bool spend(_Atomic uint64_t *paid, uint64_t now) {
    uint64_t until = atomic_load_explicit(paid, memory_order_relaxed), from;
    do {
        from = until + SAVED_MS < now ? now - SAVED_MS : until;
        if (from > now)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(paid, &until, from + EACH_MS, memory_order_relaxed, memory_order_relaxed));
    return true;
}

/* By the count or by the time. The clock is cheap to ask, a read in the vDSO, and is asked first; the processor time is a
 * system call. A process starts with SAVED_MS of it, so that a short program has samples too. */
static bool falls_due(void) {
    if (tunables.sample_interval < UNBOUND)
        return sampler_self.left <= 0;
    uint64_t now = os_clock_ms();
    if (sampler_self.left > 0 && (uint32_t)now - sampler_self.since < tunables.sample_interval / CALLS_A_MS)
        return false;
    sampler_self.since = (uint32_t)now;
    if (spend(&clock_paid, now) && spend(&process_paid, SAVED_MS + os_process_ms()))
        return true;
    sampler_done();
    return false;
}

COLD bool sampler_is_due_slow(void) {
    if (!sampler_self.begun) {
        sampler_self.begun = true;
        sampler_done();
        sampler_self.since = (uint32_t)os_clock_ms();
    }
    if (!sampler_self.due)
        sampler_self.due = falls_due();
    if (sampler_self.due && sampler_self.left > 0)
        sampler_self.left = 0;
    return sampler_self.due || sampler_takes_all;
}

bool sampler_passes_on(void) {
    if (!sampler_self.due || sampler_self.passed_on || tunables.sample_interval < UNBOUND)
        return false;
    sampler_self.passed_on = true;
    return sampler_draw() >> 63;
}
