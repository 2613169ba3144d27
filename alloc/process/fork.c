/* SPDX-License-Identifier: MIT */
#include "process/fork.h"

#include <pthread.h>

#include "base/base.h"
#include "base/glibc.h"
#include "os/os.h"
#include "heap/aside.h"
#include "observe/record.h"
#include "process/all_locks.h"
#include "process/background.h"

/* glibc's lock on its list of streams. fork() takes it after the prepare handlers, while another thread may hold it and
 * wait for a stream whose owner waits in malloc. Taken before our locks, as glibc orders it before its own malloc's,
 * nobody who holds it can be waiting for us. It is recursive. */
extern void _IO_list_lock(void) __attribute__((weak));
extern void _IO_list_unlock(void) __attribute__((weak));
extern void _IO_list_resetlock(void) __attribute__((weak));

/* In a static program glibc's fork() calls these three, as it would those of its own malloc, where there are threads: inside of
 * all handlers and of all of libc's locks. In any other they are nobody's. The two names that follow are what calls handlers of
 * fork in libc.a, by version; both are NULL in a program that is not static, and in one that never forks. */
EXPORT void __malloc_fork_lock_parent(void);
EXPORT void __malloc_fork_unlock_parent(void);
EXPORT void __malloc_fork_unlock_child(void);
extern void __run_prefork_handlers(void) __attribute__((weak));
extern void __run_fork_handlers(void) __attribute__((weak));

static THREAD_LOCAL bool has_all; /* this thread is in fork, with all locks and that of the streams */

static bool is_called_inside(void) {
    return MYALLOC_STATIC && (__run_prefork_handlers != NULL || __run_fork_handlers != NULL);
}

/* ---- the handlers ------------------------------------------------------------------------------------------------- */

/* A process with one thread needs no locks: what is in the middle of something, if a signal's handler forks, goes on in the
 * child. */
static void before_fork(void) {
    if (__libc_single_threaded || is_called_inside())
        return;
    all_locks_fork_begins();
    all_locks_fork_waits();
    _IO_list_lock();
    while (!all_locks_try_fork(true)) { /* who does not let us have ours may be waiting for that of the streams */
        _IO_list_unlock();
        all_locks_fork_waits();
        _IO_list_lock();
    }
    has_all = true;
}

static void after_fork_in_parent(void) {
    if (!has_all)
        return;
    has_all = false;
    all_locks_fork_release();
    all_locks_fork_ends();
    _IO_list_unlock();
}

static void after_fork_in_child(void) {
    if (!has_all) {
        all_locks_reset_alone();
    } else {
        has_all = false;
        all_locks_reset();
        _IO_list_resetlock();
    }
    record_forked();
    background_forked();
}

EXPORT void __malloc_fork_lock_parent(void) {
    all_locks_try_fork(false);
}

EXPORT void __malloc_fork_unlock_parent(void) {
    all_locks_fork_release();
}

EXPORT void __malloc_fork_unlock_child(void) {
    all_locks_reset();
}

/* musl has no lock on its streams to offer. Its fork() calls this in the place that its own malloc would need, behind that
 * lock: where there are threads, and inside of all handlers. */
EXPORT void __malloc_atfork(int when);
EXPORT void __malloc_atfork(int when) {
    if (when < 0)
        all_locks_try_fork(false);
    else if (when == 0)
        all_locks_fork_release();
    else
        all_locks_reset();
}

/* ---- registering handlers ------------------------------------------------------------------------------------------ */

/* What pthread_atfork calls. While libc makes room in its list of handlers it holds a lock that fork() takes after before_fork:
 * a thread that waited for us there would wait for ever, so it is served apart. In a static program libc's own is taken, by the
 * linker too, and is never in need of this (is_called_inside). */
#ifndef __SANITIZE_THREAD__ /* whose runtime registers a handler before instrumented code can run */
typedef int register_function(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *dso);
EXPORT register_function __register_atfork __attribute__((weak));

AT_START EXPORT int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *dso) {
    static _Atomic(register_function *) libcs;
    register_function *function = atomic_load_explicit(&libcs, memory_order_relaxed);
    if (function == NULL) {
        function = (register_function *)os_next_function("__register_atfork");
        atomic_store_explicit(&libcs, function, memory_order_relaxed);
    }
    if (function == NULL) /* a static program that has no fork */
        return 0;
    aside_begin();
    int error = function(prepare, parent, child, dso);
    aside_end();
    return error;
}
#endif

AT_START void fork_arrange(void) {
    if (IS_GLIBC)
        pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

AT_START void fork_arrange_late(void) {
    if (!IS_GLIBC) /* whose pthread_atfork allocates */
        pthread_atfork(NULL, NULL, after_fork_in_child);
}
