/* SPDX-License-Identifier: MIT */
/* run: helper */
/* touches WHAT: gets large blocks and writes to parts of them that tests/tools/record.test and replay.test know. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MIB = 1 << 20 };

static void *volatile kept;

static void *give(void *block)
{
    free(block);
    return NULL;
}

/* 12 of 48 MiB, given back; a page of 16 MiB of zeros; 1 MiB that grows to 32, of which 4 are written to; 8 of 8 MiB, given
   back by a thread; none of 200,000 bytes; a block too small to be looked at. */
static void parts(void)
{
    char *block = malloc(48 * MIB), *zeros, *grown, *whole;
    void *volatile none, *volatile small;
    pthread_t thread;

    memset(block, 1, 12 * MIB);
    free(block);
    zeros = calloc(1, 16 * MIB);
    zeros[5 * MIB] = 1;
    grown = memset(malloc(MIB), 1, MIB);
    grown = memset(realloc(grown, 32 * MIB), 1, 4 * MIB);
    none = malloc(200000);
    small = malloc(100000);
    whole = memset(malloc(8 * MIB), 1, 8 * MIB);
    if (!none || !small || pthread_create(&thread, NULL, give, whole) || pthread_join(thread, NULL))
        exit(1);
}

/* The child has 4 MiB of its parent, gives it back, and writes to 1 of its own 4. */
static void forks(void)
{
    void *block = malloc(4 * MIB);
    pid_t child = fork();

    if (child == 0) {
        free(block);
        block = memset(malloc(4 * MIB), 1, MIB);
        _exit(!block);
    }
    if (child < 0 || waitpid(child, NULL, 0) != child)
        exit(1);
    free(block);
}

/* Of 4 MiB, 2 are written to before an exec that fails, and 1 more behind it. */
static void fails(void)
{
    char *block = memset(malloc(4 * MIB), 1, 2 * MIB);

    execl("/nowhere", "nowhere", NULL);
    memset(block + 2 * MIB, 1, MIB);
}

/* Of 1 MiB none is written to, in memory that was written to as another block, unless each is mapped by itself. */
static void reuses(void)
{
    free(memset(malloc(MIB), 1, MIB));
    free(memset(malloc(MIB), 1, MIB));
    kept = malloc(MIB);
}

/* A block of 4 MiB of which nothing is told. */
static void killed(void)
{
    void *block = memset(malloc(4 * MIB), 1, MIB);

    for (int i = 0; i < 200000; i++) {
        void *volatile other = malloc(100);

        free(other);
    }
    raise(block ? SIGKILL : SIGTERM);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (!strcmp(what, "parts") || !strcmp(what, "quits"))
        parts();
    else if (!strcmp(what, "forks"))
        forks();
    else if (!strcmp(what, "fails"))
        fails();
    else if (!strcmp(what, "reuses"))
        reuses();
    else if (!strcmp(what, "killed"))
        killed();
    else
        return 2;
    if (!strcmp(what, "quits"))
        _exit(0);
    return 0;
}
