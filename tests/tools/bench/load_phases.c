/* SPDX-License-Identifier: MIT */
/* phases MIB MILLISECONDS: holds MIB for a while, then three times as much. Prints, by its own clock, the average. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void hold(size_t bytes, useconds_t microseconds) {
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (p == MAP_FAILED)
        abort();
    usleep(microseconds);
}

int main(int argc, char **argv) {
    size_t mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 20;
    useconds_t pause = (argc > 2 ? (useconds_t)atoi(argv[2]) : 200) * 1000;
    double start = now(), between;
    hold(mib << 20, pause);
    between = now();
    hold(2 * mib << 20, pause);
    double first = between - start, second = now() - between;
    printf("figure average %.0f KiB\n", (double)(mib << 10) * (first + 3 * second) / (first + second));
    return 0;
}
