/* SPDX-License-Identifier: MIT */
#include "heap/decay.h"

#include "os/os.h"
#include "kit/tunables.h"
#include "heap/span.h"
#include "heap/span_sweep.h"

#define STEP_MS 10
#define STEP_BYTES (16 * MIB) /* the kernel takes 0.15 us for a page, and 1 us for a call */
#define STEP_CALLS 256
#define STEPS_MOST 64         /* that are made up for at once, where nobody came by when they were due */

static struct sweep sweep = {.over = true};
static uint64_t began_at;               /* when the sweep began, ms */
static _Atomic uint64_t due_at;         /* when the next step is due, ms */
static _Atomic(const void *) stepping;  /* lock_self() of the thread that is in a step: the above but due_at are its own */

/* Between the starts of two sweeps. */
static uint64_t period_ms(void) {
    return max_size(tunables.background ? tunables.decay_ms / 2 : tunables.decay_ms * 2 / 3, 1);
}

static void step(uint64_t now) {
    size_t steps = min_size((now - atomic_load_explicit(&due_at, memory_order_relaxed)) / STEP_MS + 1, STEPS_MOST);
    if (sweep.over) {
        sweep = (struct sweep){0};
        began_at = now;
    }
    sweep.all |= span_was_silent(now);
    span_trim(span_sweep(&sweep, (struct sweep_bound){steps * STEP_CALLS, steps * STEP_BYTES}));
    uint64_t next = now + min_size(STEP_MS, period_ms());
    atomic_store_explicit(&due_at, sweep.over ? max_size(began_at + period_ms(), next) : next, memory_order_relaxed);
}

void decay_look_slow(uint64_t now) {
    const void *nobody = NULL;
    if (LIKELY(now < atomic_load_explicit(&due_at, memory_order_relaxed)) ||
        !atomic_compare_exchange_strong_explicit(&stepping, &nobody, lock_self(), memory_order_acquire, memory_order_relaxed))
        return;
    if (now >= atomic_load_explicit(&due_at, memory_order_relaxed)) /* and not another thread's step in between */
        step(now);
    atomic_store_explicit(&stepping, NULL, memory_order_release);
}

uint64_t decay_due(void) {
    return decay_has_work() ? atomic_load_explicit(&due_at, memory_order_relaxed) : UINT64_MAX;
}

/* In a child the thread that was in a step may be gone. */
static void forked(void) {
    if (atomic_load_explicit(&stepping, memory_order_relaxed) != lock_self())
        atomic_store_explicit(&stepping, NULL, memory_order_relaxed);
}

const struct lock_set decay_locks = {.rank = LOCK_NONE, .forked = forked};
