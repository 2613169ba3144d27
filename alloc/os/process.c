/* SPDX-License-Identifier: MIT */
/* A thread's signals, the end of the process, and what other libraries have under our names. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <signal.h>

#include "base/glibc.h"
#include "os/kernel.h"
#include "os/os.h"
#include "os/os_fault.h"

#pragma weak dlsym /* not there in a static program */

#define SIGNAL_BIT(number) (UINT64_C(1) << ((number) - 1))
#define SIGNALS_RAISED                                                                                                 \
    (SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGTRAP) |        \
     SIGNAL_BIT(SIGSYS) | SIGNAL_BIT(SIGABRT))
#define SIGNALS_OF_LIBC (SIGNAL_BIT(32) | SIGNAL_BIT(33) | (IS_GLIBC ? 0 : SIGNAL_BIT(34))) /* below SIGRTMIN */

#define UNKNOWN (~UINT64_C(0)) /* the kernel has refused to say; no set of blocked signals has SIGKILL in it */

uint64_t os_signals_block(void) {
    uint64_t mask = ~(SIGNALS_RAISED | SIGNALS_OF_LIBC), before = UNKNOWN;
    return kernel_refused(kernel(SYS_rt_sigprocmask, SIG_SETMASK, &mask, &before, sizeof mask)) ? UNKNOWN : before;
}

void os_signals_restore(uint64_t before) {
    if (before != UNKNOWN)
        kernel(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
}

void os_signals_block_all(void) {
    uint64_t mask = ~SIGNALS_OF_LIBC;
    kernel(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
}

uint64_t os_signals_let_faults(void) {
    uint64_t faults = SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS), before = UNKNOWN;
    return kernel_refused(kernel(SYS_rt_sigprocmask, SIG_UNBLOCK, &faults, &before, sizeof faults)) ? UNKNOWN : before;
}

bool os_signal_stack(void *stack, size_t bytes) {
    stack_t ours = {.ss_sp = stack, .ss_size = bytes}, there;
    return !os_fault(signal_stack) && !kernel_refused(kernel(SYS_sigaltstack, NULL, &there)) &&
           (there.ss_flags & SS_DISABLE) && !kernel_refused(kernel(SYS_sigaltstack, &ours, NULL));
}

bool os_signal_stack_end(void *stack) {
    stack_t none = {.ss_flags = SS_DISABLE}, there;
    if (kernel_refused(kernel(SYS_sigaltstack, NULL, &there)) || there.ss_sp != stack || (there.ss_flags & SS_DISABLE))
        return true;
    return !kernel_refused(kernel(SYS_sigaltstack, &none, NULL));
}

AT_START void *os_next_function(const char *name) {
    return dlsym != NULL ? dlsym(RTLD_NEXT, name) : NULL;
}

_Noreturn void os_exit(int status) {
    for (;;)
        kernel(SYS_exit_group, status);
}
