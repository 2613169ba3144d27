/* SPDX-License-Identifier: MIT */
#include "world.h"

#include "cache.h"
#include "central.h"
#include "check.h"
#include "guard.h"
#include "harden.h"
#include "large.h"
#include "leaks.h"
#include "lock.h"
#include "region.h"
#include "span.h"
#include "stacks.h"
#include "trace.h"
#include "watch.h"

void world_stop(void) {
    watch_fork_acquire();
    check_fork_acquire();
    cache_fork_acquire();
    central_fork_acquire();
    span_fork_acquire();
    large_fork_acquire();
    harden_fork_acquire();
    guard_fork_acquire();
    region_fork_acquire();
    stacks_fork_acquire();
    leaks_fork_acquire();
    trace_fork_acquire();
    lock_fork_begin();
}

void world_go(void) {
    lock_fork_end();
    trace_fork_release();
    leaks_fork_release();
    stacks_fork_release();
    region_fork_release();
    guard_fork_release();
    harden_fork_release();
    large_fork_release();
    span_fork_release();
    central_fork_release();
    cache_fork_release();
    check_fork_release();
    watch_fork_release();
}

void world_begin(void) {
    cache_fork_reset();
    large_fork_reset();
    harden_fork_reset();
    guard_fork_reset();
    span_fork_reset();
    central_fork_reset();
    region_fork_reset();
    stacks_fork_reset();
    leaks_fork_reset();
    check_fork_reset();
    watch_fork_reset();
    lock_fork_end();
}
