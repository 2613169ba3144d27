/* SPDX-License-Identifier: MIT */
/* Counts are written when a process exits. Here the other ends of a process write them, too: os_abort, which the misuse tests
 * are about, _exit, by which forked children end, and the last of all exit handlers, where leaks are reported. */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kit/lock.h"

extern void __gcov_dump(void);
extern void __gcov_reset(void);
extern int __cxa_atexit(void (*function)(void *), void *argument, void *dso);
_Noreturn void __real_os_abort(void);
_Noreturn void __wrap_os_abort(void);

static void write_counts(void *unused) {
    static _Atomic bool busy;
    (void)unused;
    if (atomic_exchange(&busy, true))
        return;
    __gcov_dump();
    __gcov_reset();
    busy = false;
}

/* What writes the counts allocates, and an abort may come while locks are held: as in a fork, this thread then owns all. */
void __wrap_os_abort(void) {
    lock_fork_begin();
    write_counts(NULL);
    __real_os_abort();
}

EXPORT void _exit(int status) {
    write_counts(NULL);
    for (;;)
        syscall(SYS_exit_group, status);
}

EXPORT void _Exit(int status) {
    _exit(status);
}

/* Registered before all others of ours. */
__attribute__((constructor(100), no_profile_instrument_function)) static void begin(void) {
    __cxa_atexit(write_counts, NULL, NULL);
}
