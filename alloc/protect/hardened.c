/* SPDX-License-Identifier: MIT */
#include "protect/hardened.h"

#include <stdatomic.h>

#include "kit/lock.h"
#include "kit/report.h"
#include "protect/fault.h"
#include "protect/hardened_mapped.h"
#include "protect/hardened_slab.h"

static _Atomic(const void *) beginner; /* lock_self() of the thread that starts hardened blocks, or has started them */

/* A second thread, or a signal handler, that comes in the middle of the first one's start does not wait: its blocks are
 * checked until the first is done. */
bool hardened_start(void) {
    const void *nobody = NULL;
    if (!atomic_compare_exchange_strong(&beginner, &nobody, lock_self()))
        return range_plan != NULL;
    fault_mask_handler();
    bool done = hardened_mapped_start() && ranges_start();
    if (!done)
        report_line("protect:paranoid: address space for hardened blocks is refused; blocks are checked instead, as by "
                    "check:3");
    return done;
}

/* A start that was under way in a thread which is gone begins anew. What that has reserved is lost. */
static void forked(void) {
    if (range_plan == NULL && beginner != lock_self())
        beginner = NULL;
}

const struct lock_set hardened_locks = {.rank = LOCK_NONE, .forked = forked};
