/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Works with threads, forks, and makes some system calls by itself. Prints "done". kernel.test runs it. */
#include "tap.h"
#include "work.h"

#include <pthread.h>
#include <sys/mman.h>

static void *thread(void *seed) {
    work_blocks((unsigned)(uintptr_t)seed, 400);
    return NULL;
}

int main(void) {
    pthread_t threads[3];
    tap_watchdog(60);
    for (uintptr_t i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, thread, (void *)(i + 5));
    work(1);
    pid_t child = fork();
    if (child == 0) {
        work_blocks(9, 200);
        _exit(work_wrong != NULL);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    int status;
    work_must(waitpid(child, &status, 0) == child && status == 0, "the child");
    work_must(munmap(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096) == 0, "a mapping");
    if (work_wrong == NULL)
        puts("done");
    else
        fprintf(stderr, "wrong: %s\n", work_wrong);
    return work_wrong != NULL;
}
