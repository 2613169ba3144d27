// SPDX-License-Identifier: MIT
// run: helper
// What unwinders find hard: exceptions, signals on the stack and on one of their own, the vdso, deep recursion, frames of a
// size that only running tells, functions that align their stack, calls through linkage tables that are not bound yet.
// compare.c stops it, started by unwind.test.
#include <alloca.h>
#include <csignal>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <stdexcept>
#include <string>
#include <unistd.h>

#define KEPT __attribute__((noinline))

static volatile int sink;

KEPT static int recurse(int depth) {
    volatile int here = depth;
    return depth == 0 ? 0 : recurse(depth - 1) + here;
}

KEPT static int sized(int bytes) {
    char *room = static_cast<char *>(alloca(static_cast<size_t>(bytes)));
    memset(room, 1, static_cast<size_t>(bytes));
    return room[bytes / 2] + recurse(2);
}

struct alignas(64) aligned {
    double values[8];
};

KEPT static double align(int n, ...) {
    aligned rows[3] = {};
    rows[n % 3].values[n % 8] = std::sqrt(static_cast<double>(n));
    sink = recurse(2);
    return rows[1].values[1] + rows[n % 3].values[n % 8];
}

struct counted {
    ~counted() { sink = sink + 1; }
};

KEPT static void thrower(int depth) {
    counted one;
    if (depth == 0)
        throw std::runtime_error("as meant");
    thrower(depth - 1);
    sink = sink + 1;
}

KEPT static int catcher(int depth) {
    try {
        thrower(depth);
    } catch (const std::exception &error) {
        return static_cast<int>(strlen(error.what()));
    }
    return 0;
}

static void handle(int) {
    sink = sink + recurse(3);
    if (sink % 4 == 1)
        sink = sink + catcher(2);
}

static void in_signals() {
    static char stack[65536];
    stack_t other = {};
    other.ss_sp = stack;
    other.ss_size = sizeof stack;
    sigaltstack(&other, nullptr);
    struct sigaction action = {};
    action.sa_handler = handle;
    sigaction(SIGUSR1, &action, nullptr);
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGUSR2, &action, nullptr);
    raise(SIGUSR1);
    raise(SIGUSR2);
}

static int by_value(const void *a, const void *b) {
    return *static_cast<const int *>(a) - *static_cast<const int *>(b);
}

int main(int, char **arguments) {
    for (int rounds = arguments[1] != nullptr ? atoi(arguments[1]) : 1; rounds-- > 0;) {
        std::map<std::string, int> words;
        for (int i = 0; i < 8; i++)
            words[std::to_string(i * 7919 % 101)] = i;
        int numbers[16];
        for (int i = 0; i < 16; i++)
            numbers[i] = i * 7919 % 101;
        qsort(numbers, 16, sizeof *numbers, by_value);
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        sink = sink + catcher(5) + sized(100 + rounds % 7 * 500) + recurse(40) + static_cast<int>(align(rounds % 24, 1.0));
        in_signals();
        char text[64];
        snprintf(text, sizeof text, "%f", std::sin(numbers[3]));
        sink = sink + static_cast<int>(strlen(text) + words.size());
    }
    puts("done");
}
