/* SPDX-License-Identifier: MIT */
/*
 * Which modes are on. A mode is something that must see every call of malloc and free: the checks, the fills, the log of
 * mtrace, the record of leaks, the event ring, hardened blocks. (MODE_GUARDED and MODE_PROFILE must see some calls only.) The
 * word is here, below everything that asks it; what switches a mode on, and how the fast paths come to know, is in
 * heap/mode_switch.h.
 */
#ifndef MYALLOC_MODES_H
#define MYALLOC_MODES_H

#include <stdatomic.h>

#include "base/base.h"

enum mode {
    MODE_START = 16,    /* from the start until the environment has been read; nothing else is on then */
    MODE_CHECK = 1,     /* canaries, quarantine: never switched off again, blocks are laid out differently */
    MODE_PERTURB = 2,   /* allocated and freed bytes are filled */
    MODE_TRACE = 4,     /* the log of mtrace() */
    MODE_LEAKS = 8,     /* who allocated what is still there */
    MODE_GUARDED = 32,  /* some blocks lie on guarded pages: never switched off again, does not need to see every call */
    MODE_HARDENED = 64, /* all blocks are hardened: never switched off again */
    MODE_PROFILE = 128, /* some blocks are recorded: to be seen are their frees, and each allocation that no list serves;
                           never switched off again, for what is recorded stays */
    MODE_RECORD = 256,  /* each call is an event, for `myalloc record PID` */
    MODE_ASIDE = 1 << 16, /* no bit, but 1 of the count of threads that are served apart (heap/aside.h), in the upper half */
};

/* Bits of enum mode, and the count. Written by heap/mode_switch.c and heap/aside.c only. */
extern HIDDEN _Atomic unsigned modes_active;

/* Not 0: a command may wait in the mailbox (observe/mailbox.h). Written from outside, at any time and with any value. */
extern HIDDEN _Atomic uint32_t modes_knock;

/* For slow paths: true if the mailbox is to be looked into (process/background.h). */
static inline bool modes_knocked(void) {
    return UNLIKELY(atomic_load_explicit(&modes_knock, memory_order_relaxed) != 0);
}

/* True if any mode is on. */
static inline bool modes_any(void) {
    return UNLIKELY(atomic_load_explicit(&modes_active, memory_order_acquire) != 0);
}

/* True if this mode is on and no other. */
static inline bool modes_only(enum mode mode) {
    return (atomic_load_explicit(&modes_active, memory_order_acquire) & (MODE_ASIDE - 1)) == (unsigned)mode;
}

/* True if any of the modes is on. */
static inline bool modes_has(unsigned modes) {
    return (atomic_load_explicit(&modes_active, memory_order_acquire) & modes) != 0;
}

#endif
