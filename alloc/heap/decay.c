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
static struct turn stepping;            /* the above but due_at are of the thread that is at it */

uint64_t decay_period_ms(void) {
    return max_size(tunables.background ? tunables.decay_ms / 2 : tunables.decay_ms * 2 / 3, 1);
}

static void step(uint64_t now) {
    if (tunables_trim_never()) {
        atomic_store_explicit(&due_at, UINT64_MAX, memory_order_relaxed); /* until decay_changed */
        return;
    }
    size_t steps = min_size((now - atomic_load_explicit(&due_at, memory_order_relaxed)) / STEP_MS + 1, STEPS_MOST);
    if (span_was_silent(now) || sweep.over) {
        sweep = (struct sweep){0};
        began_at = now;
        span_shelf_age();
    }
    span_trim(span_sweep(&sweep, (struct sweep_bound){steps * STEP_CALLS, steps * STEP_BYTES}));
    uint64_t next = now + min_size(STEP_MS, decay_period_ms());
    atomic_store_explicit(&due_at, sweep.over ? max_size(began_at + decay_period_ms(), next) : next, memory_order_relaxed);
}

void decay_look_slow(uint64_t now) {
    if (LIKELY(now < atomic_load_explicit(&due_at, memory_order_relaxed)) || !turn_try(&stepping))
        return;
    if (now >= atomic_load_explicit(&due_at, memory_order_relaxed)) /* and not another thread's step in between */
        step(now);
    turn_end(&stepping);
}

void decay_changed(void) {
    if (tunables.decay_ms == 0) /* what is freed from now on goes at once, from the page heap */
        span_shelf_close();
    atomic_store_explicit(&due_at, 0, memory_order_relaxed);
}

uint64_t decay_due(void) {
    return decay_has_work() ? atomic_load_explicit(&due_at, memory_order_relaxed) : UINT64_MAX;
}

static void forked(void) {
    turn_forked(&stepping);
}

const struct lock_set decay_locks = {.rank = LOCK_NONE, .forked = forked};
