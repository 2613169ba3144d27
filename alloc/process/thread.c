/* SPDX-License-Identifier: MIT */
#include "process/thread.h"

#include <pthread.h>

#include "kit/modes.h"
#include "heap/aside.h"
#include "observe/reachable.h"
#include "process/background.h"
#include "process/fork.h"

static pthread_key_t exit_key;
static pthread_once_t arranged = PTHREAD_ONCE_INIT;
static bool exit_key_made;

static void thread_ends(void *unused) {
    (void)unused;
    if (aside_is_on())
        return;
    if (modes_has(MODE_LEAKS))
        reachable_thread_ended(&cache_self);
    background_thread_ends();
    cache_close();
}

static void arrange(void) {
    exit_key_made = pthread_key_create(&exit_key, thread_ends) == 0;
    fork_arrange();
}

void thread_arrange(void) {
    pthread_once(&arranged, arrange);
}

COLD bool thread_open_slow(void) {
    if (!cache_try_open()) /* a signal handler has come between */
        return false;
    thread_arrange();
    if (exit_key_made)
        pthread_setspecific(exit_key, &exit_key);
    return true;
}
