/* SPDX-License-Identifier: MIT */
/*
 * glibc's mcheck family (rank 28): glibc manual, "Heap Consistency Checking". mcheck() must come before the first
 * malloc there, and fails otherwise, which it does in every program whose libraries allocate before main. Here it may
 * come at any time: blocks from before are told from the others, and left unchecked.
 */
#include "backtrace.h"
#include "base.h"
#include "check.h"
#include "front.h"
#include "glibc.h"
#include "harden.h"
#include "myalloc.h"
#include "verify.h"
#include "watch.h"

static int start(void (*function)(enum mcheck_status), bool pedantic) {
    backtrace_prepare();
    check_set_handler(function, pedantic);
    watch_start();
    watch_on(WATCH_CHECK);
    return 0;
}

EXPORT int mcheck(void (*function)(enum mcheck_status)) {
    return start(function, false);
}

EXPORT int mcheck_pedantic(void (*function)(enum mcheck_status)) {
    return start(function, true);
}

EXPORT void mcheck_check_all(void) {
    if (watch_has(WATCH_CHECK | WATCH_HARDEN))
        check_all("mcheck_check_all");
}

/* MCHECK_DISABLED also for a block from before mcheck(): nothing is known of what lies around it. */
EXPORT enum mcheck_status mprobe(void *p) {
    enum mcheck_status status = MCHECK_DISABLED;
    if (watch_has(WATCH_HARDEN) && (harden_owns(p) || (front_raw_start(p) != p && !watch_has(WATCH_CHECK))))
        return harden_probe(p, "mprobe");
    if (!watch_has(WATCH_CHECK) || check_probe(p, "mprobe", &status) == CHECK_DONE)
        return status;
    if (front_raw_start(p) == p && !check_holds(p))
        return MCHECK_DISABLED;
    check_invalid(p, "mprobe");
    return MCHECK_HEAD;
}

EXPORT int myalloc_check_heap(void) {
    return verify_heap() == 0 ? 0 : -1;
}
