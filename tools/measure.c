/* SPDX-License-Identifier: MIT */
/* measure [-a | -c] [-i MILLISECONDS] [-p] [-s SAMPLES] [-t SECONDS] OUTPUT PROGRAM [ARGUMENTS]: runs a program and
 * writes one line of JSON to the file OUTPUT, with times in seconds and memory in KiB:
 *
 *     {"elapsed", "user", "system", "peak", "tree", "average", "looks", "processes", "minor", "major", "voluntary",
 *      "involuntary", "exit", "signal", "hung"}
 *
 * `peak` is the kernel's, of the largest single process, or what one was seen with where that is more: the kernel adds up
 * a process's pages roughly for its peak, and exactly where it is looked at. `tree` and `average` are the largest value and
 * the average over time of the program and all its descendants together, `processes` the most that were seen at once; so
 * `average` can be more than `peak` only where they are several. They are looked at every MILLISECONDS (10; 0: never, then
 * `tree` and `average` are `peak`), at first more often: each twentieth part of the time passed. What is looked at is
 * resident memory, or with -p the proportional set size, which shares out what processes share but holds a process up
 * while the kernel counts. Looks take no more than a twentieth of a processor's time. SAMPLES gets a line `seconds KiB`
 * for each.
 *
 * Faults, times and switches (`minor`, `major`, `user`, `system`, `voluntary`, `involuntary`) are of all processes. What
 * the program leaves running when it ends is killed, as is everything after SECONDS (`hung`) or on SIGTERM and SIGINT.
 *
 * With -a all figures are of the program alone, with the children it waits for: orphans, such as the client of a server
 * that is the program, are left out of all sums. With -c the program only starts and checks another: its own memory is
 * left out of `tree` and `average`.
 *
 * The exit status is the program's, 128 plus the signal that ended it, 124 when the time was up, or 125 when measuring
 * failed.
 *
 * The kernel carries the peak memory of a process over exec, so a program started from a shell or a scripting
 * language never shows a peak below that of its starter. This one is static and stays smaller than any
 * dynamically linked program. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STATUS_HUNG = 124, STATUS_FAILED = 125, STATUS_SIGNAL_BASE = 128, DEPTH_MAX = 16, LOOK_SHARE = 20 };

static const double FIRST_LOOK = 0.00025, PATIENCE = 5;

extern char **environ;

static struct {
    long interval_ms;
    double limit;
    bool proportional, alone, children;
    const char *samples, *output;
    char **command;
} options = {.interval_ms = 10};

struct looks {
    pid_t pid;
    double start, last, cost, area; /* area: KiB times seconds */
    long count, last_kib, most_kib, one_kib, processes; /* one_kib: the most of a single process */
    FILE *file;
};

static struct {
    long processes, largest_kib;
} seen; /* in the look that is being taken */

static double read_clock(clockid_t id) {
    struct timespec time;
    clock_gettime(id, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double now(void) {
    return read_clock(CLOCK_MONOTONIC);
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

/* Calls `visit` for each child; the sum of what it returns. A list that is longer than the room is cut: its last number
 * may be another process's, and is told by the space that is missing behind it. Children of the first thread only: what
 * other threads start is rare, and each thread is one more file to read. */
static long for_children(pid_t pid, int depth, long (*visit)(pid_t child, int depth)) {
    char path[64], text[4096], *at = text, *end;
    long sum = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    if (depth == DEPTH_MAX || read_file(path, text, sizeof text) == 0)
        return 0;
    for (long child; (child = strtol(at, &end, 10)) > 0 && *end == ' '; at = end)
        sum += visit((pid_t)child, depth);
    return sum;
}

/* One that has just ended has no memory, and is none that was seen. */
static long tree_kib(pid_t pid, int depth) {
    long kib = own_kib(pid);
    seen.processes += kib > 0;
    seen.largest_kib = kib > seen.largest_kib ? kib : seen.largest_kib;
    return kib + for_children(pid, depth + 1, tree_kib);
}

/* As orphans come to this process, all descendants are below it. */
static void look(struct looks *looks) {
    double at = now(), used = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    pid_t root = options.children ? looks->pid : getpid();
    seen.processes = seen.largest_kib = 0;
    long kib = options.alone ? tree_kib(looks->pid, 0) : for_children(root, 0, tree_kib);
    looks->cost = read_clock(CLOCK_PROCESS_CPUTIME_ID) - used; /* elapsed time would be long on a busy machine */
    if (kib == 0) /* the program has just ended */
        return;
    looks->area += (double)(looks->count ? looks->last_kib + kib : 2 * kib) / 2 * (at - looks->last);
    looks->last = at;
    looks->last_kib = kib;
    looks->most_kib = kib > looks->most_kib ? kib : looks->most_kib;
    looks->one_kib = seen.largest_kib > looks->one_kib ? seen.largest_kib : looks->one_kib;
    looks->processes = seen.processes > looks->processes ? seen.processes : looks->processes;
    looks->count++;
    if (looks->file)
        fprintf(looks->file, "%.5f %ld\n", at - looks->start, kib);
}

/* How long until the next look. */
static double pause_after(const struct looks *looks) {
    double most = (double)options.interval_ms / 1000, pause = (now() - looks->start) / LOOK_SHARE;
    if (pause < FIRST_LOOK)
        pause = FIRST_LOOK;
    if (pause > most)
        pause = most;
    return pause > looks->cost * LOOK_SHARE ? pause : looks->cost * LOOK_SHARE;
}

/* ---- the run ------------------------------------------------------------------------------------------------------ */

static sigset_t awaited(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
}

static bool has_ended(pid_t pid) {
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == pid;
}

static int wait_for_signal(double pause) {
    sigset_t set = awaited();
    struct timespec time = {(time_t)pause, (long)((pause - (double)(time_t)pause) * 1e9)};
    return sigtimedwait(&set, NULL, &time);
}

/* Looks at the memory until the program has ended. False if the time was up or a signal came. */
static bool watch(pid_t pid, struct looks *looks) {
    while (!has_ended(pid)) {
        double pause = 1, left = options.limit > 0 ? looks->start + options.limit - now() : pause;
        if (left <= 0)
            return false;
        if (options.interval_ms > 0) {
            look(looks);
            pause = pause_after(looks);
        }
        int came = wait_for_signal(pause < left ? pause : left);
        if (came == SIGTERM || came == SIGINT)
            return false;
    }
    return true;
}

static long kill_tree(pid_t pid, int depth) {
    kill(pid, SIGKILL);
    return for_children(pid, depth + 1, kill_tree);
}

/* Children that are told apart from orphans by nothing: all that are left go. */
static void end_descendants(void) {
    double give_up_at = now() + PATIENCE;
    for (pid_t ended; (ended = waitpid(-1, NULL, WNOHANG)) >= 0 && now() < give_up_at;)
        if (ended == 0) {
            for_children(getpid(), 0, kill_tree);
            nanosleep(&(struct timespec){0, 500000}, NULL);
        }
}

/* The program's mask of signals is the one that this process was started with. */
static int spawn(pid_t *pid) {
    sigset_t set = awaited(), before;
    posix_spawnattr_t attributes;
    sigprocmask(SIG_BLOCK, &set, &before);
    int error = posix_spawnattr_init(&attributes);
    if (error)
        return error;
    posix_spawnattr_setsigmask(&attributes, &before);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    error = posix_spawnp(pid, options.command[0], NULL, &attributes, options.command, environ);
    posix_spawnattr_destroy(&attributes);
    return error;
}

static int write_line(double elapsed, const struct looks *looks, struct rusage usage, int status, bool hung) {
    if (!options.alone)
        getrusage(RUSAGE_CHILDREN, &usage);
    FILE *file = fopen(options.output, "we");
    if (!file)
        return give_up(options.output, errno);
    double average = looks->count ? looks->area / (looks->last - looks->start) : (double)usage.ru_maxrss;
    fprintf(file, "{\"elapsed\": %.6f, \"user\": %.6f, \"system\": %.6f, ", elapsed, seconds(usage.ru_utime),
            seconds(usage.ru_stime));
    fprintf(file, "\"peak\": %ld, \"tree\": %ld, \"average\": %.0f, \"looks\": %ld, \"processes\": %ld, ",
            looks->one_kib > usage.ru_maxrss ? looks->one_kib : usage.ru_maxrss,
            looks->count ? looks->most_kib : usage.ru_maxrss, average, looks->count, looks->processes);
    fprintf(file, "\"minor\": %ld, \"major\": %ld, \"voluntary\": %ld, \"involuntary\": %ld, ", usage.ru_minflt,
            usage.ru_majflt, usage.ru_nvcsw, usage.ru_nivcsw);
    fprintf(file, "\"exit\": %d, \"signal\": %d, \"hung\": %s}\n", WIFEXITED(status) ? WEXITSTATUS(status) : 0,
            WIFSIGNALED(status) && !hung ? WTERMSIG(status) : 0, hung ? "true" : "false");
    return fclose(file) ? give_up(options.output, errno) : 0;
}

static int run(void) {
    struct looks looks = {.file = options.samples ? fopen(options.samples, "we") : NULL};
    struct rusage usage;
    int status = 0;
    pid_t pid;
    if (options.samples && !looks.file)
        return give_up(options.samples, errno);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    looks.start = looks.last = now();
    int error = spawn(&pid);
    if (error)
        return give_up(options.command[0], error);
    looks.pid = pid;
    bool hung = !watch(pid, &looks);
    if (hung)
        kill_tree(pid, 0);
    while (wait4(pid, &status, 0, &usage) < 0)
        if (errno != EINTR)
            return give_up("wait4", errno);
    double end = now();
    looks.area += (double)looks.last_kib * (end - looks.last); /* from the last look to the end */
    looks.last = end;
    end_descendants();
    if (looks.file && fclose(looks.file))
        return give_up(options.samples, errno);
    if (write_line(end - looks.start, &looks, usage, status, hung))
        return STATUS_FAILED;
    if (hung)
        return STATUS_HUNG;
    return WIFSIGNALED(status) ? STATUS_SIGNAL_BASE + WTERMSIG(status) : WEXITSTATUS(status);
}

static int usage_error(void) {
    fputs("usage: measure [-a | -c] [-i MILLISECONDS] [-p] [-s SAMPLES] [-t SECONDS] OUTPUT PROGRAM [ARGUMENTS]\n", stderr);
    return STATUS_FAILED;
}

static bool take_option(int option) {
    char *end = "";
    if (option == 'i')
        options.interval_ms = strtol(optarg, &end, 10);
    else if (option == 't')
        options.limit = strtod(optarg, &end);
    else if (option == 'p')
        options.proportional = true;
    else if (option == 'a')
        options.alone = true;
    else if (option == 'c')
        options.children = true;
    else if (option == 's')
        options.samples = optarg;
    else
        return false;
    return !*end && (strchr("acp", option) || *optarg) && !(options.alone && options.children) &&
           options.interval_ms >= 0 && options.interval_ms <= 60000 && options.limit >= 0 && options.limit < 1e9;
}

int main(int argc, char **argv) {
    int option;
    while ((option = getopt(argc, argv, "+aci:ps:t:")) != -1)
        if (!take_option(option))
            return usage_error();
    if (argc - optind < 2)
        return usage_error();
    options.output = argv[optind];
    options.command = argv + optind + 1;
    return run();
}
