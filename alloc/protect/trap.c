/* SPDX-License-Identifier: MIT */
#include "protect/trap.h"

#include <signal.h>

#include "os/os.h"
#include "kit/modes.h"
#include "kit/tunables.h"
#include "protect/fault.h"
#include "protect/protections.h"
#include "protect/trap_stack.h"
#include "protect/trap_tell.h"

static const int signals[] = {SIGSEGV, SIGBUS};
#define SIGNALS (sizeof signals / sizeof *signals)
static struct sigaction before[SIGNALS] BIG_TABLE; /* of use with fault_report:on only */

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

static const struct sigaction *before_of(int number) {
    return &before[number == signals[0] ? 0 : 1];
}

/* The report has faulted. What was there before hears of the fault that the report was about; nobody can go on where the report
 * was, so the process ends by that signal unless the handler has left by a jump. */
static _Noreturn void end_by(const struct access *first) {
    const struct sigaction *action = before_of(first->number);
    if (!is_default(action))
        hand_on(action, first->number, first->info, first->context);
    os_signal(first->number, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    os_signals_let_faults();
    os_raise(first->number);
    os_abort();
}

/* A fault of this very report must come here, too: the kernel ends a process in which an instruction raises a blocked
 * signal. */
static void tell(const struct protection *row, const struct fault_block *block, const struct access *access) {
    uint64_t blocked = os_signals_let_faults();
    const struct access *first = trap_tell(row, block, access);
    os_signals_restore(blocked);
    if (first != NULL)
        end_by(first);
}

/* What the signal ends the process by, or a fault in a block of ours; but none that the program has a handler for. */
static void handle(int number, siginfo_t *info, void *context) {
    const struct sigaction *action = before_of(number);
    struct fault_block block;
    if (info->si_code > 0) {
        struct access access = {info->si_addr, os_access(context, info->si_addr), os_access_bytes(context, info->si_addr),
                                number, info, context};
        const struct protection *row = protections_near(info->si_addr, &block);
        if (row != NULL && is_meant(&block, info->si_addr, access.kind))
            row = NULL;
        if (row != NULL || is_default(action) || trap_is_telling())
            tell(row, &block, &access);
    }
    hand_on(action, number, info, context);
}

AT_START void trap_start(void) {
    if (!tunables.fault_report || !modes_has(MODE_GUARDED | MODE_HARDENED))
        return;
    trap_stack_begin();
    for (unsigned i = 0; i < SIGNALS; i++) {
        os_signal(signals[i], NULL, &before[i]);
        /* The earlier handler finds the signals blocked that it asked for. */
        struct sigaction ours = {.sa_sigaction = handle, .sa_mask = before[i].sa_mask};
        ours.sa_flags = SA_SIGINFO | SA_ONSTACK | (before[i].sa_flags & (SA_NODEFER | SA_RESTART));
        os_signal(signals[i], &ours, NULL);
    }
}
