/* SPDX-License-Identifier: MIT */
#include "process/verify.h"

#include <stdatomic.h>

#include "base/glibc.h"
#include "os/os.h"
#include "kit/lock.h"
#include "heap/aside.h"
#include "heap/cache.h"
#include "heap/central.h"
#include "heap/mapped.h"
#include "heap/slab.h"
#include "heap/span.h"
#include "protect/protections.h"
#include "observe/profile_table.h"
#include "observe/stats.h"
#include "process/all_locks.h"

#define CALLS_BETWEEN 10000 /* slow calls from one walk to the next, */
#define CALLS_A_UNIT 16 /* or this many for each unit of the heap, so that walking takes a bounded part of the time */

static void walk_sum(struct walk *walk) {
    static struct stats stats BIG_TABLE;
    stats_read(&stats);
    report_walk(walk, stats.live + stats.cached + stats.free + stats.metadata == stats.taken, "stats N1", &stats);
}

size_t verify_heap(void) {
    struct walk walk = {0};
    if (lock_is_forking() || aside_is_on()) /* in a handler of the program, between ours */
        return 0;
    bool alone = __libc_single_threaded;
    uint64_t before = all_locks_acquire();
    span_walk(&walk);
    if (walk.broken == 0) { /* the others find their way by the spans */
        central_walk(&walk);
        slab_walk(&walk);
        cache_walk(&walk);
        mapped_walk(&walk);
        protections_walk(&walk);
        profile_table_walk(&walk);
        if (alone)
            walk_sum(&walk);
    }
    all_locks_release(before);
    return walk.broken;
}

void verify_slow(void) {
    static _Atomic size_t calls;
    static _Atomic bool walking;
    size_t units = span_totals.free + span_totals.small + span_totals.large;
    if (atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) < CALLS_BETWEEN + units * CALLS_A_UNIT ||
        atomic_exchange(&walking, true))
        return;
    atomic_store(&calls, 0);
    if (verify_heap() > 0)
        os_abort();
    atomic_store(&walking, false);
}
