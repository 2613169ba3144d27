/* SPDX-License-Identifier: MIT */
/*
 * Start, thread exit and fork (rank 28). Nothing has to run before the first malloc: all state is constant-initialised,
 * and what is set up here concerns threads and forks, which come later.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "backtrace.h"
#include "base.h"
#include "cache.h"
#include "check.h"
#include "environment.h"
#include "glibc.h"
#include "guard_trap.h"
#include "leaks.h"
#include "os.h"
#include "reach.h"
#include "report.h"
#include "seal.h"
#include "stats.h"
#include "trace.h"
#include "tunables.h"
#include "verify.h"
#include "watch.h"
#include "world.h"

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
    if (watch_has(WATCH_LEAKS))
        reach_thread_ended(&cache_self);
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
        world_stop();
    else if (when == 0)
        world_go();
    else
        world_begin();
}

static void before_fork(void) {
    bool several = !__libc_single_threaded, streams = several && _IO_list_lock != NULL;
    if (streams)
        _IO_list_lock();
    world_stop();
    threaded = several;
    streams_locked = streams;
}

static void after_fork_in_parent(void) {
    bool streams = streams_locked;
    world_go();
    if (streams)
        _IO_list_unlock();
}

static void after_fork_in_child(void) {
    world_begin();
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
    if (watch_has(WATCH_START))
        watch_start();
    if (&__malloc_initialize_hook != NULL && __malloc_initialize_hook != NULL)
        __malloc_initialize_hook();
    if (watch_has(WATCH_CHECK | WATCH_LEAKS | WATCH_GUARD | WATCH_HARDEN))
        backtrace_prepare();
    guard_trap_start();
    if (watch_has(WATCH_CHECK | WATCH_HARDEN))
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
        seal_close();
    if (MYALLOC_DEBUG && getenv("MYALLOC_COUNTERS") != NULL)
        atexit(report_counter_line);
}
