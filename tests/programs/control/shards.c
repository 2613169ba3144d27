/* SPDX-License-Identifier: MIT */
/* run: helper */
/* What tools read of size classes that several processors share (tests/tools/shards.py): of each there is a row for each of its
 * shards. Threads, bound to the processors in turn, allocate and free blocks of the same sizes: first strictly one after
 * another, which splits the classes however busy the machine is, then all at once. Then each keeps some blocks and waits. They
 * do so for each line of the input, or at once with an argument; the library's own statistics are the answer, in one line. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../options/json.h"
#include "tap.h"

enum { THREADS = 8, SIZES = 6, BLOCKS = 2000, TURN = 40, ROUNDS = 20 };

static const size_t sizes[SIZES] = {48, 112, 240, 640, 1000, 3000};
static char *kept[THREADS][SIZES][BLOCKS];
static pthread_barrier_t begin, end;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static size_t turns;

/* gdb stops here. */
__attribute__((noinline)) void ready(void) {
    __asm__ volatile("");
}

static void bind(size_t thread) {
    cpu_set_t all, one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return;
    size_t nth = thread % (size_t)CPU_COUNT(&all), processor = 0;
    while (!CPU_ISSET(processor, &all) || nth-- > 0)
        processor++;
    CPU_SET(processor, &one);
    sched_setaffinity(0, sizeof one, &one);
}

static void fill(size_t thread, size_t from, size_t to) {
    for (size_t s = 0; s < SIZES; s++)
        for (size_t i = from; i < to; i++)
            if (kept[thread][s][i] == NULL)
                kept[thread][s][i] = memset(malloc(sizes[s]), 1, sizes[s]);
}

static void drop(size_t thread, size_t stays) {
    for (size_t s = 0; s < SIZES; s++)
        for (size_t i = 0; i < BLOCKS; i++) {
            if (i < stays)
                continue;
            free(kept[thread][s][i]);
            kept[thread][s][i] = NULL;
        }
}

/* Blocks are taken by threads in turn. */
static void fill_in_turn(size_t thread) {
    for (size_t from = 0; from < BLOCKS; from += TURN) {
        pthread_mutex_lock(&lock);
        while (turns % THREADS != thread)
            pthread_cond_wait(&turned, &lock);
        fill(thread, from, from + TURN);
        turns++;
        pthread_cond_broadcast(&turned);
        pthread_mutex_unlock(&lock);
    }
}

static void *work(void *data) {
    size_t thread = (size_t)data;
    bind(thread);
    for (;;) {
        pthread_barrier_wait(&begin);
        fill_in_turn(thread);
        for (size_t round = 0; round < ROUNDS; round++) {
            drop(thread, 100 * thread);
            fill(thread, 0, BLOCKS);
        }
        drop(thread, 100 * thread + 50);
        pthread_barrier_wait(&end);
    }
    return NULL;
}

static void answer(void) {
    json_read();
    size_t length = strlen(json_text);
    for (size_t i = 0; i + 1 < length; i++)
        if (json_text[i] == '\n')
            json_text[i] = ' ';
    if (write(1, json_text, length) != (ssize_t)length)
        _exit(3);
}

int main(int count, char **arguments) {
    char line[16];
    (void)arguments;
    tap_watchdog(300);
    pthread_barrier_init(&begin, NULL, THREADS + 1);
    pthread_barrier_init(&end, NULL, THREADS + 1);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_t id;
        pthread_create(&id, NULL, work, (void *)i);
    }
    answer();
    while (count > 1 || read(0, line, sizeof line) > 0) {
        pthread_barrier_wait(&begin);
        pthread_barrier_wait(&end);
        ready();
        answer();
        count = 1;
    }
    return 0;
}
