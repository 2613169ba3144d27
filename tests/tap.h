/* SPDX-License-Identifier: MIT */
/* TAP output and a watchdog for the plain test programs. A program that hangs is ended by its watchdog and fails. */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int tap_count, tap_failed;

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

static void tap_expired(int signal_number) {
    static const char text[] = "Bail out! watchdog: the test hangs\n";
    (void)signal_number;
    if (write(STDOUT_FILENO, text, sizeof text - 1) < 0)
        _exit(3);
    _exit(2);
}

/* Fails the program after `seconds`; call it again in a forked child. */
__attribute__((unused)) static void tap_watchdog(unsigned seconds) {
    signal(SIGALRM, tap_expired);
    alarm(seconds);
}

/* Waits for a child; true if it exited with 0. */
__attribute__((unused)) static bool tap_child_passed(pid_t child) {
    int status = -1;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* How often to do what is done n times: TESTS_EFFORT is a percentage, for builds of the library that are slow on purpose. */
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

/* Resident memory of this process in bytes. */
__attribute__((unused)) static size_t tap_resident(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*s %ld", &pages) != 1)
        abort();
    fclose(file);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

#endif
