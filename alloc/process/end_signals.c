/* SPDX-License-Identifier: MIT */
#include "process/end_signals.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "os/os.h"
#include "kit/readonly.h"
#include "kit/report.h"
#include "kit/tunables.h"
#include "heap/aside.h"
#include "process/all_locks.h"

static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGABRT};
#define SIGNALS (sizeof signals / sizeof *signals)

struct plan {
    void (*tell)(void);
    struct sigaction before[SIGNALS];
};
READONLY_PAGES(struct plan, plan) = {{.tell = NULL}}; /* functions that are called */
static _Atomic bool begun;

static const struct sigaction *before_of(int number) {
    size_t i = 0;
    while (i < SIGNALS - 1 && signals[i] != number)
        i++;
    return &plan_pages.value.before[i];
}

static void tell(void) {
    if (aside_is_on() || report_thread.inside || all_locks_is_interrupted())
        report_line("what is told at the end is left out: a signal that ends the process interrupted the allocator");
    else
        plan_pages.value.tell();
}

static void hand_on(const struct sigaction *action, int number, siginfo_t *info, void *context) {
    if (action->sa_flags & SA_SIGINFO) {
        action->sa_sigaction(number, info, context);
    } else if (action->sa_handler != SIG_DFL) {
        action->sa_handler(number);
    } else {
        os_signal(number, action, NULL);
        os_raise(number); /* comes when the handler has returned */
    }
}

/* A report of a fault that has been told ends by SIGABRT, too: there the heap is broken, and nothing more is looked at. */
static void handle(int number, siginfo_t *info, void *context) {
    if (!(number == SIGABRT && os_is_aborting()) && !atomic_exchange(&begun, true)) {
        tell();
        atomic_store(&begun, false); /* a handler of the program's may go on */
    }
    hand_on(before_of(number), number, info, context);
}

AT_START void end_signals_arrange(void (*function)(void)) {
    if (!tunables.at_signals)
        return;
    plan_pages.value.tell = function;
    for (size_t i = 0; i < SIGNALS; i++) {
        struct sigaction ours = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
        memset(&ours.sa_mask, 0xff, sizeof ours.sa_mask);
        os_signal(signals[i], NULL, &plan_pages.value.before[i]);
        const struct sigaction *was = &plan_pages.value.before[i];
        if ((was->sa_flags & SA_SIGINFO) || was->sa_handler != SIG_IGN)
            os_signal(signals[i], &ours, NULL);
    }
}
