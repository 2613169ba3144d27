/* SPDX-License-Identifier: MIT */
/*
 * replay [--show] [--quiet] [--first] FILE...: runs inputs of the calls, each in a process of its own, without
 * libFuzzer.
 * --show prints each call when it is made, --quiet only what fails and a sum, --first stops at the first that fails.
 * --one FILE: in this process. Output is TAP. In the open sandbox the allocator is this process's malloc, so options
 * are given by the environment of each process.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"
#include "decode.h"
#include "sandbox.h"

static uint8_t data[65536];

static size_t read_input(const char *path) {
    int fd = open(path, O_RDONLY);
    ssize_t length = fd < 0 ? -1 : read(fd, data, sizeof data);
    if (length < 0) {
        perror(path);
        exit(2);
    }
    close(fd);
    return (size_t)length;
}

/* What can be pasted: `base64 -d > FILE`. */
static void print_base64(size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    printf("# the input in base64: ");
    for (size_t i = 0; i < size; i += 3) {
        uint32_t bits =
            (uint32_t)data[i] << 16 | (i + 1 < size ? data[i + 1] << 8 : 0) | (i + 2 < size ? data[i + 2] : 0);
        for (size_t k = 0; k < 4; k++)
            putchar(k > size - i ? '=' : digits[bits >> (18 - 6 * k) & 63]);
    }
    putchar('\n');
}

static void run_one(const char *path) {
    size_t size = read_input(path);
    alarm(60); /* an input takes milliseconds */
    calls_run(data, size);
    exit(0);
}

static int run_child(const char *program, const char *path, bool shown) {
    static struct call calls[CALLS_MOST];
    static char options[160];
    struct start start;
    decode(data, read_input(path), &start, calls);
    snprintf(options, sizeof options, "MYALLOC_OPTIONS=%s", start.options);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (!sandbox_closed) {
            putenv(options);
            putenv("MALLOC_TRACE=/dev/null");
            execl(program, program, shown ? "--show" : "--hide", "--one", path, (char *)NULL);
            _exit(127);
        }
        run_one(path);
    }
    int status = -1;
    return waitpid(child, &status, 0) == child ? status : -1;
}

int main(int argc, char **argv) {
    bool quiet = false, first = false;
    int count = 0, failed = 0;
    for (int i = 1; i < argc && !(first && failed > 0); i++) {
        if (strcmp(argv[i], "--show") == 0) {
            calls_shown = true;
        } else if (strcmp(argv[i], "--hide") == 0) {
            continue;
        } else if (strcmp(argv[i], "--quiet") == 0) {
            quiet = true;
        } else if (strcmp(argv[i], "--first") == 0) {
            first = true;
        } else if (strcmp(argv[i], "--one") == 0 && i + 1 < argc) {
            run_one(argv[i + 1]);
        } else {
            int status = run_child(argv[0], argv[i], calls_shown);
            const char *name = strrchr(argv[i], '/') ? strrchr(argv[i], '/') + 1 : argv[i];
            count++;
            failed += status != 0;
            if (status != 0 || !quiet)
                printf("%s %d - %s\n", status == 0 ? "ok" : "not ok", count, name);
            if (status != 0) {
                printf("# ends by %s %d\n", WIFSIGNALED(status) ? "signal" : "exit status",
                       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
                print_base64(read_input(argv[i]));
            }
        }
    }
    if (quiet)
        printf("%d inputs, %d failed\n", count, failed);
    else
        printf("1..%d\n", count);
    return failed > 0;
}
