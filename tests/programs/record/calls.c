/* SPDX-License-Identifier: MIT */
/* run: helper */
/* calls WHAT: makes calls of the allocator whose sums tests/tools/record.test knows. It stays below the sizes and counts that
   libc's own calls have by chance: they are added in the test by running `calls nothing`. */
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS = 1000, THREADS = 4, SIZE = 777 };

static void *kept[THREADS + 1][BLOCKS];
static pthread_key_t key;

static void fill(size_t row)
{
    for (size_t i = 0; i < BLOCKS; i++)
        kept[row][i] = malloc(SIZE);
}

static void empty(size_t row)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        free(kept[row][i]);
        kept[row][i] = NULL;
    }
}

/* Gives back what the thread before has left, and leaves its own. */
static void *relay(void *row)
{
    fill((size_t)row);
    empty((size_t)row - 1);
    return NULL;
}

static void run_threads(void *(*function)(void *))
{
    for (size_t i = 1; i <= THREADS; i++) {
        pthread_t thread;

        if (pthread_create(&thread, NULL, function, (void *)i) || pthread_join(thread, NULL))
            exit(1);
    }
}

static void each_call(void)
{
    void *block = NULL, *other = malloc(1000);

    kept[0][0] = calloc(10, 100);
    kept[0][1] = realloc(NULL, 1001);
    kept[0][1] = realloc(kept[0][1], 5000);
    kept[0][2] = aligned_alloc(64, 6400);
    kept[0][3] = memalign(256, 2560);
    if (posix_memalign(&block, 4096, 8000))
        exit(1);
    kept[0][4] = block;
    kept[0][5] = reallocarray(NULL, 7, 1000);
    free(other);
    free(NULL);
    kept[0][6] = malloc((size_t)-1 / 2);
    malloc_trim(0);
}

static void at_thread_end(void *value)
{
    void *volatile block = malloc(SIZE);

    free(block);
    if ((size_t)value < 9) /* libc asks four times */
        pthread_setspecific(key, (void *)((size_t)value + 1));
}

static void *with_destructor(void *unused)
{
    (void)unused;
    pthread_setspecific(key, (void *)1);
    return NULL;
}

static void forks(const char *self)
{
    pid_t child;

    fill(0);
    child = fork();
    if (child == 0) {
        empty(0);
        fill(1);
        empty(1);
        execl(self, self, "relay", NULL);
        _exit(9);
    }
    if (child < 0 || waitpid(child, NULL, 0) != child)
        exit(1);
    empty(0);
}

static void *churn(void *unused)
{
    for (;;) {
        void *volatile block = malloc(SIZE);

        free(block);
    }
    return unused;
}

static void killed(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, churn, NULL))
        exit(1);
    for (int i = 0; i < 1000000; i++)
        free(memset(malloc(SIZE), 1, 1));
    raise(SIGKILL);
}

static void *volatile handled;

static void handler(int signal)
{
    void *volatile block = malloc(SIZE);

    (void)signal;
    free(block);
}

static void ending_handler(int signal)
{
    (void)signal;
    _exit(0);
}

/* A handler ends the program at any instruction, be it while a frame is written. */
static void exits(void)
{
    struct itimerval after = {{0, 0}, {0, 20000}};

    signal(SIGALRM, ending_handler);
    setitimer(ITIMER_REAL, &after, NULL);
    churn(NULL);
}

/* In a program of one thread on an allocator whose calls a handler may interrupt. */
static void signals(void)
{
    struct sigaction action = {.sa_handler = handler};
    struct itimerspec every = {{0, 100000}, {0, 100000}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    timer_t timer;

    sigaction(SIGALRM, &action, NULL);
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &every, NULL))
        exit(1);
    for (int i = 0; i < 100000; i++) {
        handled = malloc(SIZE);
        free(handled);
    }
    timer_delete(timer);
}

/* As daemons do; what they open then gets the lowest number. */
static void closes(void)
{
    int fd;

    for (int i = 3; i < 2000; i++)
        close(i);
    fd = open("own", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || dup2(fd, 700) < 0 || dup2(fd, 701) < 0)
        exit(1);
    run_threads(relay);
    empty(THREADS);
}

/* A large block, a pause, and threads that each give back what the other one has got. */
static pthread_barrier_t barrier;

static void *swap(void *argument)
{
    size_t row = (size_t)argument;

    for (int i = 0; i < 20; i++) {
        fill(row);
        pthread_barrier_wait(&barrier);
        empty(3 - row);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static void swaps(void)
{
    pthread_t threads[2];
    void *volatile large = malloc(48 << 20);

    usleep(400 * 1000);
    free(large);
    pthread_barrier_init(&barrier, NULL, 2);
    for (size_t i = 0; i < 2; i++) {
        if (pthread_create(&threads[i], NULL, swap, (void *)(i + 1)))
            exit(1);
    }
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (!strcmp(what, "relay"))
        run_threads(relay);
    else if (!strcmp(what, "calls"))
        each_call();
    else if (!strcmp(what, "destructor") && !pthread_key_create(&key, at_thread_end))
        run_threads(with_destructor);
    else if (!strcmp(what, "forks"))
        forks(argv[0]);
    else if (!strcmp(what, "killed"))
        killed();
    else if (!strcmp(what, "signals"))
        signals();
    else if (!strcmp(what, "exits"))
        exits();
    else if (!strcmp(what, "swaps"))
        swaps();
    else if (!strcmp(what, "closes"))
        closes();
    else if (strcmp(what, "nothing"))
        return 2;
    return 0;
}
