/* SPDX-License-Identifier: MIT */
/* A program of ours that a text goes through. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/kernel.h"
#include "os/os.h"

#ifndef SYS_close_range
#define SYS_close_range 436 /* since Linux 5.9; the same number on all processors */
#endif

#define STEP_MS 20      /* between two looks whether a program that writes nothing has ended */
#define LAST_STEP_MS 1  /* the same once its output is closed: it will have ended soon */
#define COUNTED_MS 100  /* a step that took longer counts as this: the process itself was stopped, or had no processor */
#define REAP_STEPS 1000 /* of LAST_STEP_MS, for the kernel to end what was killed */
#define NOT_STARTED 127
#define BY_SIGNAL 128 /* and the signal's number: a status as shells have it */

/* ---- in children: copies of the process in which no other thread runs ------------------------------------------ */

/* Limits that the program has set for itself are not meant for this one. */
static void lift_limits(void) {
    static const int resources[] = {RLIMIT_AS, RLIMIT_CPU, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_STACK};
    for (size_t i = 0; i < sizeof resources / sizeof *resources; i++) {
        struct rlimit limit;
        if (kernel_refused(kernel(SYS_prlimit64, 0, resources[i], NULL, &limit)))
            continue;
        limit.rlim_cur = limit.rlim_max;
        kernel(SYS_prlimit64, 0, resources[i], &limit, NULL);
    }
}

/* The ends of pipes may have the numbers that they are to get, where the program has closed those: first they get others. What
 * else is open, sockets of the program's among it, is none of this one's business. */
static bool set_descriptors(int in, int out) {
    long high_in = kernel(SYS_fcntl, in, F_DUPFD, STDERR_FILENO + 1);
    long high_out = kernel(SYS_fcntl, out, F_DUPFD, STDERR_FILENO + 1);
    if (kernel_refused(high_in) || kernel_refused(high_out))
        return false;
    kernel(SYS_dup3, high_in, STDIN_FILENO, 0);
    kernel(SYS_dup3, high_out, STDOUT_FILENO, 0);
    kernel(SYS_dup3, high_out, STDERR_FILENO, 0);
    kernel(SYS_close_range, STDERR_FILENO + 1, ~0u, 0);
    return true;
}

/* Why it could not be started goes to its output, as a number. */
_Noreturn static void become(const struct os_filter *filter, int in, int out) {
    const uint64_t none = 0;
    kernel(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
    lift_limits();
    if (set_descriptors(in, out)) {
        kernel(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
        int error = kernel_error(kernel(SYS_execve, filter->arguments[0], filter->arguments, filter->environment));
        kernel(SYS_write, STDOUT_FILENO, &error, sizeof error);
    }
    os_exit(NOT_STARTED);
}

/* The kernel sends SIGCHLD at the end of whatever has become another program, to its parent; so that is this one, which becomes
 * none and passes the status on. All signals are blocked in it. A program that ignores SIGCHLD would have the kernel drop its
 * children's status, and what it starts inherits that: here the signal is as it is from the start. The group is its own, so
 * that what it starts is ended with it; and it ends where the thread that waits for it does. */
_Noreturn static void stand_between(const struct os_filter *filter, int in, int out) {
    int status = NOT_STARTED << 8;
    long got;
    os_signal(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    kernel(SYS_setpgid, 0, 0);
    kernel(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
    long child = kernel(SYS_clone, 0, 0, 0, 0, 0);
    if (child == 0)
        become(filter, in, out);
    kernel(SYS_close_range, 0, ~0u, 0);
    kernel(SYS_close, out); /* also where the kernel does not know the former */
    do
        got = child > 0 ? kernel(SYS_wait4, child, &status, __WALL, NULL) : 0;
    while (got == -EINTR);
    os_exit(WIFSIGNALED(status) ? BY_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status));
}

/* ---- in the process ------------------------------------------------------------------------------------------------ */

/* Waits for something to read; with -1 for the time alone. Signals come behind it. */
static bool await(int fd, unsigned ms) {
    struct pollfd waits = {.fd = fd, .events = POLLIN};
    struct timespec most = {.tv_nsec = (long)ms * 1000000};
    const uint64_t all = ~UINT64_C(0);
    return kernel(SYS_ppoll, &waits, 1, &most, &all, sizeof all) > 0;
}

/* It stays to be waited for, so that its number is nobody else's. */
static bool has_ended(long child) {
    siginfo_t info = {0};
    long asked = kernel(SYS_waitid, P_PID, child, &info, WEXITED | WNOWAIT | WNOHANG | __WALL, NULL);
    return kernel_refused(asked) || info.si_pid != 0;
}

static uint64_t now_ms(void) {
    struct timespec now;
    kernel_time(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Reads what is there. False at the end. */
static bool read_some(struct os_filter *filter, int from) {
    long got = kernel(SYS_read, from, filter->out + filter->length, filter->room - filter->length);
    filter->length += got > 0 ? (size_t)got : 0;
    return got > 0 || got == -EINTR;
}

/* Until it has ended and nothing more comes, which may be written by what it has started. */
static enum os_filter_end gather(struct os_filter *filter, int from, long child) {
    uint64_t spent = 0, most = (uint64_t)filter->seconds * 1000;
    while (spent < most) {
        uint64_t before = now_ms();
        if (await(from, from >= 0 ? STEP_MS : LAST_STEP_MS))
            from = read_some(filter, from) ? from : -1;
        else if (has_ended(child))
            return OS_FILTER_ENDED;
        if (filter->length == filter->room)
            return OS_FILTER_ENDLESS;
        spent += min_size(now_ms() - before, COUNTED_MS);
    }
    return OS_FILTER_LATE;
}

/* Ends what is left of it and reaps it. Returns its status. */
static int reap(long child) {
    int status = 0;
    long got = 0;
    kernel(SYS_kill, -child, SIGKILL);
    kernel(SYS_kill, child, SIGKILL);
    for (int i = 0; i < REAP_STEPS && (got == 0 || got == -EINTR); i++) {
        got = kernel(SYS_wait4, child, &status, WNOHANG | __WALL, NULL);
        if (got == 0)
            await(-1, LAST_STEP_MS);
    }
    return status;
}

static enum os_filter_end judge(struct os_filter *filter, int status) {
    int error;
    filter->number = WIFSIGNALED(status) ? BY_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
    if (filter->number > BY_SIGNAL) {
        filter->number -= BY_SIGNAL;
        return OS_FILTER_KILLED;
    }
    if (filter->number != NOT_STARTED || filter->length != sizeof error)
        return filter->number == 0 ? OS_FILTER_DONE : OS_FILTER_ENDED;
    memcpy(&error, filter->out, sizeof error);
    filter->number = error;
    return OS_FILTER_NOT_STARTED;
}

/* No handler of the program's may run in the child, which has them until it is another program. */
static enum os_filter_end start(struct os_filter *filter, int in, const int ends[2]) {
    const uint64_t all = ~UINT64_C(0);
    uint64_t before = 0;
    long blocked = kernel(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
    long child = kernel_refused(blocked) ? -EPERM : kernel(SYS_clone, 0, 0, 0, 0, 0);
    if (child == 0)
        stand_between(filter, in, ends[1]);
    if (!kernel_refused(blocked))
        kernel(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
    kernel(SYS_close, ends[1]);
    if (child < 0)
        return OS_FILTER_REFUSED;
    enum os_filter_end end = gather(filter, ends[0], child);
    int status = reap(child);
    return end == OS_FILTER_ENDED ? judge(filter, status) : end;
}

/* The text fits into an empty pipe, or is refused: writing it waits for nobody. */
enum os_filter_end os_filter(struct os_filter *filter) {
    int in[2], out[2];
    enum os_filter_end end = OS_FILTER_REFUSED;
    filter->length = 0;
    if (filter->bytes > OS_FILTER_MOST || os_is_shut_in() || kernel(SYS_prctl, PR_GET_SECCOMP) != 0 ||
        kernel_refused(kernel(SYS_pipe2, in, O_CLOEXEC | O_NONBLOCK)))
        return OS_FILTER_REFUSED;
    bool whole = kernel(SYS_write, in[1], filter->text, filter->bytes) == (long)filter->bytes;
    kernel(SYS_close, in[1]);
    if (whole && !kernel_refused(kernel(SYS_pipe2, out, O_CLOEXEC))) {
        end = start(filter, in[0], out);
        kernel(SYS_close, out[0]);
    }
    kernel(SYS_close, in[0]);
    return end;
}
