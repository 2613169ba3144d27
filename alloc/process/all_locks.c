/* SPDX-License-Identifier: MIT */
#include "process/all_locks.h"

#include "kit/lock.h"
#include "heap/cache.h"
#include "heap/central.h"
#include "heap/mapped.h"
#include "heap/mode_switch.h"
#include "heap/region.h"
#include "heap/span.h"
#include "callers/stacks.h"
#include "protect/check.h"
#include "protect/guarded.h"
#include "protect/hardened.h"
#include "observe/leaks.h"
#include "observe/trace.h"

void all_locks_acquire(void) {
    mode_switch_fork_acquire();
    check_fork_acquire();
    cache_fork_acquire();
    central_fork_acquire();
    span_fork_acquire();
    mapped_fork_acquire();
    hardened_fork_acquire();
    guarded_fork_acquire();
    region_fork_acquire();
    stacks_fork_acquire();
    leaks_fork_acquire();
    trace_fork_acquire();
    lock_fork_begin();
}

void all_locks_release(void) {
    lock_fork_end();
    trace_fork_release();
    leaks_fork_release();
    stacks_fork_release();
    region_fork_release();
    guarded_fork_release();
    hardened_fork_release();
    mapped_fork_release();
    span_fork_release();
    central_fork_release();
    cache_fork_release();
    check_fork_release();
    mode_switch_fork_release();
}

void all_locks_reset(void) {
    cache_fork_reset();
    mapped_fork_reset();
    hardened_fork_reset();
    guarded_fork_reset();
    span_fork_reset();
    central_fork_reset();
    region_fork_reset();
    stacks_fork_reset();
    leaks_fork_reset();
    check_fork_reset();
    mode_switch_fork_reset();
    lock_fork_end();
}
