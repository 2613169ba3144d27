/* SPDX-License-Identifier: MIT */
#include "protect/trap.h"

#include <signal.h>
#include <stdatomic.h>

#include "base/arch_call.h"
#include "os/os.h"
#include "kit/modes.h"
#include "kit/finding.h"
#include "kit/report.h"
#include "kit/text.h"
#include "kit/tunables.h"
#include "callers/backtrace.h"
#include "callers/unwind.h"
#include "protect/fault.h"
#include "protect/protections.h"

/* Frames between the handler's and the one that faulted: that to which the handler returns, unless it is our own, which
 * unwind_capture leaves out with the others. */
#define TRAMPOLINE (ARCH_HAS_SIGNAL_RETURN ? 0 : 1)

static const int signals[] = {SIGSEGV, SIGBUS};
#define SIGNALS (sizeof signals / sizeof *signals)
static struct sigaction before[SIGNALS] BIG_TABLE; /* of use with fault_report:on only */
#define UNKNOWN (-1) /* threads whose lives are not known count as one */
static _Atomic int teller; /* the thread that tells of a fault; others wait until it has done */

/* ---- what is told ------------------------------------------------------------------------------------------------ */

static const char *access_word(enum arch_access access) {
    static const char *const words[] = {
        [ARCH_ACCESS] = "access", [ARCH_READ] = "read", [ARCH_WRITE] = "write", [ARCH_EXECUTE] = "jump"};
    return words[access];
}

/* The innermost frame is where the fault was, no return address: what is printed is one less. */
static void say_where(struct finding *finding, void **frames, unsigned count) {
    char thread[48];
    finding_thread(report_thread_life(), thread, sizeof thread);
    finding_line(finding, "  at%s%s", *thread != '\0' ? ", " : "", thread);
    backtrace_print(finding, frames, count);
}

static unsigned capture(void **frames, enum arch_access access) {
    if (access == ARCH_EXECUTE) /* the unwinder would read the code there */
        return 0;
    unsigned count = unwind_capture(frames, UNWIND_MOST, TRAMPOLINE);
    if (count > 0)
        frames[0] = (char *)frames[0] + 1;
    return count;
}

/* What faulted. */
struct access {
    const char *p;
    enum arch_access kind;
    size_t bytes; /* 0: not known */
};

/* "write of 4 bytes". */
static void describe(const struct access *access, char *out, size_t room) {
    bool sized = access->bytes > 0 && access->kind != ARCH_EXECUTE;
    text_format(out, room, !sized ? "%s" : access->bytes == 1 ? "%s of %z byte" : "%s of %z bytes", access_word(access->kind),
                access->bytes);
}

static void say_hit(const struct protection *row, const struct fault_block *block, const struct access *access) {
    const char *p = access->p;
    char word[48];
    describe(access, word, sizeof word);
    struct finding finding;
    void *frames[UNWIND_MOST];
    if (block->start == NULL) {
        finding_begin(&finding, "%s at %p: %s", word, p, row->mode == MODE_GUARDED ? "a guarded page that no block had yet"
                                                                                   : "between hardened blocks, none is near");
        finding_end(&finding);
        return;
    }
    bool below = p < block->start, above = p >= block->start + block->bytes;
    const char *what = block->freed ? "use after free"
                       : below     ? "buffer underflow"
                       : above     ? "buffer overflow"
                                   : "block executed";
    size_t far = (size_t)(below ? block->start - p : above ? p - (block->start + block->bytes) : p - block->start);
    finding_begin(&finding, "%s: %s at %p, %z byte%s %s the block of %z bytes at %p", what, word, p, far, far == 1 ? "" : "s",
                  below ? "before" : above ? "behind" : "inside", block->bytes, block->start);
    if (!(report_action & REPORT_SHORT)) {
        unsigned count = capture(frames, access->kind);
        if (count > 0)
            say_where(&finding, frames, count);
        fault_say_history(&finding, block);
        if (row->more != NULL)
            row->more(&finding);
        fault_say_summary(&finding, what, access_word(access->kind), count > 0 ? frames[0] : NULL);
    }
    finding_end(&finding);
}

/* A fault of this very report is not told. */
static void tell(const struct protection *row, const struct fault_block *block, const struct access *access) {
    int life = report_thread_life(), self = life != 0 ? life : UNKNOWN, other = 0;
    while (!atomic_compare_exchange_strong(&teller, &other, self)) {
        if (other == self)
            return;
        os_futex_wait((_Atomic uint32_t *)&teller, (uint32_t)other);
        other = 0;
    }
    say_hit(row, block, access);
    atomic_store(&teller, 0);
    os_futex_wake((_Atomic uint32_t *)&teller);
}

/* ---- what comes after -------------------------------------------------------------------------------------------- */

static bool is_default(const struct sigaction *action) {
    return !(action->sa_flags & SA_SIGINFO) && (action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN);
}

/* A fault comes again when we return, and meets what was there before: with SIG_DFL, and with SIG_IGN too, the kernel ends
 * the process where the fault was. A signal that was sent does not come again. */
static void leave(int number, const struct sigaction *action, bool sent) {
    if (sent && action->sa_handler == SIG_IGN)
        return;
    os_signal(number, action, NULL);
    if (sent)
        os_raise(number);
}

static void hand_on(const struct sigaction *action, int number, siginfo_t *info, void *context) {
    if (is_default(action)) {
        leave(number, action, info->si_code <= 0);
        return;
    }
    if (action->sa_flags & SA_RESETHAND)
        os_signal(number, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    if (action->sa_flags & SA_SIGINFO)
        action->sa_sigaction(number, info, context);
    else
        action->sa_handler(number);
}

/* What lies in a live block traps because the program has shut its own pages, and waits for that; unless it is executed. */
static bool is_meant(const struct fault_block *block, const char *p, enum arch_access access) {
    return block->start != NULL && !block->freed && fault_distance(block, p) == 0 && p != block->start + block->bytes &&
           access != ARCH_EXECUTE;
}

static void handle(int number, siginfo_t *info, void *context) {
    const struct sigaction *action = &before[number == signals[0] ? 0 : 1];
    struct fault_block block;
    const struct protection *row = info->si_code > 0 ? protections_near(info->si_addr, &block) : NULL;
    if (row != NULL && !is_meant(&block, info->si_addr, os_access(context))) {
        struct access access = {info->si_addr, os_access(context), os_access_bytes(context, info->si_addr)};
        tell(row, &block, &access);
    }
    hand_on(action, number, info, context);
}

AT_START void trap_start(void) {
    if (!tunables.fault_report || !modes_has(MODE_GUARDED | MODE_HARDENED))
        return;
    for (unsigned i = 0; i < SIGNALS; i++) {
        os_signal(signals[i], NULL, &before[i]);
        /* The earlier handler finds the signals blocked that it asked for. */
        struct sigaction ours = {.sa_sigaction = handle, .sa_mask = before[i].sa_mask};
        ours.sa_flags = SA_SIGINFO | SA_ONSTACK | (before[i].sa_flags & (SA_NODEFER | SA_RESTART));
        os_signal(signals[i], &ours, NULL);
    }
}
