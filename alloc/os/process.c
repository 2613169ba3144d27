/* SPDX-License-Identifier: MIT */
/* A thread's signals, the end of the process, and what other libraries have under our names. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <signal.h>

#include "base/glibc.h"
#include "os/kernel.h"
#include "os/os.h"

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

AT_START void *os_next_function(const char *name) {
    return dlsym != NULL ? dlsym(RTLD_NEXT, name) : NULL;
}

_Noreturn void os_exit(int status) {
    for (;;)
        kernel(SYS_exit_group, status);
}

/* ---- a program of ours ------------------------------------------------------------------------------------------- */

#define FILTER_SECONDS 60 /* debug information may come from far away; then the kernel ends it */

/* In the child, a copy of the process in which no other thread runs. */
static void become(const char *const *arguments, const char *const *environment, int in, int out) {
    const uint64_t none = 0;
    const struct itimerval limit = {.it_value = {.tv_sec = FILTER_SECONDS}};
    if (out < STDIN_FILENO + 1 || in == STDIN_FILENO) /* descriptors of these numbers would be in each other's way */
        os_exit(1);
    kernel(SYS_dup3, in, STDIN_FILENO, 0);
    if (out != STDOUT_FILENO)
        kernel(SYS_dup3, out, STDOUT_FILENO, 0);
    if (out != STDERR_FILENO)
        kernel(SYS_dup3, STDOUT_FILENO, STDERR_FILENO, 0);
    kernel(SYS_setitimer, ITIMER_REAL, &limit, NULL);
    kernel(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
    kernel(SYS_execve, arguments[0], arguments, environment);
    os_exit(1);
}

static int wait_for(long child) {
    int status = 1;
    long got;
    do
        got = kernel(SYS_wait4, child, &status, __WALL, NULL);
    while (got == -EINTR);
    return got == child ? status : 1;
}

/* The text fits into an empty pipe, or is refused: writing it waits for nobody. No signal tells of the child's end, because a
 * program may wait for children of its own. */
bool os_filter(const char *const *arguments, const char *const *environment, const char *text, size_t bytes, int out) {
    int ends[2];
    if (bytes > OS_FILTER_MOST || os_is_shut_in() || kernel(SYS_prctl, PR_GET_SECCOMP) != 0 ||
        kernel_refused(kernel(SYS_pipe2, ends, O_CLOEXEC | O_NONBLOCK)))
        return false;
    bool whole = kernel(SYS_write, ends[1], text, bytes) == (long)bytes;
    kernel(SYS_close, ends[1]);
    long child = whole ? kernel(SYS_clone, 0, 0, 0, 0, 0) : -EAGAIN;
    if (child == 0)
        become(arguments, environment, ends[0], out);
    kernel(SYS_close, ends[0]);
    return child > 0 && wait_for(child) == 0;
}
