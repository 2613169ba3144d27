/* SPDX-License-Identifier: MIT */
/* Faults in guarded pages and among hardened blocks: what is said of them, and that the program's earlier handler is served as
 * if we were not there. */
#include <criterion/criterion.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/os.h"
#include "kit/lock.h"
#include "kit/modes.h"
#include "protect/guarded.h"
#include "protect/hardened.h"
#include "protect/hardened_mapped.h"
#include "protect/hardened_slab.h"
#include "protect/hardened_small.h"
#include "protect/trap.h"
#include "protect/judge.h"
#include "protect/sampler.h"
#include "os_fake.h"
#include "kit/report.h"
#include "kit/tunables.h"
#include "heap/mode_switch.h"

static sigjmp_buf back;
static volatile sig_atomic_t caught;
static char said[8192];

static void plain(int number) {
    caught = number;
    siglongjmp(back, 1);
}

static void informed(int number, siginfo_t *info, void *context) {
    caught = info->si_addr != NULL && context != NULL ? number : -1;
    siglongjmp(back, 1);
}

static void begin(void) {
    tunables.sample_memory = 64 * KIB;
    tunables.sample_interval = 1;
    tunables.fault_report = 1;
    cr_assert(guarded_start());
    mode_switch_on(MODE_GUARDED);
}

TestSuite(trap, .init = begin);

static void start(struct sigaction earlier) {
    sigemptyset(&earlier.sa_mask);
    sigaction(SIGSEGV, &earlier, NULL);
    sigaction(SIGBUS, &earlier, NULL);
    trap_start();
}

static char *block(size_t bytes) {
    cr_assert(sampler_is_due(1));
    bool zeroed;
    char *p = guarded_protection.alloc(bytes, 16, &zeroed, "malloc");
    cr_assert_not_null(p);
    return p;
}

/* Reads there; what is said on standard error is in `said`. */
static void touch(const char *at) {
    FILE *file = tmpfile();
    int real = dup(STDERR_FILENO);
    caught = 0;
    dup2(fileno(file), STDERR_FILENO);
    if (sigsetjmp(back, 1) == 0)
        (void)*(const volatile char *)at;
    dup2(real, STDERR_FILENO);
    ssize_t length = pread(fileno(file), said, sizeof said - 1, 0);
    said[length > 0 ? length : 0] = '\0';
    fclose(file);
    close(real);
}

static void expect_said(const char *what) {
    cr_assert_not_null(strstr(said, what), "no \"%s\" in: %s", what, said);
}

Test(trap, use_after_free) {
    start((struct sigaction){.sa_sigaction = informed, .sa_flags = SA_SIGINFO});
    char *p = block(100);
    judge_free(&guarded_protection, p, "free", SIZE_MAX, 0);
    touch(p + 7);
    cr_assert_eq(caught, SIGSEGV);
    expect_said("use after free: ");
    expect_said(", 7 bytes inside the block of 100 bytes at ");
    expect_said("allocated by malloc");
    expect_said("freed by free");
    expect_said("last events of guarded pages, newest first:");
    touch(p + 8); /* and again */
    cr_assert_eq(caught, SIGSEGV);
    expect_said(", 8 bytes inside the block");
}

Test(trap, beyond_the_pages) {
    start((struct sigaction){.sa_handler = plain});
    char *p = block(OS_PAGE);
    touch(p + OS_PAGE + 3);
    cr_assert_eq(caught, SIGSEGV);
    expect_said("buffer overflow: ");
    expect_said(", 3 bytes behind the block of 4096 bytes");
    touch(p - 5);
    expect_said("buffer underflow: ");
    expect_said(", 5 bytes before the block of 4096 bytes");
}

Test(trap, no_block_yet) {
    start((struct sigaction){.sa_handler = plain});
    char *p = block(100);
    touch((char *)align_down((uintptr_t)p, OS_PAGE) + 5 * OS_PAGE);
    cr_assert_eq(caught, SIGSEGV);
    expect_said("a guarded page that no block had yet");
}

Test(trap, in_short) {
    start((struct sigaction){.sa_handler = plain});
    char *p = block(OS_PAGE);
    report_set_action(REPORT_SAY | REPORT_SHORT);
    touch(p + OS_PAGE);
    expect_said("buffer overflow: ");
    cr_assert_null(strstr(said, "allocated by"), "%s", said);
}

Test(trap, handler_for_one_time) {
    struct sigaction now;
    start((struct sigaction){.sa_handler = plain, .sa_flags = (int)SA_RESETHAND});
    touch(block(OS_PAGE) + OS_PAGE);
    cr_assert_eq(caught, SIGSEGV);
    sigaction(SIGSEGV, NULL, &now);
    cr_assert(now.sa_handler == SIG_DFL);
}

/* ---- hardened blocks ----------------------------------------------------------------------------------------------- */

static char *hardened(const struct protection *row, size_t bytes) {
    bool zeroed;
    if (range_plan == NULL) {
        cr_assert(hardened_start());
        mode_switch_on(MODE_HARDENED);
    }
    char *p = row->alloc(bytes, 16, &zeroed, "malloc");
    cr_assert_not_null(p);
    return p;
}

Test(trap, beyond_a_slab) {
    start((struct sigaction){.sa_handler = plain});
    char *p = hardened(&hardened_small_protection, 1000), *end = p;
    while (os_can_read(end))
        end += 8;
    touch(end);
    expect_said("buffer overflow: ");
    expect_said(" behind the block of 1000 bytes");
    expect_said("allocated by malloc");
    for (end = p; os_can_read(end - 8);)
        end -= 8;
    touch(end - 1);
    expect_said("buffer underflow: ");
    expect_said(" before the block of 1000 bytes");
    touch(end + MIB);
    expect_said("between hardened blocks, none is near");
}

/* A slab without blocks is gone; while one behind it is there, it is known what was in it. */
Test(trap, a_slab_that_is_gone) {
    start((struct sigaction){.sa_handler = plain});
    char *blocks[200];
    for (size_t i = 0; i < 200; i++)
        blocks[i] = hardened(&hardened_small_protection, 1000);
    for (size_t i = 0; i < 100; i++)
        judge_free(&hardened_small_protection, blocks[i], "free", SIZE_MAX, 0);
    hardened_small_protection.trim(true);
    cr_assert_not(os_can_read((char *)align_down((uintptr_t)blocks[0], 8)));
    touch(blocks[0] + 3);
    expect_said("use after free: ");
    expect_said(", 3 bytes inside the block of 1000 bytes");
    expect_said("freed by free");
}

static void large_blocks(bool places) {
    start((struct sigaction){.sa_handler = plain});
    os_fake_no_places = !places;
    char *p = hardened(&hardened_mapped_protection, 10 * OS_PAGE), *other = hardened(&hardened_mapped_protection, 50000);
    touch(p + 10 * OS_PAGE + 3);
    expect_said("buffer overflow: ");
    expect_said(", 3 bytes behind the block of 40960 bytes");
    touch(p - 5);
    expect_said(", 5 bytes before the block of 40960 bytes");
    judge_free(&hardened_mapped_protection, p, "free", SIZE_MAX, 0);
    touch(p + 5);
    expect_said("use after free: ");
    expect_said(", 5 bytes inside the block of 40960 bytes");
    judge_free(&hardened_mapped_protection, other, "free", SIZE_MAX, 0);
}

Test(trap, beside_a_large_block) {
    large_blocks(true);
}

Test(trap, beside_a_large_block_without_places) {
    large_blocks(false);
}

/* Pages that the program has shut itself are its own business. */
Test(trap, shut_by_the_program) {
    start((struct sigaction){.sa_handler = plain});
    char *p = hardened(&hardened_mapped_protection, 10 * OS_PAGE);
    mprotect(p, OS_PAGE, PROT_NONE);
    touch(p + 5);
    cr_assert_eq(caught, SIGSEGV);
    cr_assert_str_eq(said, "");
}

/* While another thread has the table, nothing is known, and nothing hangs. */
Test(trap, table_in_use) {
    start((struct sigaction){.sa_handler = plain});
    char *p = hardened(&hardened_mapped_protection, 10 * OS_PAGE);
    struct lock *lock = hardened_mapped_locks.lock;
    atomic_store(&lock->state, 8); /* no thread's name */
    touch(p - 5);
    atomic_store(&lock->state, 0);
    expect_said("none is near");
    lock_acquire(lock, LOCK_HARDENED);
    touch(p - 5);
    expect_said(", 5 bytes before the block of 40960 bytes");
    lock_release(lock, LOCK_HARDENED);
}

/* No fault of a guarded page: nothing is said. */
Test(trap, elsewhere) {
    start((struct sigaction){.sa_handler = plain});
    touch((const char *)8);
    cr_assert_eq(caught, SIGSEGV);
    cr_assert_str_eq(said, "");
}

Test(trap, ignored_when_sent) {
    start((struct sigaction){.sa_handler = SIG_IGN});
    raise(SIGSEGV);
    raise(SIGBUS);
    start((struct sigaction){.sa_handler = plain});
    touch(block(OS_PAGE) + OS_PAGE); /* the handler is still ours */
    expect_said("buffer overflow: ");
}

Test(trap, off_when_not_wanted) {
    struct sigaction now;
    tunables.fault_report = 0;
    start((struct sigaction){.sa_handler = plain});
    sigaction(SIGSEGV, NULL, &now);
    cr_assert(now.sa_handler == plain);
}
