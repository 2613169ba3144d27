/* SPDX-License-Identifier: MIT */
#include "process/exit.h"

#include <stdlib.h>

#include "os/os.h"
#include "base/glibc.h"
#include "kit/report.h"
#include "heap/aside.h"
#include "process/all_locks.h"

/* Where this thread holds a lock or is changing its lists, a signal has come between. */
static void look(void) {
    if (report_thread.inside || all_locks_is_interrupted())
        aside_begin();
}

bool exit_leaves_out(const char *what) {
    if (!aside_is_on())
        return false;
    report_line("%s left out: exit was called by a signal handler that interrupted the allocator", what);
    return true;
}

#if !MYALLOC_STATIC /* where libc's own cannot be replaced */

static _Noreturn void go_on(const char *name, int status) {
    look();
    void (*next)(int) = (void (*)(int))os_next_function(name);
    if (next != NULL)
        next(status);
    os_exit(status);
}

EXPORT void exit(int status) {
    go_on("exit", status);
}

EXPORT void quick_exit(int status) {
    go_on("quick_exit", status);
}

void exit_arrange(void) {
}

void exit_start(void) {
}

#elif defined(__GLIBC__)

extern int __cxa_thread_atexit_impl(void (*function)(void *), void *argument, void *dso);

static void thread_leaves(void *unused) {
    (void)unused;
    look();
}

static bool started;

/* libc can take it once it has set itself up, which is so when our constructor runs; it allocates before that. */
void exit_arrange(void) {
    if (started)
        __cxa_thread_atexit_impl(thread_leaves, NULL, &started); /* any address of the program tells libc which module it is */
}

void exit_start(void) {
    started = true;
    exit_arrange();
}

#else

void exit_arrange(void) {
}

void exit_start(void) {
}

#endif
