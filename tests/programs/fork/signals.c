/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug timeout=300 effort=40 */
/* A handler of a signal that forks, as POSIX allows, though its thread may be in malloc. stepped.c does it at every instruction
 * of a few calls; here signals come at random times in traffic of all sizes. */
#include <pthread.h>

#include "programs/fork/traffic.h"

enum { FORKS = 300 };

static volatile int forks, failed;

static void fork_here(int number) {
    int saved = errno;
    (void)number;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    failed += tap_wait(child) != 0;
    forks++;
    errno = saved;
}

/* Every other child goes on where its parent was, and ends a little later. */
static void fork_and_go_on(int number) {
    int saved = errno;
    (void)number;
    pid_t child = fork();
    if (child == 0) {
        signal(SIGVTALRM, SIG_IGN);
        for (int i = 0; i < BLOCKS; i += 2)
            blocks[i] = NULL; /* half of them leak: the child's traffic mixes old and new */
        errno = saved;
        forks = -1;
        return;
    }
    failed += tap_wait(child) != 0;
    forks++;
    errno = saved;
}

static void *idle(void *unused) {
    pause();
    return unused;
}

static void fork_much(void (*handler)(int), bool threads) {
    pthread_t id;
    uint64_t seed = 7;
    sigset_t none, timer;
    sigemptyset(&none);
    sigemptyset(&timer);
    sigaddset(&timer, SIGVTALRM);
    pthread_sigmask(SIG_BLOCK, &timer, NULL); /* the thread inherits it: this one takes all signals */
    if (threads)
        pthread_create(&id, NULL, idle, NULL);
    forks = failed = 0;
    signal(SIGVTALRM, handler);
    every(1000, 1000);
    pthread_sigmask(SIG_UNBLOCK, &timer, NULL);
    while (forks >= 0 && forks < tap_effort(FORKS))
        traffic(&seed);
    if (forks < 0) { /* a child that went on */
        for (int i = 0; i < 2000; i++)
            traffic(&seed);
        _exit(0);
    }
    every(0, 0);
    signal(SIGVTALRM, SIG_IGN);
    tap(failed == 0, "%d forks by a handler%s%s, %d of the children failed", forks, threads ? ", a second thread there" : "",
        handler == fork_and_go_on ? ", children go on" : "", failed);
}

int main(void) {
    tap_watchdog(90);
    fork_much(fork_here, false);
    fork_much(fork_and_go_on, false);
    fork_much(fork_here, true);
    fork_much(fork_and_go_on, true);
    return tap_done();
}
