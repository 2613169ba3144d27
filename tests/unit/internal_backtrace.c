/* SPDX-License-Identifier: MIT */
/* Frames and their names. The layer counts everything in this executable as the allocator's own code, so what it finds
 * starts in a library: libc's qsort, which calls back. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os_fake.h"
#include "kit/finding.h"
#include "callers/backtrace.h"
#include "callers/stacks.h"
#include "kit/budget.h"

static void *frames[UNWIND_MOST];
static unsigned found, wanted = UNWIND_MOST, skipped;

static int capture(const void *a, const void *b) {
    found = unwind_capture(frames, wanted, skipped);
    return a == b;
}

static NOINLINE void capture_from_libc(void) {
    int two[2] = {0};
    qsort(two, 2, sizeof *two, capture);
}

/* What backtrace_print writes, in static memory. */
static const char *printed(void *const *list, unsigned count) {
    static char text[65536];
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    struct finding finding;
    int real = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    finding_begin(&finding, "a test");
    backtrace_print(&finding, list, count);
    finding_end(&finding);
    dup2(real, STDERR_FILENO);
    close(real);
    close(ends[1]);
    size_t length = 0;
    for (ssize_t n; (n = read(ends[0], text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)n;
    close(ends[0]);
    text[length] = '\0';
    return strchr(text, '\n') + 1;
}

Test(backtrace, starts_outside_the_allocator_and_keeps_errno) {
    errno = 77;
    capture_from_libc();
    cr_assert_eq(errno, 77);
    cr_assert_geq(found, 2);
    struct backtrace_symbol symbol;
    backtrace_resolve(frames[0], &symbol, NULL, 0);
    cr_assert_not_null(symbol.module);
    cr_assert_not_null(strstr(symbol.module, "libc.so"), "first frame in %s", symbol.module);
}

/* One write, of whole lines; the summary and what stands behind it are always there. */
Test(finding, cut_behind_a_line) {
    static char text[2 * FINDING_ROOM], line[600];
    int ends[2], real = dup(STDERR_FILENO);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    memset(line, 'x', sizeof line - 1);
    struct finding finding;
    dup2(ends[1], STDERR_FILENO);
    finding_begin(&finding, "a test");
    for (int i = 0; i < 200; i++)
        finding_line(&finding, "%d %s", i, line);
    finding_summary(&finding, "all of it: %s", line);
    for (int i = 0; i < 3; i++)
        finding_line(&finding, "  for more: %s", line);
    finding_end(&finding);
    dup2(real, STDERR_FILENO);
    close(real);
    close(ends[1]);
    ssize_t length = read(ends[0], text, sizeof text - 1);
    cr_assert(length > (ssize_t)FINDING_ROOM * 9 / 10 && length < (ssize_t)FINDING_ROOM, "%zd bytes", length);
    cr_assert_eq(read(ends[0], line, 1), 0);
    const char *cut = strstr(text, "x\n    ... cut: the report is longer than its buffer\nSUMMARY: myalloc: all of it: xxx");
    cr_assert_not_null(cut, "%s", text + length - 3000);
    cr_assert_eq(length - (cut - text), 2 + 50 + 29 + 600 + 3 * (12 + 600), "%zd", length - (cut - text));
    cr_assert_eq(text[length - 1], '\n');
}

Test(backtrace, limits_and_skipping) {
    capture_from_libc();
    unsigned all = found;
    void *second = frames[1];
    wanted = 1;
    capture_from_libc();
    cr_assert_eq(found, 1);
    skipped = 1;
    capture_from_libc();
    cr_assert_eq(found, 1);
    cr_assert_eq(frames[0], second);
    wanted = 1000;
    skipped = 0;
    capture_from_libc();
    cr_assert_eq(found, all);
    skipped = all;
    capture_from_libc();
    cr_assert_eq(found, 0);
    wanted = 0;
    skipped = 0;
    capture_from_libc();
    cr_assert_eq(found, 0);
}

static NOINLINE int descend(int depth) {
    if (depth == 0)
        capture_from_libc();
    return depth == 0 ? 0 : descend(depth - 1) + 1;
}

Test(backtrace, deep_stacks_are_cut) {
    cr_assert_eq(descend(10000), 10000);
    cr_assert_eq(found, UNWIND_MOST);
}

Test(backtrace, a_line_a_frame) {
    void *list[3] = {(char *)qsort + 1, (void *)16, NULL};
    const char *text = printed(list, 3), *line = text;
    cr_assert_eq(strncmp(text, "    #0 qsort+0x1 (/", 19), 0, "%s", text);
    cr_assert_not_null(strstr(text, "libc.so.6+0x"), "%s", text);
    line = strchr(line, '\n') + 1;
    cr_assert_eq(strncmp(line, "    #1 0xf\n", 11), 0, "%s", line);
    line = strchr(line, '\n') + 1;
    cr_assert_eq(strcmp(line, "    #2 0xffffffffffffffff\n"), 0, "%s", line);
    cr_assert_eq(strlen(printed(list, 0)), 0);
}

Test(backtrace, static_functions_are_named_from_the_file) {
    void *list[1] = {(char *)capture + 1};
    const char *text = printed(list, 1);
    cr_assert_eq(strncmp(text, "    #0 capture+0x1 (", 20), 0, "%s", text);
    struct backtrace_symbol symbol;
    backtrace_resolve(list[0], &symbol, NULL, 0);
    cr_assert_null(symbol.function);
}

static volatile sig_atomic_t signals;

static void in_signal(int number) {
    (void)number;
    void *inner[4];
    unwind_capture(inner, 4, 0);
    signals = signals + 1;
}

static void *capture_often(void *data) {
    int *good = data;
    void *own[8];
    for (int i = 0; i < 2000 || signals == 0; i++) { /* however late the first signal is */
        unsigned count = unwind_capture(own, 8, 0);
        *good += i < 2000 && count > 0 && count <= 8;
    }
    return NULL;
}

Test(backtrace, threads_and_signals, .timeout = 60) {
    signal(SIGUSR1, in_signal);
    pthread_t ids[4];
    int good[4] = {0};
    for (int i = 0; i < 4; i++)
        pthread_create(&ids[i], NULL, capture_often, &good[i]);
    for (int i = 0; i < 200; i++)
        pthread_kill(ids[i % 4], SIGUSR1);
    for (int i = 0; i < 4; i++) {
        pthread_join(ids[i], NULL);
        cr_assert_eq(good[i], 2000);
    }
    cr_assert_gt(signals, 0);
}

/* ---- stacks ------------------------------------------------------------------------------------------------------ */

Test(stacks, each_is_kept_once) {
    void *a[3] = {(void *)1, (void *)2, (void *)3}, *b[3] = {(void *)1, (void *)2, (void *)4};
    uint32_t first = stacks_keep(a, 3), second = stacks_keep(b, 3), shorter = stacks_keep(a, 2);
    cr_assert(first != 0 && second != 0 && shorter != 0);
    cr_assert(first != second && first != shorter);
    cr_assert_eq(stacks_keep(a, 3), first);
    cr_assert_eq(stacks_keep(a, 2), shorter);
    unsigned count;
    void *const *kept = stacks_frames(second, &count);
    cr_assert_eq(count, 3);
    cr_assert_eq(memcmp(kept, b, sizeof b), 0);
    cr_assert_eq(stacks_keep(a, 0), 0);
    cr_assert_null(stacks_frames(0, &count));
    cr_assert_eq(count, 0);
}

Test(stacks, full_is_no_harm, .timeout = 100) {
    void *frames_of[UNWIND_MOST] = {0};
    uint32_t last = 1, first = 0;
    uintptr_t kept = 0;
    for (; last != 0; kept++) {
        frames_of[5] = (void *)kept;
        last = stacks_keep(frames_of, UNWIND_MOST);
        if (kept == 0)
            first = last;
    }
    cr_assert_gt(kept, 100000);
    frames_of[5] = NULL;
    cr_assert_eq(stacks_keep(frames_of, UNWIND_MOST), first);
    cr_assert_eq(stacks_keep((void *[]){(void *)-1}, 0), 0);
}

Test(stacks, a_refusal_is_no_harm) {
    void *one[1] = {(void *)1};
    size_t before = budget_own();
    os_fake_refuse_map = 1;
    cr_assert_eq(stacks_keep(one, 1), 0);
    cr_assert_eq(budget_own(), before);
    os_fake_refuse_map = 0;
    cr_assert_neq(stacks_keep(one, 1), 0);
}
