/* SPDX-License-Identifier: MIT */
/* measure [-i MILLISECONDS] [-p] [-s SAMPLES] OUTPUT PROGRAM [ARGUMENTS]: runs a program and writes one line to OUTPUT:
 *
 *     elapsed-seconds user-seconds system-seconds peak-KiB minor-faults major-faults
 *     average-KiB voluntary-switches involuntary-switches
 *
 * of the program and all the children that it waited for. The peak is the kernel's, of the largest single process; the
 * average is over time, of the program and all its descendants together, looked at every MILLISECONDS (10; 0: never,
 * then the average is 0). With -p it is of the proportional set size, which shares out what processes share, but holds
 * the program up while the kernel counts. SAMPLES gets a line `seconds KiB` for each look.
 *
 * The exit status is the program's, 128 plus the signal that ended it, or 125 when measuring failed.
 *
 * The kernel carries the peak memory of a process over exec, so a program started from a shell or a scripting
 * language never shows a peak below that of its starter. This one is static and stays smaller than any
 * dynamically linked program. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STATUS_FAILED = 125, STATUS_SIGNAL_BASE = 128, DEPTH_MAX = 16 };

extern char **environ;

static struct {
    long interval_ms;
    int proportional;
    const char *samples, *output;
    char **command;
} options = {.interval_ms = 10};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double seconds(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static int give_up(const char *what, int error) {
    fprintf(stderr, "measure: %s: %s\n", what, strerror(error));
    return STATUS_FAILED;
}

/* ---- memory of a process and its descendants ---------------------------------------------------------------------- */

/* The file's text, NUL-terminated; its length, 0 if it cannot be read (the process has ended). */
static size_t read_file(const char *path, char *text, size_t room) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, room - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = '\0';
    return length > 0 ? (size_t)length : 0;
}

static long own_kib(pid_t pid) {
    char path[64], text[2048];
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/%s", pid, options.proportional ? "smaps_rollup" : "statm");
    if (read_file(path, text, sizeof text) == 0)
        return 0;
    if (options.proportional) {
        const char *line = strstr(text, "\nPss:");
        return line ? strtol(line + strlen("\nPss:"), NULL, 10) : 0;
    }
    return sscanf(text, "%*d %ld", &pages) == 1 ? pages * (sysconf(_SC_PAGESIZE) / 1024) : 0;
}

/* Children of the first thread only: what other threads start is rare, and each thread is one more file to read. */
static long tree_kib(pid_t pid, int depth) {
    char path[64], text[4096], *at = text, *end;
    long sum = own_kib(pid);
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    if (depth == DEPTH_MAX || read_file(path, text, sizeof text) == 0)
        return sum;
    for (long child; (child = strtol(at, &end, 10)) > 0 && end != at; at = end)
        sum += tree_kib((pid_t)child, depth + 1);
    return sum;
}

/* ---- the run ------------------------------------------------------------------------------------------------------ */

/* Looks at the memory until the program has ended. Returns its average over the time. */
static double watch(pid_t pid, double start, FILE *samples) {
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    double sum = 0, last = start;
    while (fd >= 0 && options.interval_ms > 0) {
        int ready = poll(&ended, 1, (int)options.interval_ms);
        if (ready > 0 || (ready < 0 && errno != EINTR))
            break;
        double at = now();
        long kib = tree_kib(pid, 0);
        sum += (double)kib * (at - last);
        last = at;
        if (samples)
            fprintf(samples, "%.4f %ld\n", at - start, kib);
    }
    if (fd >= 0)
        close(fd);
    return last > start ? sum / (last - start) : 0;
}

static int write_line(double elapsed, double average, const struct rusage *usage) {
    FILE *file = fopen(options.output, "w");
    if (!file)
        return give_up(options.output, errno);
    /* Ended before the first look: the peak is the best that is known. */
    if (average == 0 && options.interval_ms > 0)
        average = (double)usage->ru_maxrss;
    fprintf(file, "%.6f %.6f %.6f %ld %ld %ld %.0f %ld %ld\n", elapsed, seconds(usage->ru_utime),
            seconds(usage->ru_stime), usage->ru_maxrss, usage->ru_minflt, usage->ru_majflt, average, usage->ru_nvcsw,
            usage->ru_nivcsw);
    return fclose(file) ? give_up(options.output, errno) : 0;
}

static int run(void) {
    struct rusage usage;
    int status;
    pid_t pid;
    FILE *samples = options.samples ? fopen(options.samples, "we") : NULL;
    if (options.samples && !samples)
        return give_up(options.samples, errno);
    double start = now();
    int error = posix_spawnp(&pid, options.command[0], NULL, NULL, options.command, environ);
    if (error)
        return give_up(options.command[0], error);
    double average = watch(pid, start, samples);
    while (wait4(pid, &status, 0, &usage) < 0)
        if (errno != EINTR)
            return give_up("wait4", errno);
    double elapsed = now() - start;
    if (samples && fclose(samples))
        return give_up(options.samples, errno);
    if (write_line(elapsed, average, &usage))
        return STATUS_FAILED;
    return WIFSIGNALED(status) ? STATUS_SIGNAL_BASE + WTERMSIG(status) : WEXITSTATUS(status);
}

static int usage_error(void) {
    fputs("usage: measure [-i MILLISECONDS] [-p] [-s SAMPLES] OUTPUT PROGRAM [ARGUMENTS]\n", stderr);
    return STATUS_FAILED;
}

int main(int argc, char **argv) {
    char *end = "";
    int option;
    while ((option = getopt(argc, argv, "+i:ps:")) != -1) {
        if (option == 'i')
            options.interval_ms = strtol(optarg, &end, 10);
        else if (option == 'p')
            options.proportional = 1;
        else if (option == 's')
            options.samples = optarg;
        else
            return usage_error();
    }
    if (argc - optind < 2 || *end || options.interval_ms < 0 || options.interval_ms > 60000)
        return usage_error();
    options.output = argv[optind];
    options.command = argv + optind + 1;
    return run();
}
