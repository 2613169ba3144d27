/* SPDX-License-Identifier: MIT */
/* run: helper */
/* A program that limits itself, or is limited by another process, while it runs: what fits must go on as before, that is
 * threads, mappings, libraries, blocks of all sizes; what does not fit is refused with ENOMEM.
 * later as|data MIB start|threads|outside
 *   start    at the start of main
 *   threads  after blocks of all sizes, while a thread runs and after one has ended
 *   outside  the same, by prlimit of a child
 * Exit status 0 if all was right. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

static pthread_barrier_t gate;

static void *ends(void *data) {
    free(malloc(1000));
    return data;
}

static void *waits(void *data) {
    free(malloc(1000));
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
    free(malloc(1000));
    return data;
}

static bool some_blocks(size_t bytes) {
    void *blocks[200];
    size_t count = 0, taken = 0;
    for (size_t size = 1; taken < bytes && count < 200; size = size * 5 / 4 + 1) {
        size_t wanted = size < bytes / 8 ? size : bytes / 8;
        if ((blocks[count] = malloc(wanted)) == NULL)
            break;
        memset(blocks[count++], 1, wanted);
        taken += wanted;
    }
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
    return taken >= bytes;
}

static bool small_blocks(size_t bytes) {
    void **chain = NULL, **block = NULL;
    size_t taken = 0;
    for (; taken < bytes && (block = malloc(200)) != NULL; taken += 200) {
        *block = chain;
        chain = block;
    }
    for (; chain != NULL; chain = block) {
        block = *chain;
        free(chain);
    }
    return taken >= bytes;
}

static bool refused_in_the_end(size_t bytes) {
    void **chain = NULL, **block = NULL;
    size_t taken = 0;
    errno = 0;
    for (; taken < 2 * bytes && (block = malloc(bytes / 64)) != NULL; taken += bytes / 64) {
        *block = chain;
        chain = block;
    }
    bool refused = block == NULL && errno == ENOMEM;
    for (; chain != NULL; chain = block) {
        block = *chain;
        free(chain);
    }
    return refused;
}

static void set_limit(int resource, size_t bytes, bool outside) {
    struct rlimit limit = {bytes, RLIM_INFINITY};
    pid_t parent = getpid(), child = outside ? fork() : 0;
    if (outside && child == 0)
        _exit(prlimit(parent, (__rlimit_resource_t)resource, &limit, NULL) != 0);
    if (outside ? !tap_child_passed(child) : setrlimit((__rlimit_resource_t)resource, &limit) != 0)
        exit(9);
}

int main(int argc, char **argv) {
    pthread_t ended, waiting, new;
    tap_alarm(60);
    if (argc != 4)
        return 8;
    int resource = strcmp(argv[1], "as") == 0 ? RLIMIT_AS : RLIMIT_DATA;
    size_t bytes = (size_t)atol(argv[2]) << 20;
    bool threads = strcmp(argv[3], "threads") == 0, outside = strcmp(argv[3], "outside") == 0;
    if (strcmp(argv[3], "start") != 0)
        some_blocks(bytes / 16);
    pthread_barrier_init(&gate, NULL, 2);
    if (threads || outside) {
        if (pthread_create(&ended, NULL, ends, NULL) != 0 || pthread_join(ended, NULL) != 0 ||
            pthread_create(&waiting, NULL, waits, NULL) != 0)
            return 7;
        pthread_barrier_wait(&gate);
    }
    set_limit(resource, bytes, outside);
    int thread = pthread_create(&new, NULL, ends, NULL);
    if (thread == 0)
        pthread_join(new, NULL);
    void *mapped = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *library = dlopen("libresolv.so.2", RTLD_NOW);
    bool large = some_blocks(bytes / 4), small = small_blocks(bytes / 16), refused = refused_in_the_end(bytes);
    bool again = some_blocks(bytes / 4) && small_blocks(bytes / 16);
    if (threads || outside) {
        pthread_barrier_wait(&gate);
        pthread_join(waiting, NULL);
    }
    printf("thread %s, mmap %d, dlopen %d, blocks %d, small blocks %d, refused %d, again %d\n", strerror(thread),
           mapped != MAP_FAILED, library != NULL, large, small, refused, again);
    return thread != 0 || mapped == MAP_FAILED || library == NULL || !large || !small || !refused || !again;
}
