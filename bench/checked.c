/* SPDX-License-Identifier: MIT */
/* checked [--make] EXPECTED PROGRAM [ARGUMENTS]: runs a program and compares what it writes to stdout, by length and
 * hash, with the file EXPECTED; --make writes that file. The exit status is the program's, 128 plus the signal that
 * ended it, 1 if the output is another, 125 if it could not be run. Static and small, so that neither a preload nor its
 * own memory shows in what is measured. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STATUS_DIFFERS = 1, STATUS_FAILED = 125, STATUS_SIGNAL_BASE = 128 };

extern char **environ;

static int give_up(const char *what, int error) {
    fprintf(stderr, "checked: %s: %s\n", what, strerror(error));
    return STATUS_FAILED;
}

/* Writes `LENGTH HASH` of all that comes from the pipe; the hash is 64-bit FNV-1a. */
static int summarize(int fd, char *text, size_t room) {
    static unsigned char buffer[65536];
    uint64_t hash = 0xcbf29ce484222325u;
    unsigned long long length = 0;
    ssize_t got;
    while ((got = read(fd, buffer, sizeof buffer)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno;
        length += (unsigned long long)got;
        for (ssize_t i = 0; i < got; i++)
            hash = (hash ^ buffer[i]) * 0x100000001b3u;
    }
    snprintf(text, room, "%llu %016llx\n", length, (unsigned long long)hash);
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

static int make(const char *expected, const char *text) {
    FILE *file = fopen(expected, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        return give_up(expected, errno);
    return 0;
}

static int compare(const char *expected, const char *text) {
    char wanted[64] = "";
    FILE *file = fopen(expected, "r");
    if (!file || !fgets(wanted, sizeof wanted, file))
        return give_up(expected, file ? EINVAL : errno);
    fclose(file);
    if (strcmp(wanted, text) == 0)
        return 0;
    wanted[strcspn(wanted, "\n")] = '\0';
    fprintf(stderr, "checked: the output is another: length and hash %.*s instead of %s\n", (int)strcspn(text, "\n"),
            text, wanted);
    return STATUS_DIFFERS;
}

int main(int argc, char **argv) {
    int making = argc > 1 && strcmp(argv[1], "--make") == 0, status;
    char text[64], **arguments = argv + 1 + making;
    pid_t pid;
    if (argc - making < 3) {
        fputs("usage: checked [--make] EXPECTED PROGRAM [ARGUMENTS]\n", stderr);
        return STATUS_FAILED;
    }
    int fd = start(arguments + 1, &pid);
    if (fd < 0)
        return give_up(arguments[1], -fd);
    int error = summarize(fd, text, sizeof text);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return give_up("waitpid", errno);
    if (error)
        return give_up("read", error);
    if (WIFSIGNALED(status))
        return STATUS_SIGNAL_BASE + WTERMSIG(status);
    if (WEXITSTATUS(status) != 0)
        return WEXITSTATUS(status);
    return making ? make(arguments[0], text) : compare(arguments[0], text);
}
