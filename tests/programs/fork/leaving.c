/* SPDX-License-Identifier: MIT */
/* run: libs=so timeout=300 */
/* A handler of a signal that calls exit, as POSIX does not allow, though its thread may be in malloc: what runs at exit
 * allocates and frees. stepped.c does it at every instruction of a few calls; here signals come at random times in traffic of
 * all sizes, with protections on too. The debug build looks at exit whether all lists are as long as they say, which the list
 * that was being changed need not be. */
#include <pthread.h>

#include "programs/fork/traffic.h"

enum { SEEDS = 40 };

static const char *how;

static void at_exit(void) {
    for (int i = 0; i < BLOCKS; i += 3)
        free(blocks[i]);
    for (int i = 1; i < BLOCKS; i += 3)
        blocks[i] = realloc(blocks[i], 700);
    char *more = calloc(1, 100000);
    bool whole = true;
    for (int i = 0; more != NULL && i < 100000; i++)
        whole = whole && more[i] == 0;
    free(more);
    for (int i = 0; i < 300; i++)
        memset(malloc((size_t)i * 50), 1, (size_t)i * 50);
    if (!whole || more == NULL)
        _exit(3);
}

static void leave(int number) {
    (void)number;
    if (strcmp(how, "quick_exit") == 0)
        quick_exit(0);
    exit(0);
}

static void *work(void *unused) {
    for (uint64_t seed = 3; seed != 0;)
        traffic(&seed);
    return unused;
}

/* argv: how, when */
static int end_by_handler(const char *way, long when) {
    pthread_t id;
    how = way;
    tap_alarm(20);
    atexit(at_exit);
    at_quick_exit(at_exit);
    signal(SIGVTALRM, leave);
    if (strcmp(how, "thread") != 0) {
        every(0, 1000 + when * 170);
        work(NULL);
    }
    pthread_create(&id, NULL, work, NULL);
    sigset_t timer; /* for the thread alone: two that run at once must not free the same blocks */
    sigemptyset(&timer);
    sigaddset(&timer, SIGVTALRM);
    pthread_sigmask(SIG_BLOCK, &timer, NULL);
    every(0, 1000 + when * 170);
    return pause();
}

static int run(const char *way, int seed, const char *options) {
    int status = -1;
    pid_t child = tap_start_again(options, way, seed);
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
}

static void exit_much(const char *way, const char *options) {
    int wrong = 0, times = tap_effort(SEEDS);
    for (int seed = 0; seed < times; seed++)
        wrong += run(way, seed, options);
    tap(wrong == 0, "%s by a handler, options '%s': %d of %d wrong", way, options, wrong, times);
}

int main(int argc, char **argv) {
    if (argc == 3)
        return end_by_handler(argv[1], atol(argv[2]));
    tap_watchdog(90);
    exit_much("exit", "");
    exit_much("quick_exit", "");
    exit_much("thread", "");
    exit_much("exit", "check:3");
    exit_much("exit", "protect:paranoid");
    exit_much("exit", "protect:sample");
    return tap_done();
}
