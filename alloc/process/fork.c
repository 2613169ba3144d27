/* SPDX-License-Identifier: MIT */
#include "process/fork.h"

#include <pthread.h>

#include "base/base.h"
#include "base/glibc.h"
#include "callers/unwind.h"
#include "process/all_locks.h"

/* glibc's lock on its list of streams. fork() takes it after the prepare handlers, while another thread may hold it and
 * wait for a stream whose owner waits in malloc. Taken before our locks, as glibc orders it before its own malloc's,
 * nobody who holds it can be waiting for us. It is recursive. */
extern void _IO_list_lock(void) __attribute__((weak));
extern void _IO_list_unlock(void) __attribute__((weak));
extern void _IO_list_resetlock(void) __attribute__((weak));

/* What the fork in progress has found. Only the thread that holds all locks writes and reads them: two threads may fork at the
 * same time. */
static bool threaded, streams_locked;

static void before_fork(void) {
    bool several = !__libc_single_threaded, streams = several && _IO_list_lock != NULL;
    if (streams)
        _IO_list_lock();
    all_locks_acquire();
    threaded = several;
    streams_locked = streams;
}

static void after_fork_in_parent(void) {
    bool streams = streams_locked;
    all_locks_release();
    if (streams)
        _IO_list_unlock();
}

static void after_fork_in_child(void) {
    all_locks_reset();
    if (threaded)
        unwind_fork_reset();
    if (streams_locked)
        _IO_list_resetlock();
}

/* musl has no lock on its streams to offer. Its fork() calls this in the place that its own malloc would need, behind that
 * lock: where there are threads, and inside of all handlers. */
EXPORT void __malloc_atfork(int when);
EXPORT void __malloc_atfork(int when) {
    if (when < 0)
        all_locks_acquire();
    else if (when == 0)
        all_locks_release();
    else
        all_locks_reset();
}

void fork_arrange(void) {
    if (IS_GLIBC)
        pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void fork_arrange_late(void) {
    if (!IS_GLIBC) /* whose pthread_atfork allocates */
        pthread_atfork(NULL, NULL, after_fork_in_child);
}
