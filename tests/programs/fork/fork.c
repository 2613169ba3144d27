/* SPDX-License-Identifier: MIT */
/* run: libs=so long_libs=so,debug timeout=900 effort=20 */
/* fork() from a program whose other threads allocate all the time: the child must be able to allocate, and free what the
 * parent had, at once. Every child has a watchdog: a hang is a failure, not a wait. */
#include <malloc.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>

#include "tap.h"

enum { PATIENCE_S = 12 };

extern char **environ;

static _Atomic bool stop;

static void *churn(void *data) {
    uint64_t random = (uintptr_t)data * 991 + 7;
    void *blocks[200] = {0};
    while (!stop) {
        size_t i = tap_random(&random) % 200;
        free(blocks[i]);
        blocks[i] = malloc(tap_random(&random) % 20000 ? tap_random(&random) % 3000 : 300000);
    }
    for (int i = 0; i < 200; i++)
        free(blocks[i]);
    return NULL;
}

static pthread_t workers[4];

static void start_workers(void *(*work)(void *)) {
    stop = false;
    for (int i = 0; i < 4; i++)
        pthread_create(&workers[i], NULL, work, (void *)(uintptr_t)(i + 1));
}

static void stop_workers(void) {
    stop = true;
    for (int i = 0; i < 4; i++)
        pthread_join(workers[i], NULL);
}

static void *blocks[500];

static void make_blocks(void) {
    for (size_t i = 0; i < 500; i++)
        memset(blocks[i] = malloc(i * 40 + 1), (int)i, i * 40 + 1);
}

/* What a child does: uses all of the allocator. Exit status 0 if all was right. */
static void child_work(void) {
    tap_watchdog(20);
    for (size_t i = 0; i < 500; i++) {
        unsigned char *p = blocks[i];
        if (p[0] != (unsigned char)i || p[i * 40] != (unsigned char)i)
            _exit(1);
        p = realloc(p, i * 50 + 1);
        if (p == NULL || p[0] != (unsigned char)i)
            _exit(1);
        free(p);
    }
    for (size_t i = 0; i < 5000; i++) {
        char *p = malloc(i * 7 % 5000 + 1);
        if (p == NULL)
            _exit(1);
        *p = 1;
        if (i % 2)
            free(p);
    }
    _exit(0);
}

/* So many forks; fewer, but a fifth of them in any case, where forks and page faults are so dear that these take PATIENCE_S of
 * this process's time. Returns how many there were; -1 if a child has failed. */
static int forks(int most, void (*work)(void)) {
    struct timespec start, now = {0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    int count = 0;
    while (count < most && (count < most / 5 || now.tv_sec - start.tv_sec < PATIENCE_S)) {
        pid_t child = fork();
        if (child == 0)
            work();
        if (!tap_child_passed(child))
            return -1;
        count++;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    }
    return count;
}

static void while_threads_allocate(void) {
    start_workers(churn);
    int count = forks(tap_effort(250), child_work);
    tap(count > 0, "%d forks while 4 threads allocate", count);
    stop_workers();
}

static void *child_thread(void *data) {
    free(malloc(10));
    stop = false;
    for (int i = 0; i < 1000; i++)
        free(malloc((size_t)i * 10));
    return data;
}

static void nested_work(void) {
    tap_watchdog(20);
    pthread_t id;
    if (pthread_create(&id, NULL, child_thread, NULL) != 0)
        _exit(1);
    pid_t child = fork();
    if (child == 0) {
        tap_watchdog(20);
        pid_t grandchild = fork();
        if (grandchild == 0)
            child_work();
        free(malloc(5000));
        _exit(tap_child_passed(grandchild) ? 0 : 1);
    }
    free(malloc(100));
    bool passed = tap_child_passed(child);
    pthread_join(id, NULL);
    _exit(passed ? 0 : 1);
}

static void nested(void) {
    start_workers(churn);
    int count = forks(tap_effort(50), nested_work);
    tap(count > 0, "%d forks, three deep, with threads in the children", count);
    stop_workers();
}

static void *start_and_end(void *data) {
    while (!stop) {
        pthread_t id;
        if (pthread_create(&id, NULL, child_thread, NULL) == 0)
            pthread_join(id, NULL);
    }
    return data;
}

static void while_threads_end(void) {
    /* child_thread resets `stop`; give the starters their own end by count of forks */
    start_workers(churn);
    pthread_t id;
    static _Atomic bool ended;
    pthread_create(&id, NULL, start_and_end, (void *)&ended);
    int count = forks(tap_effort(100), child_work);
    while (pthread_tryjoin_np(id, NULL) != 0)
        stop = true;
    stop_workers();
    tap(count > 0, "%d forks while threads start and end", count);
}

/* Memory on its way to the OS, outside all locks, at the moment of a fork. */
static void *free_and_trim(void *data) {
    while (!stop) {
        char *p[10];
        for (int i = 0; i < 10; i++)
            memset(p[i] = malloc(100000), 1, 100000);
        for (int i = 0; i < 10; i++)
            free(p[i]);
        malloc_trim(0);
    }
    return data;
}

static void trim_work(void) {
    tap_watchdog(20);
    malloc_trim(0);
    size_t heap = mallinfo2().arena;
    char *p[20];
    for (int i = 0; i < 20; i++)
        memset(p[i] = calloc(1, 100000), 1, 100000);
    for (int i = 0; i < 20; i++)
        free(p[i]);
    malloc_trim(0);
    if (mallinfo2().arena > heap + (4 << 20))
        _exit(1);
    child_work();
}

static void while_memory_goes_back(void) {
    start_workers(free_and_trim);
    int count = forks(tap_effort(150), trim_work);
    tap(count > 0, "%d forks while memory goes back to the OS", count);
    stop_workers();
}

/* Handlers of the program itself allocate, on both sides of ours. */
static void *handler_block;
static int handler_runs;

static void handler_prepare(void) {
    handler_block = malloc(3000);
    free(malloc(100000));
}

static void handler_after(void) {
    free(handler_block);
    for (int i = 0; i < 100; i++)
        free(malloc((size_t)i * 100));
    handler_runs++;
}

static void with_handlers(void) {
    pthread_atfork(handler_prepare, handler_after, handler_after);
    start_workers(churn);
    int count = forks(tap_effort(100), child_work);
    stop_workers();
    tap(count > 0 && handler_runs == count, "%d forks with handlers that allocate", count);
}

/* Lists fill, become spare chains and come back from there: a few more blocks than a list holds go and come, class by class. */
static void *swing(void *data) {
    uint64_t random = (uintptr_t)data * 991 + 7;
    void *wave[64];
    for (size_t bytes; !stop;) {
        bytes = 16 * (tap_random(&random) % 4 + 1);
        size_t count = 4 + tap_random(&random) % 60;
        for (size_t i = 0; i < count; i++)
            wave[i] = malloc(bytes);
        for (size_t i = 0; i < count; i++)
            free(wave[i]);
    }
    return NULL;
}

/* No block of the lists that the child has got is handed out twice. */
static void stamp_work(void) {
    enum { STAMPED = 8000 };
    static size_t *stamped[STAMPED];
    tap_watchdog(20);
    for (size_t i = 0; i < STAMPED; i++)
        if ((stamped[i] = malloc(16 * (i % 4 + 1))) != NULL)
            *stamped[i] = i;
    for (size_t i = 0; i < STAMPED; i++)
        if (stamped[i] == NULL || *stamped[i] != i)
            _exit(1);
    for (size_t i = 0; i < STAMPED; i++)
        free(stamped[i]);
    _exit(0);
}

static void while_lists_swing(void) {
    start_workers(swing);
    int count = forks(tap_effort(150), stamp_work);
    tap(count > 0, "%d forks while lists and spare chains change places", count);
    stop_workers();
}

/* The child gets the blocks that the other threads' lists held. */
static void memory_is_not_lost(void) {
    size_t before = mallinfo2().uordblks;
    start_workers(churn);
    for (int i = 0; i < 50; i++)
        free(malloc(100));
    pid_t child = fork();
    if (child == 0) {
        tap_watchdog(20);
        size_t at_start = mallinfo2().arena;
        for (int i = 0; i < 20000; i++)
            free(malloc((size_t)i % 3000));
        _exit(mallinfo2().arena <= at_start + (1 << 20) ? 0 : 1);
    }
    bool passed = tap_child_passed(child);
    stop_workers();
    tap(passed, "a child's heap does not grow for want of the other threads' lists (%zu bytes live before)", before);
}

static void trim_all_work(void) {
    tap_watchdog(20);
    malloc_trim(0);
    _exit(mallinfo2().fsmblks == 0 ? 0 : 1);
}

static void lists_go_home(void) {
    start_workers(churn);
    usleep(10000);
    tap(forks(tap_effort(20), trim_all_work) > 0, "malloc_trim in a child empties the other threads' lists");
    stop_workers();
}

static void other_ways(void) {
    start_workers(churn);
    int passed = 0, count = tap_effort(20);
    for (int i = 0; i < count; i++) {
        pid_t child;
        char *arguments[] = {"true", NULL};
        passed += posix_spawnp(&child, "true", NULL, NULL, arguments, environ) == 0 && tap_child_passed(child);
        passed += system("true") == 0;
        FILE *pipe = popen("echo hello", "r");
        char line[20] = "";
        passed += pipe != NULL && fgets(line, sizeof line, pipe) != NULL && strcmp(line, "hello\n") == 0;
        if (pipe != NULL)
            pclose(pipe);
        child = vfork();
        if (child == 0) {
            execlp("true", "true", (char *)NULL);
            _exit(1);
        }
        passed += tap_child_passed(child);
    }
    stop_workers();
    tap(passed == 4 * count, "posix_spawn, system, popen and vfork with exec (%d of %d)", passed, 4 * count);
}

static void large_heap(void) {
    enum { COUNT = 100000 };
    static void *heap[COUNT];
    for (int i = 0; i < COUNT; i++)
        memset(heap[i] = malloc(300), 1, 300);
    int count = forks(tap_effort(150), child_work);
    tap(count > 0, "%d forks of a 30 MB heap", count);
    for (int i = 0; i < COUNT; i++)
        free(heap[i]);
}

int main(void) {
    tap_watchdog(280);
    make_blocks();
    int count = forks(tap_effort(200), child_work);
    tap(count > 0, "%d forks of a program with one thread", count);
    while_threads_allocate();
    nested();
    while_threads_end();
    while_memory_goes_back();
    while_lists_swing();
    memory_is_not_lost();
    lists_go_home();
    other_ways();
    large_heap();
    with_handlers();
    return tap_done();
}
