/* SPDX-License-Identifier: MIT */
/* A process with a heap forks many times while a thread of it allocates; each child replaces some blocks, verifies all
 * it touched and ends. The parent goes on replacing. Written for this bench, after servers that fork for each
 * connection. */
#include <sys/wait.h>
#include "load.h"

static long forks = 30, blocks = 200000, replacements = 2000;

static const struct parameter parameters[] = {
    {"forks", &forks, 1, 1000000}, {"blocks", &blocks, 1, 100000000}, {"replacements", &replacements, 1, 100000000}};

static struct block *table;
static int stop;

static void replace(struct block *set, long count, uint64_t *random) {
    for (long i = 0; i < replacements; i++) {
        struct block *block = &set[random_below(random, (size_t)count)];
        if (block->at != NULL)
            block_drop(block);
        block_new(block, random_pareto(random, 16, 4096), (uint32_t)random_next(random));
    }
}

static void *allocate(void *data) {
    enum { OWN = 100 };
    struct block *own = table_new(OWN, sizeof *own);
    uint64_t random = random_stream(1);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        for (int i = 0; i < OWN; i++)
            block_new(&own[i], random_pareto(&random, 16, 4096), (uint32_t)i);
        for (int i = 0; i < OWN; i++)
            block_drop(&own[i]);
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
    return data;
}

static void fork_one(uint64_t *random) {
    int status = 0;
    pid_t pid = fork();
    if (pid < 0)
        load_fail("fork: %s", strerror(errno));
    if (pid == 0) {
        replace(table, blocks, random);
        _exit(0);
    }
    replace(table, blocks, random);
    if (waitpid(pid, &status, 0) != pid || status != 0)
        load_fail("a child ended with status %d", status);
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    table = table_new((size_t)blocks, sizeof *table);
    uint64_t random = random_stream(0);
    for (long i = 0; i < blocks; i++)
        block_new(&table[i], random_pareto(&random, 16, 4096), (uint32_t)i);
    pthread_t other = thread_start(allocate, NULL);
    for (long i = 0; i < forks; i++)
        fork_one(&random);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    pthread_join(other, NULL);
    for (long i = 0; i < blocks; i++)
        block_drop(&table[i]);
    return 0;
}
