/* SPDX-License-Identifier: MIT */
/*
 * Who the process is, which a report says of it: asked of the kernel, as long as it may be asked. A program that shuts itself
 * in (seccomp) is ended for a call that its filter does not know, and a report begins with such calls. So what is known when
 * the program begins to shut itself in is kept, and nothing is asked from then on.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "os/kernel.h"
#include "os/os.h"

static struct {
    _Atomic bool shut_in, terminal; /* standard error is one */
    _Atomic int process;
} kept;

static bool is_terminal(int fd) {
    char settings[128]; /* the kernel's struct termios has less than 64 bytes */
    return !kernel_refused(kernel(SYS_ioctl, fd, TCGETS, settings));
}

void os_shut_in(void) {
    kept.process = (int)kernel(SYS_getpid);
    kept.terminal = is_terminal(STDERR_FILENO);
    kept.shut_in = true;
}

bool os_is_shut_in(void) {
    return atomic_load_explicit(&kept.shut_in, memory_order_relaxed);
}

void os_shut_in_forked(int process) {
    if (process != 0)
        kept.process = process;
}

long os_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
    return kernel(SYS_prctl, option, a, b, c, d);
}

bool os_is_terminal(int fd) {
    return os_is_shut_in() ? kept.terminal && fd == STDERR_FILENO : is_terminal(fd);
}

int os_process_id(void) {
    return os_is_shut_in() ? kept.process : (int)kernel(SYS_getpid);
}

int os_thread_id(void) {
    return os_is_shut_in() ? 0 : (int)kernel(SYS_gettid);
}

void os_name_thread(const char *name) {
    if (!os_is_shut_in())
        os_prctl(PR_SET_NAME, (unsigned long)name, 0, 0, 0);
}
