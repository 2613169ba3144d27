/* SPDX-License-Identifier: MIT */
#include "process/thread.h"

#include <pthread.h>
#include <stdatomic.h>

#include "kit/modes.h"
#include "kit/report.h"
#include "heap/aside.h"
#include "observe/reachable.h"
#include "process/background.h"
#include "process/fork.h"

static pthread_key_t exit_key;
static atomic_bool arranged, exit_key_made;

static void thread_ends(void *unused) {
    (void)unused;
    if (aside_is_on())
        return;
    if (modes_has(MODE_LEAKS))
        reachable_thread_ended(&cache_self);
    background_thread_ends();
    cache_close();
    report_thread_ended();
}

/* Who finds it begun does not wait: that is this thread, in a handler of a signal. To create another thread allocates. */
AT_START void thread_arrange(void) {
    if (atomic_exchange_explicit(&arranged, true, memory_order_acquire))
        return;
    atomic_store_explicit(&exit_key_made, pthread_key_create(&exit_key, thread_ends) == 0, memory_order_release);
    fork_arrange();
}

COLD bool thread_open_slow(void) {
    if (!cache_try_open()) /* a signal handler has come between */
        return false;
    thread_arrange();
    if (atomic_load_explicit(&exit_key_made, memory_order_acquire))
        pthread_setspecific(exit_key, &exit_key);
    return true;
}
