/* SPDX-License-Identifier: MIT */
/* measure OUTPUT PROGRAM [ARGUMENTS]: runs a program and writes one line to the file OUTPUT:
 *
 *     elapsed-seconds user-seconds system-seconds peak-memory-KiB minor-faults major-faults
 *
 * of the program and all the children that it waited for (the peak is that of the largest of them). The exit
 * status is the program's, 128 plus the signal that ended it, or 125 when measuring failed.
 *
 * The kernel carries the peak memory of a process over exec, so a program started from a shell or a scripting
 * language never shows a peak below that of its starter. This one is static and stays smaller than any
 * dynamically linked program. */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STATUS_FAILED = 125, STATUS_SIGNAL_BASE = 128 };

extern char **environ;

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static int give_up(const char *what, int error)
{
    fprintf(stderr, "measure: %s: %s\n", what, strerror(error));
    return STATUS_FAILED;
}

static int write_line(const char *output, double elapsed, const struct rusage *usage)
{
    FILE *file = fopen(output, "w");

    if (!file)
        return give_up(output, errno);
    fprintf(file, "%.6f %.6f %.6f %ld %ld %ld\n", elapsed, seconds(usage->ru_utime), seconds(usage->ru_stime),
            usage->ru_maxrss, usage->ru_minflt, usage->ru_majflt);
    return fclose(file) ? give_up(output, errno) : 0;
}

int main(int argc, char **argv)
{
    struct rusage usage;
    double start = now();
    int status, error;
    pid_t pid;

    if (argc < 3) {
        fputs("usage: measure OUTPUT PROGRAM [ARGUMENTS]\n", stderr);
        return STATUS_FAILED;
    }
    error = posix_spawnp(&pid, argv[2], NULL, NULL, argv + 2, environ);
    if (error)
        return give_up(argv[2], error);
    while (wait4(pid, &status, 0, &usage) < 0) {
        if (errno != EINTR)
            return give_up("wait4", errno);
    }
    if (write_line(argv[1], now() - start, &usage))
        return STATUS_FAILED;
    return WIFSIGNALED(status) ? STATUS_SIGNAL_BASE + WTERMSIG(status) : WEXITSTATUS(status);
}
