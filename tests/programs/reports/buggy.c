/* SPDX-License-Identifier: MIT */
/* run: helper */
/* A fault or a leak a case, for reports.test and others. usage: buggy CASE [FOLDER], which it then goes to */
#include <fcntl.h>
#include <mcheck.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char *volatile block; /* the compiler shall not see through what is done to it */

__attribute__((noinline)) static void take(size_t bytes) {
    block = malloc(bytes); /* take */
}

__attribute__((always_inline)) static inline void give(void) {
    free(block); /* give */
}

__attribute__((noinline)) static void end(void) {
    give(); /* inlined */
    block = NULL;
}

/* Whatever of the address is left in registers or on the stack below is overwritten. */
__attribute__((noinline)) static void wipe(void) {
    char room[4096];
    for (int i = 0; i < 16; i++)
        snprintf(room, sizeof room, "%4000d %f", i, i / 3.0);
}

__attribute__((noinline)) static void lose(void) {
    take(77);
    block = NULL;
    wipe();
}

static void *worker(void *unused) {
    prctl(PR_SET_NAME, "worker");
    take(24);
    block[24] = 'A';
    end();
    return unused;
}

enum { ENDED = 1100 }; /* threads, more than names are kept of */
static char *ended_blocks[ENDED];

static void *ended(void *number) {
    size_t i = (size_t)number;
    char name[16];
    snprintf(name, sizeof name, "ended-%zu", i);
    if (i % 2 == 0)
        pthread_setname_np(pthread_self(), name);
    else
        prctl(PR_SET_NAME, name);
    ended_blocks[i] = malloc(24);
    return NULL;
}

/* Blocks of the first thread, the last one and the one before are overrun. */
static void end_threads(void) {
    pthread_t thread;
    for (size_t i = 0; i < ENDED; i++) {
        pthread_create(&thread, NULL, ended, (void *)i);
        pthread_join(thread, NULL);
    }
    for (size_t i = 0; i < ENDED; i++) {
        if (i == 0 || i >= ENDED - 2)
            ended_blocks[i][24] = 'x';
        free(ended_blocks[i]);
    }
}

static void own(int number) {
    (void)number;
    fputs("own handler\n", stderr);
    exit(7);
}

static void again(int number) {
    signal(number, SIG_DFL);
    raise(number);
}

/* A write to a freed block, if the signal's name is in capitals, or a leak; then the signal. */
static void signalled(int number, bool late) {
    if (late) {
        take(24);
        char *volatile freed = block;
        end();
        freed[3] = 'x';
    } else {
        lose();
    }
    if (number == SIGABRT)
        abort();
    raise(number);
}

/* Every descriptor but standard output becomes an empty file in a child, which then ends; its length is told. */
static void reuse(void) {
    char path[] = "/tmp/reused-XXXXXX";
    struct stat status;
    int empty = mkstemp(path);
    unlink(path);
    pid_t child = fork();
    if (child != 0) {
        waitpid(child, NULL, 0);
        fstat(empty, &status);
        printf("%d bytes\n", (int)status.st_size);
        fflush(stdout);
        _exit(0);
    }
    for (int other = 3; other < 300; other++)
        if (other != empty && fcntl(other, F_GETFD) >= 0)
            dup2(empty, other);
    close(2);
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "";
    static const struct {
        const char *name;
        int number;
    } signals[] = {{"term", SIGTERM}, {"int", SIGINT}, {"hup", SIGHUP}, {"abort", SIGABRT}};
    if (argc > 2 && chdir(argv[2]) != 0)
        return 2;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (strcasecmp(name, signals[i].name) == 0)
            signalled(signals[i].number, *name < 'a');
    if (strcmp(name, "own") == 0 || strcmp(name, "again") == 0) {
        signal(SIGTERM, *name == 'o' ? own : again);
        lose();
        raise(SIGTERM);
    }
    if (strcmp(name, "leak") == 0) {
        lose();
        printf("unflushed\n");
    }
    if (strcmp(name, "worker") == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, worker, NULL);
        pthread_join(thread, NULL);
    }
    if (strcmp(name, "reused") == 0)
        reuse();
    if (strcmp(name, "ended") == 0)
        end_threads();
    if (strcmp(name, "traced") == 0)
        mtrace();
    take(24);
    if (strcmp(name, "overrun") == 0)
        memcpy(block + 24, "AB", 3);
    if (strcmp(name, "late") == 0 || strcmp(name, "guarded") == 0) {
        char *volatile freed = block;
        end();
        if (*name == 'g')
            return freed[3];
        freed[3] = 'x';
        return 0;
    }
    if (strcmp(name, "twice") == 0)
        give();
    end();
    return 0;
}
