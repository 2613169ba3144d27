/* SPDX-License-Identifier: MIT */
/*
 * Start, thread exit and fork. Nothing has to run before the first malloc: all state is constant-initialised,
 * and what is set up here concerns threads and forks, which come later.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/glibc.h"
#include "os/os.h"
#include "kit/environment.h"
#include "kit/modes.h"
#include "kit/readonly.h"
#include "kit/report.h"
#include "kit/tunables.h"
#include "heap/cache.h"
#include "callers/backtrace.h"
#include "protect/check.h"
#include "protect/guarded_trap.h"
#include "observe/leaks.h"
#include "observe/reachable.h"
#include "observe/stats.h"
#include "observe/trace.h"
#include "process/all_locks.h"
#include "process/mode_start.h"
#include "process/verify.h"

/* glibc's lock on its list of streams. fork() takes it after the prepare handlers, while another thread may hold it and
 * wait for a stream whose owner waits in malloc. Taken before our locks, as glibc orders it before its own malloc's,
 * nobody who holds it can be waiting for us. It is recursive. */
extern void _IO_list_lock(void) __attribute__((weak));
extern void _IO_list_unlock(void) __attribute__((weak));
extern void _IO_list_resetlock(void) __attribute__((weak));

static pthread_key_t exit_key;
static pthread_once_t arranged = PTHREAD_ONCE_INIT;
static bool exit_key_made;
static bool threaded, streams_locked; /* when fork began; its own while it holds all locks: another thread may fork, too */

static void thread_ends(void *unused) {
    (void)unused;
    if (modes_has(MODE_LEAKS))
        reachable_thread_ended(&cache_self);
    cache_close();
}

static void before_fork(void);
static void after_fork_in_parent(void);
static void after_fork_in_child(void);

/* At the process's first use of a list, which may be long before our constructor: others' may run threads and fork.
 * Handlers registered first run last before a fork and first after it: other libraries' may then allocate. */
static void arrange(void) {
    exit_key_made = pthread_key_create(&exit_key, thread_ends) == 0;
    if (IS_GLIBC)
        pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void cache_opened(void) {
    pthread_once(&arranged, arrange);
    if (exit_key_made)
        pthread_setspecific(exit_key, &exit_key);
}

/* musl has no such lock to offer. Its fork() calls this in the place that its own malloc would need, behind its lock on the
 * streams: where there are threads, and inside of all handlers. */
EXPORT void __malloc_atfork(int when);
EXPORT void __malloc_atfork(int when) {
    if (when < 0)
        all_locks_acquire();
    else if (when == 0)
        all_locks_release();
    else
        all_locks_reset();
}

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
        backtrace_fork_reset();
    if (streams_locked)
        _IO_list_resetlock();
    trace_fork_child();
}

/* What a program linked with -lmcheck defines: a function that calls mcheck(NULL). */
extern void (*volatile __malloc_initialize_hook)(void) __attribute__((weak));

/* What is never freed is looked at once more. */
static void check_at_exit(void) {
    check_all("exit");
}

/* The unwinder cannot be loaded in the middle of the first malloc. */
static void start_watching(void) {
    if (modes_has(MODE_START))
        mode_start();
    if (&__malloc_initialize_hook != NULL && __malloc_initialize_hook != NULL)
        __malloc_initialize_hook();
    if (modes_has(MODE_CHECK | MODE_LEAKS | MODE_GUARDED | MODE_HARDENED))
        backtrace_prepare();
    guarded_trap_start();
    if (modes_has(MODE_CHECK | MODE_HARDENED))
        atexit(check_at_exit);
}

static void verify_at_exit(void) {
    if (verify_heap() > 0)
        os_abort();
}

/* Registered before everybody else's, so it runs after all of them, and after the destructors of libraries. */
static void at_exit(void) {
    stats_write(tunables.stats);
}

__attribute__((constructor(101))) static void start(void) {
    environment_read();
    os_fence_below(&cache_self); /* or the first mapping would lie there, and run over into our lists */
    if (tunables.stats[0] != '\0')
        atexit(at_exit);
    pthread_once(&arranged, arrange);
    if (MYALLOC_DEBUG)
        atexit(verify_at_exit);
    if (!IS_GLIBC) /* whose pthread_atfork allocates */
        pthread_atfork(NULL, NULL, after_fork_in_child);
    start_watching();
    leaks_arrange();
    if (tunables.protect == LEVEL_PARANOID)
        readonly_close();
    if (MYALLOC_DEBUG && getenv("MYALLOC_COUNTERS") != NULL)
        atexit(report_counter_line);
}
