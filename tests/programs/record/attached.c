/* SPDX-License-Identifier: MIT */
/* run: helper */
/* What is recorded while it runs (tests/tools/record_process.test). It calls the allocator only when a line of its input says
   so, and answers each line with one. What its threads call for "go" is known to the test, to the byte. */
#include <malloc.h>
#include <mcheck.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4, SPINNERS_MOST = 8, PLAIN = 300, CLEARED = 100, GROWN = 50, LATE = 30, LIVE = 100 };

struct own {
    char *before, *plain[PLAIN], *cleared[CLEARED], *grown[GROWN];
    void *aligned[35];
};

static struct own owns[THREADS];
static pthread_barrier_t barrier;
static void *early[LATE];
static atomic_bool spins;
static atomic_size_t rounds, wrong, pauses; /* pauses: after so many rounds; 0: none */

static void say(const char *text)
{
    char line[64];
    int length = snprintf(line, sizeof line, "%s\n", text);

    if (write(1, line, (size_t)length) < 0)
        _exit(3);
}

static void say_number(size_t number)
{
    char text[32];

    snprintf(text, sizeof text, "%zu", number);
    say(text);
}

/* The free of what is older than the recording: from then on each call of the thread is seen. */
static void arrive(struct own *own)
{
    free(own->before);
    own->before = NULL;
}

static void call(struct own *own)
{
    void *volatile none = NULL; /* of what is plainly NULL a compiler makes a malloc */
    size_t at = 0;

    for (size_t i = 0; i < PLAIN; i++)
        own->plain[i] = malloc(100);
    for (size_t i = 0; i < CLEARED; i++)
        own->cleared[i] = calloc(10, 30);
    for (size_t i = 0; i < GROWN; i++)
        own->grown[i] = realloc(realloc(none, 400), 4000);
    for (size_t i = 0; i < 20; i++)
        wrong += posix_memalign(&own->aligned[at++], 64, 640) != 0;
    for (size_t i = 0; i < 10; i++)
        own->aligned[at++] = aligned_alloc(128, 1280);
    for (size_t i = 0; i < 5; i++)
        own->aligned[at++] = memalign(256, 2560);
    for (size_t i = 0; i < PLAIN / 2; i++)
        free(own->plain[i]);
}

static void *work(void *data)
{
    struct own *own = data;

    own->before = malloc(50);
    pthread_barrier_wait(&barrier);
    arrive(own);
    call(own);
    pthread_barrier_wait(&barrier);
    pause(); /* the end of a thread gives back, too */
    return NULL;
}

static void go(void)
{
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < THREADS; i++) {
        for (size_t k = PLAIN / 2; k < PLAIN; k++)
            free(owns[i].plain[k]);
    }
}

static void late(void)
{
    for (size_t i = 0; i < LATE / 3; i++)
        early[i] = realloc(early[i], 3000);
    for (size_t i = LATE / 3; i < LATE; i++)
        free(early[i]);
}

/* Blocks with a pattern, given back in another order. */
static void *spin(void *data)
{
    unsigned char *blocks[LIVE] = {NULL};
    unsigned random = (unsigned)(uintptr_t)data;
    size_t own = 0;

    while (spins) {
        size_t at = (random = random * 1103515245 + 12345) >> 8 & 63, size = 1 + (random >> 16) % 1000;

        if (blocks[at] && *blocks[at] != (unsigned char)(at + (uintptr_t)data))
            wrong++;
        free(blocks[at]);
        blocks[at] = malloc(size);
        if (blocks[at])
            *blocks[at] = (unsigned char)(at + (uintptr_t)data);
        rounds++;
        if (pauses && ++own % pauses == 0)
            usleep(100);
    }
    for (size_t i = 0; i < LIVE; i++)
        free(blocks[i]);
    return NULL;
}

static void begin_spinning(size_t count, size_t between_pauses)
{
    pthread_t thread;

    spins = true;
    pauses = between_pauses;
    for (size_t i = 0; i < count && i < SPINNERS_MOST; i++)
        pthread_create(&thread, NULL, spin, (void *)(uintptr_t)(i + 1));
}

/* us of processor time for so many pairs. */
static void measure(size_t pairs)
{
    struct timespec from, to;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (size_t i = 0; i < pairs; i++) {
        char *volatile block = malloc(100);

        free(block);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    say_number((size_t)((to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000));
}

/* In a child: calls all the time, until it is killed. */
static void child(long number)
{
    if (number) {
        say_number((size_t)number);
        return;
    }
    for (;;) {
        char *volatile block = malloc(777);

        free(block);
        usleep(1000);
    }
}

static void refuse(void)
{
    void *volatile block = malloc(60), *volatile none = malloc(SIZE_MAX / 4);

    wrong += none || realloc(block, SIZE_MAX / 8);
    free(block);
}

static void obey(const char *line)
{
    char *volatile block;

    if (!strcmp(line, "call"))
        block = malloc(1 << 20), free(block);
    else if (!strcmp(line, "go"))
        go();
    else if (!strcmp(line, "late"))
        late();
    else if (!strcmp(line, "refuse"))
        refuse();
    else if (!strcmp(line, "mtrace"))
        mtrace();
    else if (!strncmp(line, "spin ", 5))
        begin_spinning((size_t)atoi(line + 5), 0);
    else if (!strncmp(line, "step ", 5))
        begin_spinning((size_t)atoi(line + 5), 1);
    else if (!strncmp(line, "brisk ", 6))
        begin_spinning((size_t)atoi(line + 6), 256);
    else if (!strcmp(line, "still"))
        spins = false;
    else if (!strcmp(line, "rounds"))
        return say_number(rounds);
    else if (!strncmp(line, "measure ", 8))
        return measure((size_t)atol(line + 8));
    else if (!strcmp(line, "fork"))
        return child(fork());
    else if (!strcmp(line, "clone")) /* no handlers of fork run */
        return child(syscall(SYS_clone, 17 /* SIGCHLD */, 0, 0, 0, 0));
    else if (!strcmp(line, "exec"))
        execl("/bin/sleep", "sleep", "60", (char *)NULL);
    say("done");
}

/* A line, without stdio, which would allocate. */
static bool next(char *line, size_t room)
{
    size_t at = 0;

    while (at + 1 < room && read(0, line + at, 1) == 1 && line[at] != '\n')
        at++;
    line[at] = '\0';
    return at > 0;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    char line[64];

    if (argc > 1 && !strcmp(argv[1], "alone")) {
        say("runs");
    } else {
        pthread_barrier_init(&barrier, NULL, THREADS + 1);
        for (size_t i = 0; i < THREADS; i++)
            pthread_create(&thread, NULL, work, &owns[i]);
        for (size_t i = 0; i < LATE; i++)
            early[i] = malloc(70);
        say("runs");
    }
    while (next(line, sizeof line))
        obey(line);
    say(wrong ? "unsound" : "sound");
    _exit(wrong != 0);
}
