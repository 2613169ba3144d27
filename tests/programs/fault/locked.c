/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug */
/* Programs that lock their memory: mlockall takes what glibc's malloc makes it take, and no more, and what is freed goes
 * back. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tap.h"

#define MIB ((size_t)1 << 20)

/* A number of /proc/self/status, in bytes. */
static size_t status(const char *name) {
    char line[200];
    size_t kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtoul(line + strlen(name) + 1, NULL, 10);
    if (file != NULL)
        fclose(file);
    return kib << 10;
}

static void skip(const char *name, const char *reason) {
    printf("ok %d - %s # SKIP %s\n", ++tap_count, name, reason);
    fflush(stdout);
}

/* In a child, which must exit with 0. */
static void in_child(bool (*function)(void), const char *name, bool possible) {
    pid_t child = possible ? fork() : -1;
    if (child == 0) {
        tap_watchdog(60);
        _exit(function() ? 0 : 1);
    }
    if (possible)
        tap(tap_child_passed(child), "%s", name);
    else
        skip(name, "this process may not lock that much memory");
}

static bool lock_everything(void) {
    free(malloc(100));
    size_t tables = status("VmPTE");
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        return false;
    char *blocks[200];
    for (size_t i = 0; i < 200; i++)
        memset(blocks[i] = malloc(20000 + i * 100), 1, 100);
    for (size_t i = 0; i < 200; i++)
        free(blocks[i]);
    printf("# %zu MiB locked, page tables from %zu to %zu KiB\n", status("VmLck") / MIB, tables >> 10, status("VmPTE") >> 10);
    fflush(stdout);
    return status("VmLck") < 64 * MIB && status("VmPTE") < tables + MIB / 2;
}

/* What RLIMIT_MEMLOCK lets anybody do on today's systems. */
static bool lock_eight_mebibytes(void) {
    struct rlimit limit = {8 * MIB, 8 * MIB};
    free(malloc(100));
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || (getuid() == 0 && setuid(65534) != 0))
        return false;
    return mlockall(MCL_CURRENT) == 0 && malloc(1000) != NULL;
}

/* Resident bytes after many blocks were freed and a while has gone by. */
static size_t left(size_t *peak) {
    enum { COUNT = 150000 };
    static char *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        memset(blocks[i] = malloc(1000), 1, 1000);
    *peak = tap_resident();
    for (size_t i = 0; i < COUNT; i++)
        free(blocks[i]);
    usleep(1300000);
    for (int i = 0; i < 5; i++) {
        usleep(100000);
        char *volatile block = malloc(60000);
        free(block);
    }
    return tap_resident();
}

static bool memory_goes_back(void) {
    size_t peak, rest = left(&peak);
    char *zeros = calloc(1, 30 * MIB);
    for (size_t i = 0; i < 30 * MIB; i += 64)
        if (zeros[i] != 0)
            return false;
    free(zeros);
    printf("# %zu MiB, then %zu\n", peak / MIB, rest / MIB);
    fflush(stdout);
    return rest < peak / 4;
}

static bool memory_that_was_locked_before_goes_back(void) {
    return mlockall(MCL_CURRENT | MCL_FUTURE) == 0 && memory_goes_back();
}

static bool memory_that_is_locked_as_it_comes_goes_back(void) {
    return mlockall(MCL_FUTURE) == 0 && memory_goes_back();
}

/* Real-time programs must not fault later, and say so by this parameter. */
static bool memory_stays_where_nothing_is_trimmed(void) {
    size_t peak;
    return mallopt(M_TRIM_THRESHOLD, -1) == 1 && left(&peak) > peak - peak / 16 && malloc_trim(0) == 1 &&
           tap_resident() < peak / 4;
}

static bool locked_memory_stays_where_nothing_is_trimmed(void) {
    return mlockall(MCL_CURRENT | MCL_FUTURE) == 0 && memory_stays_where_nothing_is_trimmed();
}

/* What stayed goes when it is called for by a threshold that can be reached. */
static bool memory_goes_back_once_it_may(void) {
    size_t peak;
    return mallopt(M_TRIM_THRESHOLD, -1) == 1 && left(&peak) > peak - peak / 16 && mallopt(M_TRIM_THRESHOLD, 1 << 20) == 1 &&
           left(&peak) < peak / 4;
}

int main(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_MEMLOCK, &limit);
    bool any = geteuid() == 0 || limit.rlim_cur > 600 * MIB;
    tap_watchdog(100);
    in_child(lock_everything, "mlockall needs no more than there is", any);
    in_child(lock_eight_mebibytes, "a small program can lock itself within 8 MiB", limit.rlim_max >= 8 * MIB || geteuid() == 0);
    in_child(memory_goes_back, "free memory goes back", true);
    in_child(memory_that_was_locked_before_goes_back, "... and so it does if all was locked", any);
    in_child(memory_that_is_locked_as_it_comes_goes_back, "... and if it is locked as it comes", any);
    in_child(memory_stays_where_nothing_is_trimmed, "with M_TRIM_THRESHOLD of -1 it stays, until malloc_trim", true);
    in_child(locked_memory_stays_where_nothing_is_trimmed, "... and if all was locked", any);
    in_child(memory_goes_back_once_it_may, "... and goes by age with another M_TRIM_THRESHOLD", true);
    return tap_done();
}
