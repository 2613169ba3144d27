/* SPDX-License-Identifier: MIT */
/* checked [--make] EXPECTED PROGRAM [ARGUMENTS]: runs a program and compares what it writes to stdout, by length and
 * hash, with the file EXPECTED; --make writes that file. The exit status is the program's, 128 plus the signal that
 * ended it, 1 if the output is another, 125 if it could not be run. Static and small, so that neither a preload nor its
 * own memory shows in what is measured. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "expected.h"

enum { STATUS_SIGNAL_BASE = 128 };

extern char **environ;

/* Adds up all that comes from the pipe; 0 or an errno. */
static int summarize(int fd, struct written *all) {
    static unsigned char buffer[65536];
    ssize_t got;
    while ((got = read(fd, buffer, sizeof buffer)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno;
        written_add(all, buffer, (size_t)got);
    }
    return 0;
}

/* Starts the program with its stdout into a pipe; the end to read, or the negative errno. */
static int start(char **command, pid_t *pid) {
    int ends[2];
    posix_spawn_file_actions_t actions;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    int error = posix_spawnp(pid, command[0], &actions, NULL, command, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    return error ? -error : ends[0];
}

int main(int argc, char **argv) {
    int making = argc > 1 && strcmp(argv[1], "--make") == 0, status;
    char **arguments = argv + 1 + making;
    struct written all = NOTHING_WRITTEN;
    pid_t pid;
    if (argc - making < 3) {
        fputs("usage: checked [--make] EXPECTED PROGRAM [ARGUMENTS]\n", stderr);
        return STATUS_FAILED;
    }
    int fd = start(arguments + 1, &pid);
    if (fd < 0)
        return give_up(arguments[1], -fd);
    int error = summarize(fd, &all);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return give_up("waitpid", errno);
    if (error)
        return give_up("read", error);
    if (WIFSIGNALED(status))
        return STATUS_SIGNAL_BASE + WTERMSIG(status);
    if (WEXITSTATUS(status) != 0)
        return WEXITSTATUS(status);
    return making ? expected_make(arguments[0], all) : expected_compare(arguments[0], all);
}
