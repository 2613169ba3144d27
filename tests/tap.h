/* SPDX-License-Identifier: MIT */
/* TAP output and a watchdog for the plain test programs. A program that hangs is ended by its watchdog and fails; load alone
 * ends none (start.py). */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int tap_count, tap_failed;
static char tap_clock[256]; /* the file of the clock, or "" */
static long long tap_deadline;
static bool tap_dies;

/* Reports one test; returns `passed`. */
__attribute__((format(printf, 2, 3), unused)) static bool tap(bool passed, const char *name, ...) {
    va_list arguments;
    va_start(arguments, name);
    printf("%s %d - ", passed ? "ok" : "not ok", ++tap_count);
    vprintf(name, arguments);
    putchar('\n');
    fflush(stdout);
    va_end(arguments);
    tap_failed += !passed;
    return passed;
}

__attribute__((unused)) static int tap_done(void) {
    printf("1..%d\n", tap_count);
    return tap_failed > 0;
}

/* Starts this program anew, with options for the library and two arguments, one of them a number. Returns its process, -1 if
 * that is refused. */
__attribute__((unused)) static pid_t tap_start_again(const char *options, const char *what, long number) {
    char text[24];
    snprintf(text, sizeof text, "%ld", number);
    pid_t child = fork();
    if (child == 0) {
        setenv("MYALLOC_OPTIONS", options, 1);
        execl("/proc/self/exe", "again", what, text, NULL);
        _exit(9);
    }
    return child;
}

/* Milliseconds that the machine has given to the test, by the clock of start.py; by the wall where there is none. To be called
 * in a signal handler. */
static long long tap_given(void) {
    char text[16] = "";
    struct timespec now;
    int file = tap_clock[0] != '\0' ? open(tap_clock, O_RDONLY | O_CLOEXEC) : -1;
    long long given = 0;
    if (file < 0 || read(file, text, sizeof text - 1) <= 0) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        given = (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    }
    if (file >= 0)
        close(file);
    for (const char *digit = text; *digit >= '0' && *digit <= '9'; digit++)
        given = given * 10 + (*digit - '0');
    return given;
}

static void tap_expired(int signal_number) {
    static const char text[] = "Bail out! watchdog: the test hangs\n";
    int saved = errno;
    long long left = tap_deadline - tap_given();
    if (left > 0) {
        alarm((unsigned)(left / 1000) + 1);
        errno = saved;
        return;
    }
    if (tap_dies) {
        signal(signal_number, SIG_DFL);
        raise(signal_number);
        return; /* it comes once this handler has returned */
    }
    if (write(STDOUT_FILENO, text, sizeof text - 1) < 0)
        _exit(3);
    _exit(2);
}

/* SIGALRM ends the program after `seconds` that the machine gives it: alarm() for tests. */
__attribute__((unused)) static void tap_alarm(unsigned seconds) {
    const char *clock_file = getenv("TESTS_CLOCK");
    if (clock_file != NULL && strlen(clock_file) < sizeof tap_clock && access(clock_file, R_OK) == 0)
        strcpy(tap_clock, clock_file);
    tap_dies = true;
    tap_deadline = tap_given() + (long long)seconds * 1000;
    signal(SIGALRM, tap_expired);
    alarm(seconds);
}

/* The same, but the program says so and fails; call it again in a forked child. */
__attribute__((unused)) static void tap_watchdog(unsigned seconds) {
    tap_alarm(seconds);
    tap_dies = false;
}

/* The status with which a child has ended, whatever signals come meanwhile; -1 if it is none. */
__attribute__((unused)) static int tap_wait(pid_t child) {
    int status = -1;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

/* Waits for a child; true if it exited with 0. */
__attribute__((unused)) static bool tap_child_passed(pid_t child) {
    int status = -1;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* How often to do what is done n times: TESTS_EFFORT is a percentage, for short runs (`effort=` in tests/README.md) and for
 * builds of the library that are slow on purpose. */
__attribute__((unused)) static int tap_effort(int n) {
    const char *percent = getenv("TESTS_EFFORT");
    long long times = percent != NULL ? (long long)n * atoi(percent) / 100 : n;
    return times < 1 ? 1 : (int)times;
}

/* A small generator, so that runs repeat: xorshift64. The state must not be 0. */
__attribute__((unused)) static uint64_t tap_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Resident memory of this process in bytes; found without an allocation. */
__attribute__((unused)) static size_t tap_resident(void) {
    char text[128] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    const char *second = read(fd, text, sizeof text - 1) > 0 ? strchr(text, ' ') : NULL;
    if (second == NULL)
        abort();
    close(fd);
    return strtoul(second, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

#endif
