/* SPDX-License-Identifier: MIT */
/* run: helper */
/* A program whose output nobody takes: gone [none|watch|blocked|pending] [LIMIT], where LIMIT is the length that its files may
 * have. It loses a block, logs calls by mtrace, frees a block twice and returns 7. With `watch` it looks whether a signal has
 * come of all that, and whether its mask is as before; with `blocked` it has SIGPIPE and SIGXFSZ blocked, with `pending` they
 * wait, too. */
#include <malloc.h>
#include <mcheck.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { STATUS = 7, STATUS_SIGNAL = 8, STATUS_MASK = 9, STATUS_WAITING = 10, LOGGED = 3000 };

static volatile sig_atomic_t came;

static void count(int number) {
    (void)number;
    came++;
}

/* What the kernel says of SIGPIPE and SIGXFSZ. */
static int of_writes(const sigset_t *set) {
    return sigismember(set, SIGPIPE) + 2 * sigismember(set, SIGXFSZ);
}

static int blocked(void) {
    sigset_t set;
    sigprocmask(SIG_BLOCK, NULL, &set);
    return of_writes(&set);
}

static int waiting(void) {
    sigset_t set;
    sigpending(&set);
    return of_writes(&set);
}

static void block_both(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigaddset(&set, SIGXFSZ);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Everything that a program has written of it while it runs. */
static void lead_to_messages(void) {
    static void *volatile lost;
    mallopt(M_CHECK_ACTION, 1); /* a fault is told, and the program goes on */
    mtrace();
    for (int i = 0; i < LOGGED; i++) /* more than the log's buffer has room for */
        free(malloc(100));
    lost = malloc(100);
    if (lost != NULL)
        lost = NULL;
    muntrace();
    malloc_stats();
    void *volatile twice = malloc(100);
    free(twice);
    free(twice);
}

static int look(int blocked_before, int waiting_before) {
    if (came != 0)
        return STATUS_SIGNAL;
    return blocked() != blocked_before ? STATUS_MASK : waiting() != waiting_before ? STATUS_WAITING : STATUS;
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    if (argc > 2) {
        struct rlimit limit = {strtoul(argv[2], NULL, 10), RLIM_INFINITY};
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    if (strcmp(how, "watch") == 0) {
        signal(SIGPIPE, count);
        signal(SIGXFSZ, count);
    } else if (strcmp(how, "blocked") == 0) {
        block_both();
    } else if (strcmp(how, "pending") == 0) {
        block_both();
        raise(SIGPIPE);
        raise(SIGXFSZ);
    }
    int blocked_before = blocked(), waiting_before = waiting();
    lead_to_messages();
    return *how != '\0' ? look(blocked_before, waiting_before) : STATUS;
}
