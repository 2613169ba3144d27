/* SPDX-License-Identifier: MIT */
#include "protect/hardened.h"

#include <stdatomic.h>

#include "kit/report.h"
#include "protect/fault.h"
#include "protect/hardened_mapped.h"
#include "protect/hardened_slab.h"

/* A second thread, or a signal handler, that comes in the middle of the first one's start does not wait: its blocks are
 * checked until the first is done. */
bool hardened_start(void) {
    static _Atomic bool begun;
    if (atomic_exchange(&begun, true))
        return range_plan != NULL;
    fault_mask_handler();
    bool done = hardened_mapped_start() && ranges_start();
    if (!done)
        report_line("protect:paranoid: address space for hardened blocks is refused; blocks are checked instead, as by "
                    "check:3");
    return done;
}
