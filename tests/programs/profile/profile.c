/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug,ubsan timeout=360 */
/* The heap profile by the functions of myalloc.h: each way to allocate is recorded with its name, each way to free takes the
 * record away, whichever thread does; it goes on and off while threads allocate; a forked child keeps what is live. */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

int myalloc_check_heap(void);
int myalloc_profile_start(size_t interval);
void myalloc_profile_stop(void);
int myalloc_profile_write(const char *path);
#pragma weak myalloc_check_heap
#pragma weak myalloc_profile_start
#pragma weak myalloc_profile_stop
#pragma weak myalloc_profile_write

static char path[64];

/* What the profile has of a call, in all its sites of a size class; of all calls if `call` is NULL. */
struct sums {
    size_t live, live_bytes, all, all_bytes, peak;
};

static struct sums read_sums(const char *call, size_t class) {
    struct sums sums = {0}, site = {0};
    char line[2000], name[40];
    size_t size, samples, peak, peak_bytes;
    FILE *file = myalloc_profile_write(path) == 0 ? fopen(path, "r") : NULL;
    if (file == NULL || fgets(line, sizeof line, file) == NULL)
        return (struct sums){.live = SIZE_MAX};
    while (fgets(line, sizeof line, file) != NULL) {
        sscanf(line, "%zu: %zu [%zu: %zu] @", &site.live, &site.live_bytes, &site.all, &site.all_bytes);
        if (sscanf(line, "# %39s class %zu samples %zu peak %zu: %zu", name, &size, &samples, &peak, &peak_bytes) != 5)
            continue;
        if (call != NULL && (strcmp(name, call) != 0 || size != class))
            continue;
        sums.live += site.live;
        sums.live_bytes += site.live_bytes;
        sums.all += site.all;
        sums.all_bytes += site.all_bytes;
        sums.peak += peak;
    }
    fclose(file);
    return sums;
}

static bool has(const char *call, size_t class, size_t live, size_t live_bytes, size_t all) {
    struct sums sums = read_sums(call, class);
    if (sums.live == live && sums.live_bytes == live_bytes && sums.all == all)
        return true;
    printf("# %s: %zu live with %zu bytes of %zu, not %zu with %zu of %zu\n", call, sums.live, sums.live_bytes, sums.all, live,
           live_bytes, all);
    return false;
}

/* ---- each way ---------------------------------------------------------------------------------------------------- */

static bool is_right(void *p, size_t bytes, size_t align) {
    memset(p, 0x5a, malloc_usable_size(p));
    return (uintptr_t)p % align == 0 && malloc_usable_size(p) >= bytes;
}

static void calls_are_recorded(void) {
    void *p[7], *aligned = NULL;
    bool right = true;
    p[0] = malloc(1111);
    p[1] = calloc(11, 201);
    for (size_t i = 0; i < 11 * 201; i++)
        right = right && ((char *)p[1])[i] == 0;
    p[2] = aligned_alloc(64, 3000);
    right = right && posix_memalign(&aligned, 256, 5000) == 0;
    p[3] = aligned;
    p[4] = memalign(4096, 5900);
    p[5] = malloc(20000);
    p[6] = malloc(300000);
    static const size_t sizes[] = {1111, 2211, 3000, 5000, 5900, 20000, 300000}, aligns[] = {16, 16, 64, 256, 4096, 16, 16};
    for (int i = 0; i < 7; i++)
        right = is_right(p[i], sizes[i], aligns[i]) && right;
    tap(right, "sampled blocks are aligned, zeroed where they must be, and hold what they say");
    tap(has("malloc", 1152, 1, 1111, 1) && has("calloc", 2304, 1, 2211, 1) && has("aligned_alloc", 3072, 1, 3000, 1) &&
               has("posix_memalign", 5120, 1, 5000, 1) && read_sums("memalign", 6144).live == 1 &&
               has("malloc", 0, 2, 320000, 2),
           "each call is recorded with its name, size class and bytes");
    p[0] = realloc(p[0], 1100);
    tap(has("malloc", 1152, 1, 1111, 1), "a block that realloc leaves in its place keeps its record");
    p[0] = realloc(p[0], 9000);
    p[6] = realloc(p[6], 700000);
    tap(has("malloc", 1152, 0, 0, 1) && has("realloc", 9216, 1, 9000, 1) && has("realloc", 0, 1, 700000, 1) &&
               has("malloc", 0, 1, 20000, 2),
           "one that moves or grows is freed and allocated anew");
    for (int i = 0; i < 7; i++)
        free(p[i]);
    tap(has("malloc", 0, 0, 0, 2) && has("realloc", 9216, 0, 0, 1) && has("posix_memalign", 5120, 0, 0, 1),
           "nothing of them is live when they are free");
}

static void *free_all(void *data) {
    for (void **block = data; *block != NULL; block++)
        free(*block);
    return NULL;
}

static void another_thread_frees(void) {
    void *blocks[101] = {NULL};
    pthread_t thread;
    for (int i = 0; i < 100; i++)
        blocks[i] = malloc(777);
    bool live = has("malloc", 784, 100, 77700, 100);
    pthread_create(&thread, NULL, free_all, blocks);
    pthread_join(thread, NULL);
    tap(live && has("malloc", 784, 0, 0, 100), "blocks are freed by another thread");
}

/* ---- fork -------------------------------------------------------------------------------------------------------- */

static int in_child(void *old) {
    if (!has("malloc", 672, 1, 666, 0))
        return 1;
    void *p = malloc(666);
    if (!has("malloc", 672, 2, 1332, 1))
        return 2;
    free(old);
    free(p);
    return !has("malloc", 672, 0, 0, 1) || myalloc_check_heap() != 0 ? 3 : 0;
}

static void child_keeps_what_is_live(void) {
    void *p = malloc(666);
    int status = -1;
    pid_t child = fork();
    if (child == 0)
        _exit(in_child(p));
    waitpid(child, &status, 0);
    tap(WIFEXITED(status) && WEXITSTATUS(status) == 0 && has("malloc", 672, 1, 666, 1),
           "a forked child keeps what is live, and counts anew (status %d)", status);
    free(p);
}

/* ---- on and off -------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, BLOCKS = 64, SWITCHES = 300 };
static _Atomic bool stop;
static _Atomic unsigned broken;

/* One list serves all calls of a thread of the last kind, which never finds it empty. */
static void *trade(void *data) {
    uint64_t random = (uintptr_t)data * 7919 + 3;
    unsigned char *blocks[BLOCKS];
    bool one = (uintptr_t)data == THREADS - 1;
    while (!stop) {
        size_t count = one ? 1 : tap_random(&random) % BLOCKS, bytes = one ? 64 : (size_t)1 << tap_random(&random) % 16;
        for (size_t i = 0; i < count; i++)
            memset(blocks[i] = malloc(bytes), (int)i + 1, bytes);
        for (size_t i = 0; i < count; i++) {
            broken += blocks[i][0] != i + 1 || blocks[i][bytes - 1] != i + 1;
            free(blocks[i]);
        }
    }
    return NULL;
}

static void goes_on_and_off(void) {
    pthread_t threads[THREADS];
    size_t before = read_sums(NULL, 0).all, after_stop;
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, trade, (void *)i);
    for (int i = 0; i < SWITCHES && broken == 0; i++) {
        myalloc_profile_start(1 << i % 20);
        usleep(200);
        if (i % 3 == 0)
            myalloc_profile_stop();
        if (i % 16 == 0)
            broken += myalloc_check_heap() != 0;
    }
    myalloc_profile_start(1000);
    usleep(100000);
    size_t one = read_sums("malloc", 64).all;
    usleep(100000);
    tap(read_sums("malloc", 64).all > one, "a thread that one list serves is seen");
    myalloc_profile_stop();
    stop = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    after_stop = read_sums(NULL, 0).all;
    tap(broken == 0 && after_stop > before, "on and off %d times while %d threads allocate", SWITCHES, THREADS);
    free(malloc(100));
    tap(read_sums(NULL, 0).all == after_stop && myalloc_check_heap() == 0, "nothing is sampled when it is off");
}

int main(void) {
    tap_watchdog(100);
    snprintf(path, sizeof path, "/tmp/profile.%d.heap", (int)getpid());
    tap(myalloc_profile_start(1) == 0, "starts");
    calls_are_recorded();
    another_thread_frees();
    child_keeps_what_is_live();
    goes_on_and_off();
    tap(myalloc_profile_write("/nowhere/x") == -1 && errno == ENOENT, "a path that is not there is an error");
    unlink(path);
    return tap_done();
}
