/* SPDX-License-Identifier: MIT */
/*
 * background:on: a helper thread that gives free memory back while nobody calls (decay.h and holes.h say what goes, and
 * when).
 *
 * It neither allocates nor frees, and opens no cache: nothing of the allocator counts it as a thread. What libc allocates for
 * it is set aside (aside.h). All signals are blocked in it but libc's own. It is made by pthread_create, so that libc knows of
 * it (setuid, single-threaded programs); never from malloc, and with no lock held.
 *
 * A forked child makes one of its own, in the handler of fork. Where the OS or libc refuses a thread, one line tells so, once,
 * and the program goes on without. It ends before the main thread does by pthread_exit, or it would keep the process alive.
 */
#ifndef MYALLOC_BACKGROUND_H
#define MYALLOC_BACKGROUND_H

#include "base/base.h"
#include "kit/modes.h"

/* Starts or ends the helper, as the option says by now; once it has been told to end, waits until it is gone. At the start, and
 * when the option has been set by mallopt. Another thread that is at it does it instead. With no lock held. */
void background_settle(void);

/* For slow paths that hold no lock, while this thread's lists are in order, once somebody has knocked: answers the command that
 * waits in the mailbox (control.h), if there is one and this is the place for it. errno stays. */
COLD void background_answer_slow(void);

static inline void background_answer(void) {
    if (modes_knocked())
        background_answer_slow();
}

/* In a forked child, when it is whole. */
void background_forked(void);

/* For a thread that ends by itself: the main thread takes the helper with it. */
void background_thread_ends(void);

#endif
