/* SPDX-License-Identifier: MIT */
/* run: helper */
/* What `myalloc ctl` is tried on (tests/tools/ctl.test). Allocates only when a line of its input says so, and answers each
 * line with one; with an argument, so many threads work on patterned blocks all the time and look whether they stay as they
 * are. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BLOCKS = 2000, KEPT = 64000, STAYING = KEPT / 6, KEPT_BYTES = 1000 };

static char *kept[KEPT];
static atomic_bool ends;
static atomic_size_t rounds, wrong;

static void say(const char *text) {
    struct iovec parts[] = {{(void *)text, strlen(text)}, {"\n", 1}}; /* by one call: a child writes there, too */
    if (writev(1, parts, 2) < 0)
        _exit(3);
}

static void say_number(size_t number) {
    char text[32];
    snprintf(text, sizeof text, "%zu", number);
    say(text);
}

static void check(char **block, size_t bytes, size_t i) {
    if (*block != NULL && (bytes == 0 || (*block)[0] != (char)i || (*block)[bytes - 1] != (char)i))
        wrong++;
    free(*block);
    *block = NULL;
}

static void *work(void *unused) {
    char *blocks[BLOCKS] = {NULL};
    size_t sizes[BLOCKS] = {0};
    unsigned random = 1;
    while (!ends) {
        for (size_t i = 0; i < BLOCKS; i++) {
            check(&blocks[i], sizes[i], i);
            random = random * 1103515245 + 12345;
            sizes[i] = 1 + (random >> 8) % ((random >> 4) % 64 == 0 ? 300000 : 2000);
            blocks[i] = malloc(sizes[i]);
            if (blocks[i] != NULL)
                blocks[i][0] = blocks[i][sizes[i] - 1] = (char)i;
        }
        rounds++;
        usleep(1000);
    }
    for (size_t i = 0; i < BLOCKS; i++)
        check(&blocks[i], sizes[i], i);
    return unused;
}

/* So many slow calls that somebody comes by. */
static void call(void) {
    for (int i = 0; i < 10; i++) {
        char *volatile p = malloc(1 << 20);
        free(p);
    }
}

static void fill(void) {
    for (size_t i = 0; i < KEPT; i++)
        if ((kept[i] = malloc(KEPT_BYTES)) != NULL)
            memset(kept[i], 1, KEPT_BYTES);
}

/* Some stay: a heap that is emptied is given back at its last frees. */
static void drop(void) {
    for (size_t i = STAYING; i < KEPT; i++) {
        free(kept[i]);
        kept[i] = NULL;
    }
}

static void get(size_t bytes) {
    char *volatile p = malloc(bytes);
    say(p != NULL ? "yes" : "no");
    free(p);
}

/* One byte behind small blocks, as many as it takes for one of them to be guarded. */
static void overrun(void) {
    for (int i = 0; i < 100000; i++) {
        char *volatile p = malloc(25);
        p[25] = 1;
        free(p);
    }
    say("untold");
}

static void child(long pid) {
    if (pid != 0) {
        say_number((size_t)pid);
        return;
    }
    call();
    get(100 << 20);
    for (;;)
        pause();
}

static void obey(const char *line) {
    if (!strcmp(line, "call"))
        call();
    else if (!strcmp(line, "fill"))
        fill();
    else if (!strcmp(line, "drop"))
        drop();
    else if (!strcmp(line, "get"))
        return get(100 << 20);
    else if (!strcmp(line, "overrun"))
        return overrun();
    else if (!strcmp(line, "fork"))
        return child(fork());
    else if (!strcmp(line, "clone")) /* no handlers of fork run */
        return child(syscall(SYS_clone, 17 /* SIGCHLD */, 0, 0, 0, 0));
    else if (!strcmp(line, "exec"))
        execl("/bin/sleep", "sleep", "60", (char *)NULL);
    else if (!strcmp(line, "rounds"))
        return say_number(rounds);
    say("done");
}

/* A line, without stdio, which would allocate. */
static int next(char *line, size_t room) {
    size_t at = 0;
    while (at + 1 < room && read(0, line + at, 1) == 1 && line[at] != '\n')
        at++;
    line[at] = '\0';
    return at > 0;
}

int main(int argc, char **argv) {
    pthread_t threads[8];
    int count = argc > 1 ? atoi(argv[1]) : 0;
    char line[64];
    for (int i = 0; i < count; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    say("runs");
    while (next(line, sizeof line))
        obey(line);
    ends = 1;
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    say(wrong == 0 ? "sound" : "unsound");
    return wrong != 0;
}
