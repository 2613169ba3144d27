/* SPDX-License-Identifier: MIT */
/* Programs for trace.test: `traced CASE` does what the case's name says, under mtrace(). Lines that leak are marked
 * with a comment that names the leak and its size, so that the test knows what the script must print. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <mcheck.h>
#include <pthread.h>
#include <stddef.h>

#include "tap.h"

#define ROUNDS 2000
#define THREADS 4

static void *volatile kept; /* the compiler must not find out that blocks are never used */
static volatile size_t too_much = (size_t)PTRDIFF_MAX / 2;

static void known_leaks(void) {
    mtrace();
    kept = malloc(1001);            /* LEAK leaks 1001 */
    kept = calloc(3, 7);            /* LEAK leaks 21 */
    kept = aligned_alloc(256, 512); /* LEAK leaks 512 */
    kept = malloc(300000);          /* LEAK leaks 300000 */
    kept = malloc(0);               /* LEAK leaks 0 */
    void *p = malloc(55);
    free(p);
    free(NULL);
    muntrace();
    kept = malloc(77);
}

static void clean(void) {
    mtrace();
    for (size_t size = 1; size < 4 << 20; size = size * 3 + 1) {
        void *p = malloc(size), *q = NULL;
        if (posix_memalign(&q, 64, size) != 0)
            abort();
        free(p);
        free(q);
    }
    muntrace();
}

static void resizing(void) {
    mtrace();
    void *p = realloc(NULL, 5);
    for (size_t size = 10; size < 2 << 20; size = size * 2 + 3)
        p = realloc(p, size);
    for (size_t size = 1 << 20; size > 100; size = size / 2)
        p = realloc(p, size);
    if (realloc(p, too_much) != NULL || errno != ENOMEM)
        abort();
    kept = malloc(too_much);
    p = reallocarray(p, 11, 11); /* LEAK realloc 121 */
    void *q = malloc(1);
    q = realloc(q, 50000);
    kept = realloc(q, 0);
    muntrace();
    if (p == NULL)
        abort();
}

static void *shared[64];
static pthread_mutex_t shared_mutex = PTHREAD_MUTEX_INITIALIZER;

static void *exchange(unsigned at, void *p) {
    pthread_mutex_lock(&shared_mutex);
    void *old = shared[at];
    shared[at] = p;
    pthread_mutex_unlock(&shared_mutex);
    return old;
}

static void *work(void *data) {
    uint64_t seed = (uintptr_t)data * 7919;
    for (int i = 0; i < ROUNDS; i++) {
        void *p = malloc(tap_random(&seed) % 3000);
        if (i % 3 == 0)
            p = realloc(p, tap_random(&seed) % 9000 + 1);
        free(exchange(tap_random(&seed) % 64, p));
    }
    kept = malloc(4321); /* LEAK threads 4321 */
    return NULL;
}

/* pthread_create's own memory is kept by libc: threads start before the log does, and end after it. */
static pthread_barrier_t begin, end;

static void *work_between(void *data) {
    pthread_barrier_wait(&begin);
    work(data);
    pthread_barrier_wait(&end);
    return NULL;
}

static void threads(void) {
    pthread_t ids[THREADS];
    pthread_barrier_init(&begin, NULL, THREADS + 1);
    pthread_barrier_init(&end, NULL, THREADS + 1);
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&ids[i], NULL, work_between, (void *)(i + 1));
    mtrace();
    pthread_barrier_wait(&begin);
    pthread_barrier_wait(&end);
    for (unsigned i = 0; i < 64; i++)
        free(exchange(i, NULL));
    muntrace();
    for (int i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
}

/* Each start makes the file anew; a second start and a second end do nothing. */
static void several(void) {
    for (int i = 0; i < 3; i++) {
        mtrace();
        mtrace();
        if (i < 2)
            kept = malloc(1234);
        else
            kept = malloc(4567); /* LEAK several 4567 */
        muntrace();
        muntrace();
        kept = malloc(99);
    }
    malloc_trim(0);
    kept = malloc(98);
}

static void *freed_late;

static void free_late(void) {
    free(freed_late);
}

/* No muntrace(): the rest is written at exit, also what is freed by what runs later than mtrace's own handler. */
static void at_exit(void) {
    atexit(free_late);
    mtrace();
    freed_late = malloc(600);
    kept = malloc(601); /* LEAK exit 601 */
}

static void forking(void) {
    mtrace();
    void *p = malloc(500);
    pid_t child = fork();
    if (child == 0) {
        free(p);
        for (int i = 0; i < 3000; i++)
            kept = malloc(100);
        muntrace();
        exit(0);
    }
    kept = malloc(501); /* LEAK fork 501 */
    if (!tap_child_passed(child))
        abort();
    free(p);
    muntrace();
}

/* The program closes what it did not open, and opens a file of its own under the same number. */
static void closed(void) {
    mtrace();
    kept = malloc(10);
    for (int fd = 3; fd < 100; fd++)
        close(fd);
    int own = open(getenv("OWN_FILE"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (int i = 0; i < 3000; i++)
        kept = malloc(10);
    muntrace();
    close(own);
}

static void many(void) {
    mtrace();
    for (int i = 0; i < 3000; i++)
        kept = malloc(10);
    muntrace();
}

static void set_by_itself(void) {
    setenv("MALLOC_TRACE", getenv("OWN_FILE"), 1);
    mtrace();
    kept = malloc(808); /* LEAK setenv 808 */
    muntrace();
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"leaks", known_leaks}, {"clean", clean}, {"realloc", resizing}, {"threads", threads},     {"several", several},
    {"exit", at_exit},      {"fork", forking}, {"closed", closed},   {"setenv", set_by_itself}, {"many", many},
};

int main(int count, char **arguments) {
    tap_watchdog(60);
    for (size_t i = 0; count == 2 && i < sizeof cases / sizeof *cases; i++)
        if (strcmp(cases[i].name, arguments[1]) == 0) {
            cases[i].run();
            return 0;
        }
    fprintf(stderr, "usage: traced CASE\n");
    return 2;
}
