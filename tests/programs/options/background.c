/* SPDX-License-Identifier: MIT */
/* run: helper */
/* What background:on does, for background.test: the first argument says which part. Says what is wrong, and ends by 1 then.
 * Nothing here allocates while it waits. */
#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "../../../alloc/base/myalloc.h"
#include "tap.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
enum { COUNT = 200000, RUN = 2000, KEPT = 20, TRIES = 2000, TRY_US = 10000 }; /* some 38 MB of blocks; 20 s */

static size_t number_in(const char *path, const char *before, int radix) {
    static char text[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0)
        close(fd);
    text[got > 0 ? got : 0] = '\0';
    const char *at = strstr(text, before);
    return at != NULL ? strtoull(at + strlen(before), NULL, radix) : 0;
}

static size_t resident(void) {
    return number_in("/proc/self/status", "VmRSS:", 10) * KIB;
}

/* Threads of the process, and of these the helpers that block all signals but libc's own and those that cannot be blocked. */
static void count_threads(int *threads, int *helpers) {
    const uint64_t blocked = ~(UINT64_C(3) << 31 | UINT64_C(1) << (SIGKILL - 1) | UINT64_C(1) << (SIGSTOP - 1));
    DIR *tasks = opendir("/proc/self/task");
    *threads = *helpers = 0;
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        char path[300], name[32] = "";
        if (task->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        bool named = fd >= 0 && read(fd, name, sizeof name - 1) > 0 && strcmp(name, "myalloc\n") == 0;
        if (fd >= 0)
            close(fd);
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        *helpers += named && number_in(path, "SigBlk:", 16) == blocked;
        (*threads)++;
    }
    closedir(tasks);
}

/* True if there are so many helpers and no other thread but this one, soon. */
static bool has_helpers(int wanted) {
    int threads = 0, helpers = 0;
    for (int tries = 0; tries < TRIES; tries++) {
        count_threads(&threads, &helpers);
        if (threads == 1 + wanted && helpers == wanted)
            return true;
        usleep(TRY_US);
    }
    printf("%d threads, %d helpers\n", threads, helpers);
    return false;
}

/* A peak of small blocks, one run of twenty kept; then no call until the memory is back, but for what the lists of a thread
 * keep, a sixteenth of the heap; or only calls that a list serves, of each of the sizes in turn. */
static bool gives_back(bool calls) {
    static char *blocks[COUNT];
    uint64_t random = 7;
    memset(blocks, 1, sizeof blocks);
    size_t before = resident(), live = 0, after, tries = 0;
    for (size_t i = 0; i < COUNT; i++) {
        size_t bytes = 16 + tap_random(&random) % 360;
        blocks[i] = memset(malloc(bytes), 1, bytes);
        live += i / RUN % KEPT == 0 ? bytes : 0;
    }
    size_t peak = resident() - before;
    for (size_t i = 0; i < COUNT; i++)
        if (i / RUN % KEPT != 0)
            free(blocks[i]);
    while ((after = resident() - before) > live + live / 2 + peak / 8 && tries++ < TRIES) {
        for (size_t bytes = 16; calls && bytes < 376; bytes += 16)
            free(malloc(bytes));
        usleep(TRY_US);
    }
    for (size_t i = 0; i < COUNT; i++)
        if (i / RUN % KEPT == 0)
            free(blocks[i]);
    if (tries <= TRIES && peak > 8 * live)
        return true;
    printf("peak %zu KiB, live %zu, resident %zu\n", peak / KIB, live / KIB, after / KIB);
    return false;
}

static bool forks(void) {
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        if (child == 0) {
            pid_t grandchild = i == 0 ? fork() : -1;
            if (grandchild == 0)
                _exit(has_helpers(1) ? 0 : 1);
            bool good = has_helpers(1) && (i != 0 || tap_child_passed(grandchild)) && (i != 1 || gives_back(false));
            _exit(good && has_helpers(1) ? 0 : 1);
        }
        if (!tap_child_passed(child))
            return false;
    }
    return has_helpers(1);
}

static bool turns(void) {
    for (int i = 0; i < 50; i++) {
        if (mallopt(M_MYALLOC_BACKGROUND, 1) != 1 || (i % 10 == 0 && !has_helpers(1)))
            return false;
        if (mallopt(M_MYALLOC_BACKGROUND, 0) != 1 || (i % 10 == 0 && !has_helpers(0)))
            return false;
    }
    return mallopt(M_MYALLOC_BACKGROUND, 2) == 0 && has_helpers(0) && mallopt(M_MYALLOC_BACKGROUND, 1) == 1 &&
           gives_back(false);
}

static void *turn_often(void *unused) {
    for (int i = 0; i < 200; i++)
        mallopt(M_MYALLOC_BACKGROUND, i % 2);
    return unused;
}

/* Whatever the order, the last word counts; children that are forked meanwhile have what it says in them. */
static bool turned_by_many(void) {
    pthread_t threads[3];
    size_t sound = 0;
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, turn_often, NULL);
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(mallopt(M_MYALLOC_BACKGROUND, 1) == 1 && has_helpers(1) && mallopt(M_MYALLOC_BACKGROUND, 0) == 1 &&
                  has_helpers(0) ? 0 : 1);
        sound += tap_child_passed(child);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    return sound == 20 && mallopt(M_MYALLOC_BACKGROUND, 0) == 1 && has_helpers(0) && mallopt(M_MYALLOC_BACKGROUND, 1) == 1 &&
           has_helpers(1);
}

/* No room for a stack: told, once, and all goes on; the thread is there once there is room. */
/* What of the process lies in huge pages. */
static size_t in_huge_pages(void) {
    return number_in("/proc/self/smaps_rollup", "AnonHugePages:", 10) * KIB;
}

/* Whether the kernel makes a huge page of small ones when it is asked. */
static bool kernel_can(void) {
    char *place = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *at = (char *)(((uintptr_t)place + 2 * MIB - 1) & ~(2 * MIB - 1));
    memset(at, 1, 2 * MIB);
    bool can = madvise(at, 2 * MIB, 25 /* MADV_COLLAPSE */) == 0;
    munmap(place, 4 * MIB);
    return can;
}

/* A heap that is full has its first 32 MiB in small pages, until the helper has come by; the program does not notice. */
static bool makes_huge_pages(void) {
    enum { BLOCKS = 50000, BYTES = 1000 };
    static char *blocks[BLOCKS];
    if (!kernel_can()) {
        puts("none");
        return true;
    }
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = memset(malloc(BYTES), (int)(i % 251), BYTES);
    size_t before = in_huge_pages(), tries = 0;
    while (in_huge_pages() <= before && ++tries < TRIES)
        usleep(TRY_US);
    bool same = true;
    for (size_t i = 0; i < BLOCKS; i++)
        same = same && (unsigned char)blocks[i][0] == i % 251 && memcmp(blocks[i], blocks[i] + 1, BYTES - 1) == 0;
    if (tries == TRIES || !same)
        printf("%zu, then %zu in huge pages; blocks are %s\n", before, in_huge_pages(), same ? "as before" : "changed");
    return tries < TRIES && same;
}

static bool refused(void) {
    struct rlimit none = {1 * MIB, RLIM_INFINITY}, before;
    getrlimit(RLIMIT_AS, &before);
    setrlimit(RLIMIT_AS, &none);
    bool good = mallopt(M_MYALLOC_BACKGROUND, 1) == 1 && mallopt(M_MYALLOC_BACKGROUND, 1) == 1;
    setrlimit(RLIMIT_AS, &before);
    return good && has_helpers(0) && mallopt(M_MYALLOC_BACKGROUND, 1) == 1 && has_helpers(1);
}

static void *works(void *unused) {
    usleep(100000);
    free(malloc(100));
    return unused;
}

static void says_end(void) {
    if (write(STDOUT_FILENO, "end\n", 4) < 0)
        abort();
}

/* The process ends when its last thread but the helper does. */
static void leave_main(void) {
    pthread_t thread;
    atexit(says_end);
    pthread_create(&thread, NULL, works, NULL);
    pthread_detach(thread);
    pthread_exit(NULL);
}

int main(int argc, char **argv) {
    const char *part = argc > 1 ? argv[1] : "";
    tap_watchdog(100);
    if (strcmp(part, "exit") == 0)
        exit(7);
    if (strcmp(part, "leave") == 0)
        leave_main();
    bool good = strcmp(part, "none") == 0     ? has_helpers(0)
                : strcmp(part, "one") == 0    ? has_helpers(1)
                : strcmp(part, "quiet") == 0  ? gives_back(false)
                : strcmp(part, "calls") == 0  ? gives_back(true)
                : strcmp(part, "forks") == 0  ? forks()
                : strcmp(part, "turns") == 0  ? turns()
                : strcmp(part, "many") == 0   ? turned_by_many()
                : strcmp(part, "huge") == 0   ? makes_huge_pages()
                : strcmp(part, "refused") == 0 ? refused()
                                               : false;
    return good ? 0 : 1;
}
