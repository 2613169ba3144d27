/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Threads get their names in one way or another, allocate a block whose size says which, and end, or live on. Then the blocks
 * are overrun and freed: names.test reads who allocated them. usage: names | names reused, where a number is given again */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ENDED = 33, LIVING = 49 }; /* sizes of the first block of each; none is whole, so that a byte behind it can be touched */

static pthread_barrier_t barrier;
static char *blocks[64];
static int number; /* of the last thread that began */

static int by_libc(const char *name) {
    int (*function)(int, ...) = (int (*)(int, ...))dlsym(dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD), "prctl");
    return function(PR_SET_NAME, name);
}

static int by_dlsym(const char *name) {
    int (*function)(int, ...) = (int (*)(int, ...))dlsym(RTLD_DEFAULT, "prctl");
    return function(PR_SET_NAME, name);
}

static int by_system_call(const char *name) {
    return (int)syscall(SYS_prctl, PR_SET_NAME, name);
}

static int by_prctl(const char *name) {
    return prctl(PR_SET_NAME, name);
}

static int by_pthread(const char *name) {
    return pthread_setname_np(pthread_self(), name);
}

static int by_file(const char *name) {
    int file = open("/proc/thread-self/comm", O_WRONLY);
    return write(file, name, strlen(name)) > 0 ? close(file) : -1;
}

static const char *handler_name;
static void handler(int unused) {
    (void)unused;
    prctl(PR_SET_NAME, handler_name);
}

static int by_handler(const char *name) {
    handler_name = name;
    signal(SIGUSR1, handler);
    return raise(SIGUSR1);
}

static int by_two(const char *name) {
    return prctl(PR_SET_NAME, "the-first") != 0 || pthread_setname_np(pthread_self(), "far too long for a name") == 0 ||
           prctl(PR_SET_NAME, NULL) == 0 || pthread_setname_np(pthread_self(), name) != 0;
}

static int by_nobody(const char *name) {
    (void)name;
    return 0;
}

static int by_another(const char *name) { /* main, before the first block; see below */
    (void)name;
    return 0;
}

static int by_another_later(const char *name) { /* the same, after it */
    (void)name;
    return 0;
}

static const struct way {
    const char *name;
    int (*function)(const char *name);
} ways[] = {{"pthread", by_pthread}, {"prctl", by_prctl},          {"handler", by_handler},
            {"dlsym", by_dlsym},     {"two", by_two},              {"before", by_another},
            {"after", by_another_later}, {"syscall", by_system_call}, {"file", by_file},
            {"libc's", by_libc},     {"nobody", by_nobody}};
enum { WAYS = sizeof ways / sizeof *ways };

static void *work(void *given) {
    size_t bytes = (size_t)given;
    const struct way *way = &ways[bytes < LIVING ? bytes - ENDED : bytes - LIVING];
    pthread_barrier_wait(&barrier); /* the name of another is there */
    if (way->function(way->name) != 0)
        abort();
    blocks[bytes] = malloc(bytes);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier); /* the later name, too */
    if (bytes >= LIVING)
        pause();
    return NULL;
}

static void run(size_t bytes) {
    const struct way *way = &ways[bytes < LIVING ? bytes - ENDED : bytes - LIVING];
    pthread_t thread;
    pthread_create(&thread, NULL, work, (void *)bytes);
    if (way->function == by_another)
        pthread_setname_np(thread, way->name);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    if (way->function == by_another_later)
        pthread_setname_np(thread, way->name);
    pthread_barrier_wait(&barrier);
    if (bytes < LIVING)
        pthread_join(thread, NULL);
}

static void overrun(size_t bytes) {
    blocks[bytes][bytes] = 'x';
    free(blocks[bytes]);
}

/* Another process in this one's memory: what it says of itself is not said of the parent. */
static void name_a_child(void) {
    pid_t child = vfork();
    if (child == 0) {
        prctl(PR_SET_NAME, "child");
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

static void name(void) {
    pthread_barrier_init(&barrier, NULL, 2);
    name_a_child();
    for (size_t i = 0; i < WAYS; i++)
        run(ENDED + i);
    for (size_t i = 0; i < WAYS; i++)
        run(LIVING + i);
    pid_t child = fork();
    if (child == 0) { /* the threads that live are the parent's */
        overrun(ENDED);
        overrun(LIVING);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    for (size_t i = 0; i < WAYS; i++)
        overrun(ENDED + i);
    for (size_t i = 0; i < WAYS; i++)
        overrun(LIVING + i);
}

/* ---- a number that is given again --------------------------------------------------------------------------------- */

static void *begin(void *given) {
    size_t bytes = (size_t)given;
    number = (int)syscall(SYS_gettid);
    if (bytes == ENDED || bytes == ENDED + 2)
        prctl(PR_SET_NAME, bytes == ENDED ? "older" : "newer");
    blocks[bytes] = malloc(bytes);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return NULL;
}

/* Others may take the number in between. False if it cannot be chosen. */
static int begin_as(size_t bytes, int wanted, pthread_t *thread) {
    for (int tries = 0; tries < 200; tries++) {
        int file = open("/proc/sys/kernel/ns_last_pid", O_WRONLY);
        if (file < 0 || dprintf(file, "%d", wanted - 1) < 0 || close(file) != 0)
            return 0;
        pthread_create(thread, NULL, begin, (void *)bytes);
        pthread_barrier_wait(&barrier);
        if (number == wanted)
            return 1;
        pthread_barrier_wait(&barrier);
        pthread_join(*thread, NULL);
        free(blocks[bytes]);
    }
    return 0;
}

/* Three threads of one number: one with a name, one without, one with another name, which lives. */
static int reuse(void) {
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&thread, NULL, begin, (void *)(size_t)ENDED);
    pthread_barrier_wait(&barrier);
    int wanted = number;
    for (size_t bytes = ENDED + 1; bytes <= ENDED + 2; bytes++) {
        pthread_barrier_wait(&barrier);
        pthread_join(thread, NULL);
        if (!begin_as(bytes, wanted, &thread))
            return 77;
    }
    for (size_t bytes = ENDED; bytes <= ENDED + 2; bytes++)
        overrun(bytes);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "reused") == 0)
        _exit(reuse());
    name();
    _exit(0);
}
