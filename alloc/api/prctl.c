/* SPDX-License-Identifier: MIT */
/*
 * prctl and pthread_setname_np, to see what reports need and cannot ask later: that the program begins to shut itself in
 * (seccomp; without privileges it must give up the right to get any first, PR_SET_NO_NEW_PRIVS, and it does so by prctl,
 * whichever way the filter itself goes), and the names of threads, which end before their blocks are told of.
 *
 * prctl is the system call, as libc's is: it may be called in a signal's handler. Its arguments behind the first are passed on
 * as they are, all four, whether the caller has given them or not, as libc does. Weak, as libc's is, so that a static program
 * may have one of its own.
 *
 * pthread_setname_np is handed on to libc's, which for the calling thread makes the system call by itself, and for another one
 * writes to /proc/self/task. Not seen are names that a program gives by the system call or that file itself, or, in a static
 * program with glibc, by pthread_setname_np, and that of its creator, which a thread has before it gets another. They are told
 * as long as the thread lives.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <time.h>

#include "base/base.h"
#include "os/os.h"
#include "kit/environment.h"
#include "kit/modes.h"
#include "kit/report.h"
#include "kit/thread_names.h"

/* Of <sys/prctl.h>. */
enum { SET_NAME = 15, SET_SECCOMP = 22, SET_NO_NEW_PRIVS = 38 };

/* Where blocks have records that name threads, or reports cannot ask. */
static bool names_are_wanted(void) {
    return modes_has(MODE_CHECK | MODE_GUARDED | MODE_HARDENED) || os_is_shut_in();
}

/* The option `log` must be known. */
static NOINLINE void shut_in(void) {
    environment_read();
    report_shut_in();
}

static NOINLINE void keep_name(const char *name) {
    if (report_thread_is_ours())
        thread_name_keep(report_thread_life(), name);
}

EXPORT __attribute__((weak)) int prctl(int option, ...) {
    unsigned long arguments[4];
    va_list list;
    va_start(list, option);
    for (int i = 0; i < 4; i++)
        arguments[i] = va_arg(list, unsigned long);
    va_end(list);
    if (option == SET_SECCOMP)
        shut_in();
    long result = os_prctl(option, arguments[0], arguments[1], arguments[2], arguments[3]);
    if (result < 0 && result >= -4095) {
        errno = (int)-result;
        return -1;
    }
    if (option == SET_NO_NEW_PRIVS)
        shut_in();
    if (option == SET_NAME && names_are_wanted())
        keep_name((const char *)arguments[0]);
    return (int)result;
}

#if !MYALLOC_STATIC
/* Found at the first call: most processes name no thread, and each would have the loader look for it. */
static void *find(_Atomic(void *) *known, const char *name) {
    void *function = atomic_load_explicit(known, memory_order_relaxed);
    if (function == NULL) {
        function = os_next_function(name);
        atomic_store_explicit(known, function, memory_order_relaxed);
    }
    return function;
}

/* The OS's number of a thread. Its clock of processor time has a name that libc puts together, without a call to the OS:
 * ~number << 3, and a few bits. */
static int number_of(pthread_t thread) {
    static _Atomic(void *) known;
    int (*clock_of)(pthread_t, clockid_t *) = (int (*)(pthread_t, clockid_t *))find(&known, "pthread_getcpuclockid");
    clockid_t clock;
    return clock_of != NULL && clock_of(thread, &clock) == 0 ? ~(clock >> 3) : 0;
}

static NOINLINE void keep_name_of(pthread_t thread, const char *name) {
    int number = number_of(thread);
    if (number == thread_number(report_thread_life()))
        keep_name(name);
    else
        thread_name_keep_other(number, name);
}

EXPORT int pthread_setname_np(pthread_t thread, const char *name) {
    static _Atomic(void *) known;
    int (*next)(pthread_t, const char *) = (int (*)(pthread_t, const char *))find(&known, "pthread_setname_np");
    int error = next != NULL ? next(thread, name) : ENOSYS;
    if (error == 0 && names_are_wanted())
        keep_name_of(thread, name);
    return error;
}
#endif
