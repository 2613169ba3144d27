/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug timeout=600 effort=50 */
/* Handlers of a signal that fork, in several threads at once, each of which they may have interrupted in the allocator
 * with locks in its hands, while another thread forks as well. A fork that waits for such a lock must not have what the
 * other fork waits for. libc's own locks around fork are part of that; up to glibc 2.35 it also kept its list of handlers
 * locked while they run, which a lock around each fork stands for here. The next signal comes some time after a handler has
 * ended: at a fixed rate, on a machine where a fork takes longer than that, the handlers would leave no time for the rest. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "tap.h"

#ifndef sigev_notify_thread_id /* glibc has only the member's own name */
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { THREADS = 3, KEPT = 64, USED = 150, TIMES = 20, NS = 10000000, MOST_SECONDS = 60 };

int myalloc_check_heap(void);
#pragma weak myalloc_check_heap

static pid_t parent;
static bool around; /* a lock is held around each fork */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool stop;
static atomic_int by_handlers, wrong;
static __thread timer_t timer;

static pid_t fork_locked(void) {
    if (around)
        pthread_mutex_lock(&lock);
    pid_t child = fork();
    if (around)
        pthread_mutex_unlock(&lock);
    return child;
}

static void signal_soon(void) {
    struct itimerspec once = {.it_value = {0, NS}};
    timer_settime(timer, 0, &once, NULL);
}

static void fork_here(int number) {
    int saved = errno;
    (void)number;
    if (getpid() != parent)
        return;
    pid_t child = fork_locked();
    if (child == 0)
        _exit(0);
    wrong += tap_wait(child) != 0;
    by_handlers++;
    signal_soon();
    errno = saved;
}

static void churn_until_stopped(uint64_t seed) {
    unsigned char *blocks[KEPT] = {NULL};
    size_t bytes[KEPT], most[] = {200000, 40000, 1000, 1000, 1000, 1000, 1000, 1000};
    while (!stop) {
        size_t i = tap_random(&seed) % KEPT;
        wrong += blocks[i] != NULL && (blocks[i][0] != i || blocks[i][bytes[i] - 1] != i);
        free(blocks[i]);
        bytes[i] = tap_random(&seed) % most[tap_random(&seed) % 8] + 1;
        blocks[i] = tap_random(&seed) % 16 == 0 ? aligned_alloc(16384, bytes[i]) : malloc(bytes[i]);
        memset(blocks[i], (int)i, bytes[i]);
    }
    for (size_t i = 0; i < KEPT; i++)
        free(blocks[i]);
}

static void *churn(void *seed) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
    event.sigev_notify_thread_id = gettid();
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) {
        wrong++;
        return NULL;
    }
    signal_soon();
    churn_until_stopped((uintptr_t)seed);
    signal(SIGALRM, SIG_IGN);
    timer_delete(timer);
    return NULL;
}

static void *use(void *unused) {
    static unsigned char *blocks[USED];
    (void)unused;
    for (size_t i = 0; i < USED; i++)
        memset(blocks[i] = malloc(i * 237 + 1), (int)i, i * 237 + 1);
    for (size_t i = 0; i < USED; i++)
        blocks[i] = realloc(blocks[i], i * 350 + 1);
    for (size_t i = 0; i < USED; i++) {
        if (blocks[i][0] != (unsigned char)i || blocks[i][i * 237] != (unsigned char)i)
            _exit(5);
        free(blocks[i]);
    }
    return NULL;
}

/* It allocates, in a thread of its own too, and ends in one of both ways. */
static _Noreturn void child_lives(bool ends_by_exit) {
    pthread_t id;
    signal(SIGALRM, SIG_DFL);
    alarm(MOST_SECONDS);
    use(NULL);
    if (pthread_create(&id, NULL, use, NULL) != 0 || pthread_join(id, NULL) != 0)
        _exit(6);
    if (ends_by_exit)
        exit(0);
    _exit(0);
}

static void fork_much(int times) {
    for (int i = 0; i < times; i++) {
        pid_t child = fork_locked();
        if (child == 0)
            child_lives(i % 2 == 0);
        wrong += tap_wait(child) != 0;
    }
}

/* argv: whether there is a lock around, how many forks */
static int run_here(const char *with_lock, int times) {
    pthread_t ids[THREADS];
    struct sigaction action = {.sa_handler = fork_here, .sa_flags = SA_RESTART};
    parent = getpid();
    around = strcmp(with_lock, "lock") == 0;
    sigaction(SIGALRM, &action, NULL);
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&ids[i], NULL, churn, (void *)(i + 1));
    fork_much(times);
    stop = true;
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    bool whole = myalloc_check_heap == NULL || myalloc_check_heap() == 0;
    return wrong == 0 && by_handlers > 0 && whole ? 0 : 1;
}

static void run(const char *options, const char *with_lock, int times) {
    int status = -1;
    pid_t child = tap_start_again(options, with_lock, times);
    bool ended = false;
    for (int i = 0; i < MOST_SECONDS * 10 && !ended; i++, usleep(100000))
        ended = waitpid(child, &status, WNOHANG) == child;
    if (!ended) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    tap(ended && status == 0, "%d forks beside handlers that fork, %s around, options '%s': %s", times, with_lock, options,
        !ended ? "hangs" : status != 0 ? "wrong" : "all end");
}

int main(int argc, char **argv) {
    if (argc == 3)
        return run_here(argv[1], atoi(argv[2]));
    tap_watchdog(190);
    int times = tap_effort(TIMES);
    run("", "nothing", times);
    run("cache_limit:0", "nothing", times);
    run("protect:sample", "nothing", times);
    run("protect:paranoid", "nothing", times / 7);
    run("check:3", "nothing", times / 4);
    run("cache_limit:0", "lock", times / 5);
    return tap_done();
}
