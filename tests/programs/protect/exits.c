/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug timeout=300 */
/* What is told at exit of blocks that are never freed, at each level that looks at them, wherever the block lies: a NUL one
 * byte behind its end, the commonest of overruns. And protect:paranoid goes on where the kernel's number of mappings would end
 * it: blocks lie side by side then, one line says so, and what is written behind one is told all the same. */
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

#include "tap.h"

static void *volatile sink;

static __attribute__((noinline)) char *take(size_t bytes) {
    sink = malloc(bytes);
    return sink;
}

/* Runs this program anew with the options; *status and what it said. */
static void run_anew(char **arguments, const char *options, int *status, char *said, size_t room) {
    int out[2];
    size_t length = 0;
    *status = -1;
    said[0] = '\0';
    if (pipe(out) != 0)
        return;
    pid_t child = fork();
    if (child == 0) {
        dup2(out[1], 2);
        setenv("MYALLOC_OPTIONS", options, 1);
        execv("/proc/self/exe", arguments);
        _exit(3);
    }
    close(out[1]);
    for (ssize_t got; length < room - 1 && (got = read(out[0], said + length, room - 1 - length)) > 0;)
        length += (size_t)got;
    said[length] = '\0';
    close(out[0]);
    waitpid(child, status, 0);
}

static bool is_told(int status, const char *said) {
    return WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV ||
                                   (WTERMSIG(status) == SIGABRT && strstr(said, "exit(") != NULL &&
                                    strstr(said, "memory clobbered past end of allocated block") != NULL));
}

static void nul_behind_at_exit(const char *options, size_t most) {
    static const size_t sizes[] = {1, 8, 16, 24, 40, 56, 72, 100, 200, 500, 1000, 1024, 3000, 8000, 30000, 33000, 100000,
                                    1000000};
    char name[] = "nul", bytes[24], said[4000];
    char *arguments[] = {"exits", name, bytes, NULL};
    int missed = 0, tried = 0, status;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && sizes[i] <= most; i++, tried++) {
        snprintf(bytes, sizeof bytes, "%zu", sizes[i]);
        run_anew(arguments, options, &status, said, sizeof said);
        if (!is_told(status, said)) {
            missed++;
            printf("# %zu bytes: status %x, %s\n", sizes[i], (unsigned)status, said);
        }
    }
    tap(missed == 0, "a NUL behind a block that is never freed: %d of %d sizes told with %s", tried - missed, tried, options);
}

static int write_nul(size_t bytes) {
    char *p = take(bytes);
    memset(p, 'x', bytes);
    ((volatile char *)p)[bytes] = 0;
    exit(0);
}

/* ---- more blocks than mappings ----------------------------------------------------------------------------------- */

enum { MANY = 36000, LARGE = 33000 };
static unsigned char *blocks[MANY];

static bool is_whole(size_t i, size_t bytes) {
    return blocks[i][0] == (unsigned char)i && blocks[i][bytes - 1] == (unsigned char)(i >> 8);
}

static int go_beyond(bool overrun) {
    size_t got = 0, wrong = 0;
    for (; got < MANY && (blocks[got] = (unsigned char *)take(LARGE)) != NULL; got++) {
        blocks[got][0] = (unsigned char)got;
        blocks[got][LARGE - 1] = (unsigned char)(got >> 8);
    }
    if (overrun)
        ((volatile unsigned char *)blocks[got - 1])[LARGE] = 'A';
    for (size_t i = 1; i < got; i += 2)
        free(blocks[i]);
    for (size_t i = 0; i < got; i += 2)
        wrong += !is_whole(i, LARGE);
    unsigned char *cleared = calloc(1, LARGE);
    for (size_t i = 0; i < LARGE; i++)
        wrong += cleared[i] != 0;
    return got < MANY || wrong > 0;
}

static void beyond(void) {
    static char said[100000];
    char *arguments[] = {"exits", "beyond", NULL}, *wrong[] = {"exits", "overrun", NULL};
    int status;
    run_anew(arguments, "protect:paranoid", &status, said, sizeof said);
    char *line = strstr(said, "lie side by side");
    tap(status == 0 && line != NULL && strstr(line + 1, "lie side by side") == NULL,
        "%d large blocks under paranoid, and one line about it: status %x", MANY, (unsigned)status);
    run_anew(wrong, "protect:paranoid", &status, said, sizeof said);
    tap(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strstr(said, "memory clobbered past end") != NULL,
        "what is written behind one that lies beside others is told");
}

int main(int argc, char **argv) {
    if (argc > 2)
        return write_nul(strtoul(argv[2], NULL, 10));
    if (argc > 1)
        return go_beyond(strcmp(argv[1], "overrun") == 0);
    tap_watchdog(95);
    nul_behind_at_exit("check:3", SIZE_MAX);
    nul_behind_at_exit("protect:sample,sample_interval:1", 32768);
    nul_behind_at_exit("protect:paranoid", SIZE_MAX);
    nul_behind_at_exit("protect:paranoid,sample_interval:1", SIZE_MAX);
    nul_behind_at_exit("protect:paranoid,sample_interval:1000000000,sample_memory:64k", SIZE_MAX);
    beyond();
    return tap_done();
}
