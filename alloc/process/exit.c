/* SPDX-License-Identifier: MIT */
#include "process/exit.h"

#include <stdlib.h>

#include "os/os.h"
#include "kit/report.h"
#include "heap/aside.h"
#include "process/all_locks.h"

/* Where this thread holds a lock or is changing its lists, a signal has come between. */
AT_START static void look(void) {
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

AT_START static _Noreturn void go_on(const char *name, int status) {
    look();
    void (*next)(int) = (void (*)(int))os_next_function(name);
    if (next != NULL)
        next(status);
    os_exit(status);
}

AT_START EXPORT void exit(int status) {
    go_on("exit", status);
}

AT_START EXPORT void quick_exit(int status) {
    go_on("quick_exit", status);
}

AT_START void exit_arrange(void) {
}

#else

AT_START void exit_arrange(void) {
    atexit(look);
}

#endif
