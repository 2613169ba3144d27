/* SPDX-License-Identifier: MIT */
/*
 * glibc's mcheck family: glibc manual, "Heap Consistency Checking". mcheck() must come before the first
 * malloc there, and fails otherwise, which it does in every program whose libraries allocate before main. Here it may
 * come at any time: blocks from before are told from the others, and left unchecked.
 */
#include "base/base.h"
#include "base/glibc.h"
#include "base/myalloc.h"
#include "heap/mode_switch.h"
#include "callers/unwind.h"
#include "protect/check.h"
#include "protect/judge.h"
#include "protect/protections.h"
#include "process/background.h"
#include "process/mode_start.h"
#include "process/verify.h"

static int start(void (*function)(enum mcheck_status), bool pedantic) {
    unwind_prepare();
    check_set_handler(function, pedantic);
    mode_start();
    mode_switch_on(MODE_CHECK);
    return 0;
}

EXPORT int mcheck(void (*function)(enum mcheck_status)) {
    return start(function, false);
}

EXPORT int mcheck_pedantic(void (*function)(enum mcheck_status)) {
    return start(function, true);
}

EXPORT void mcheck_check_all(void) {
    protections_check("mcheck_check_all");
}

/* MCHECK_DISABLED also for a block from before mcheck(): nothing is known of what lies around it. */
EXPORT enum mcheck_status mprobe(void *p) {
    const struct protection *row = protections_serve_all() ? protections_of(p) : NULL;
    return row != NULL ? judge_probe(row, p, "mprobe") : MCHECK_DISABLED;
}

EXPORT int myalloc_check_heap(void) {
    background_answer(); /* a debugger may call this for it */
    return verify_heap() == 0 ? 0 : -1;
}
