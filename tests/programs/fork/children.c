/* SPDX-License-Identifier: MIT */
/* run: libs=so timeout=840 effort=30 */
/* Children in all ways while threads allocate: thousands of forks, children that start threads, parents that are killed,
 * vfork whose child allocates in its parent's memory, spawned programs, and forks without handlers where there is one thread.
 * --forks N --seed N --soak (10,000 forks) */
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "tap.h"

int myalloc_check_heap(void);
#pragma weak myalloc_check_heap

extern char **environ;

enum { THREADS = 4, BLOCKS = 150, KILLED = 60, CHILDREN = 3, VFORKS = 300, PLAIN = 200 };

static _Atomic bool stop;
static pthread_t workers[THREADS];
static _Atomic(void *) common[64]; /* blocks that any thread may take and free */
static uint64_t seed = 1;

static void *churn(void *data) {
    uint64_t random = (uintptr_t)data * 7919 + seed;
    void *blocks[BLOCKS] = {0};
    while (!stop) {
        size_t i = tap_random(&random) % BLOCKS, bytes = tap_random(&random) % 400 ? tap_random(&random) % 3000 : 300000;
        if (tap_random(&random) % 4 == 0)
            blocks[i] = atomic_exchange(&common[tap_random(&random) % 64], blocks[i]);
        blocks[i] = realloc(blocks[i], bytes + 1);
    }
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    return NULL;
}

static void start_workers(void) {
    stop = false;
    for (size_t i = 0; i < THREADS; i++)
        if (pthread_create(&workers[i], NULL, churn, (void *)(i + 1)) != 0)
            abort();
}

static void stop_workers(void) {
    stop = true;
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(workers[i], NULL);
}

static void use(uint64_t random, size_t times) {
    unsigned char *blocks[32] = {0};
    for (size_t n = 0; n < times; n++) {
        size_t i = tap_random(&random) % 32, bytes = tap_random(&random) % 5000 + 1;
        if (blocks[i] != NULL && blocks[i][0] != i)
            _exit(3);
        free(blocks[i]);
        memset(blocks[i] = malloc(bytes), (int)i, bytes);
    }
    for (size_t i = 0; i < 32; i++)
        free(blocks[i]);
}

static void *use_as_thread(void *data) {
    use((uintptr_t)data, 200);
    return NULL;
}

static _Noreturn void child_of_many(unsigned long number) {
    pthread_t ids[2];
    tap_watchdog(60);
    use(number + seed, 100);
    if (number % 10 == 0)
        for (size_t i = 0; i < 2; i++)
            if (pthread_create(&ids[i], NULL, use_as_thread, (void *)(number + i + 1)) != 0)
                _exit(4);
    if (number % 10 == 0)
        for (size_t i = 0; i < 2; i++)
            pthread_join(ids[i], NULL);
    if (number % 20 == 0)
        _exit(myalloc_check_heap() == 0 ? 0 : 5);
    _exit(0);
}

static void many_forks(unsigned long count) {
    unsigned long passed = 0;
    start_workers();
    for (unsigned long i = 1; i <= count; i++) {
        pid_t id = fork();
        if (id == 0)
            child_of_many(i);
        passed += tap_child_passed(id);
    }
    stop_workers();
    tap(passed == count, "%lu of %lu children of a program whose threads allocate; every tenth starts threads", passed, count);
    tap(myalloc_check_heap() == 0, "all invariants hold in the parent");
}

/* A process with threads that forks children until it is killed; they go on. */
static _Noreturn void doomed(_Atomic unsigned *born) {
    start_workers();
    for (unsigned i = 0; i < CHILDREN; i++) {
        if (fork() == 0) {
            tap_watchdog(60);
            for (int n = 0; n < 20; n++) {
                use(n + seed, 200);
                usleep(1000);
            }
            _exit(myalloc_check_heap() == 0 ? 0 : 5);
        }
        ++*born;
    }
    for (;;)
        pause();
}

static void killed_parents(void) {
    uint64_t random = seed;
    unsigned all = 0, passed = 0;
    _Atomic unsigned *born = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (int i = 0; i < KILLED; i++) {
        pid_t parent = fork();
        if (parent == 0)
            doomed(born);
        usleep(tap_random(&random) % 20000);
        kill(parent, SIGKILL);
        int status;
        waitpid(parent, &status, 0);
        for (pid_t id; (id = wait(&status)) > 0;) {
            all++;
            passed += WIFEXITED(status) && WEXITSTATUS(status) == 0;
        }
    }
    tap(passed == all && all > KILLED / 4, "%u of %u children go on when their parent with threads is killed, %d times", passed,
        all, KILLED);
}

/* In the parent's memory, which stands still but for its other threads. */
static void *kept[40];

static __attribute__((noinline)) pid_t one_vfork(bool executes) {
    pid_t id = vfork();
    if (id != 0)
        return id;
    for (size_t k = 0; k < 40; k++)
        kept[k] = malloc(k * 100 + 1);
    for (size_t k = 0; k < 40; k += 2)
        free(kept[k]);
    if (executes)
        execlp("true", "true", (char *)NULL);
    _exit(0);
}

static void vforks(void) {
    int passed = 0;
    start_workers();
    for (int i = 0; i < VFORKS; i++) {
        passed += tap_child_passed(one_vfork(i % 2));
        for (size_t k = 1; k < 40; k += 2)
            free(kept[k]);
    }
    stop_workers();
    tap(passed == VFORKS, "%d of %d children of vfork allocate, then exec or _exit", passed, VFORKS);
    tap(myalloc_check_heap() == 0, "their parent's heap is whole");
}

static void spawned(void) {
    int passed = 0;
    start_workers();
    for (int i = 0; i < 50; i++) {
        pid_t id;
        char *arguments[] = {"true", NULL};
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, 5, "/dev/null", 0, 0);
        passed += posix_spawnp(&id, "true", &actions, NULL, arguments, environ) == 0 && tap_child_passed(id);
        posix_spawn_file_actions_destroy(&actions);
    }
    stop_workers();
    tap(passed == 50, "%d of 50 programs spawned", passed);
}

/* No handlers run. Where there is one thread, nothing is half done. */
static void without_handlers(void) {
    int passed = 0;
    for (int i = 0; i < PLAIN; i++) {
        pid_t id = i % 2 ? _Fork() : (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
        if (id == 0) {
            tap_alarm(20);
            use((uint64_t)i + 1, 300);
            _exit(myalloc_check_heap() == 0 ? 0 : 5);
        }
        passed += tap_child_passed(id);
    }
    tap(passed == PLAIN, "%d of %d children of _Fork and clone, of a process whose threads have ended, allocate", passed,
        PLAIN);
}

int main(int argc, char **argv) {
    unsigned long forks = (unsigned long)tap_effort(1000);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--soak") == 0)
            forks = 10000;
        else if (i + 1 < argc && strcmp(argv[i], "--forks") == 0)
            forks = strtoul(argv[i + 1], NULL, 10);
        else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0)
            seed = strtoul(argv[i + 1], NULL, 10);
    }
    printf("# seed %lu\n", (unsigned long)seed);
    tap_watchdog(270 + (unsigned)forks / 5);
    many_forks(forks);
    vforks();
    spawned();
    without_handlers();
    killed_parents();
    return tap_done();
}
