/* SPDX-License-Identifier: MIT */
#include "guard_events.h"

#include <stdatomic.h>
#include <unistd.h>

#include "backtrace.h"
#include "report.h"
#include "stacks.h"

static struct guard_event events[GUARD_EVENTS] BIG_TABLE;
static _Atomic size_t count; /* ever */

void guard_events_add(const struct guard_event *event) {
    events[count % GUARD_EVENTS] = *event;
    count++;
}

void guard_events_say(void) {
    size_t newest = count, told = min_size(newest, GUARD_EVENTS_TOLD);
    if (told > 0)
        report_line("  last events of guarded pages, newest first:");
    for (size_t i = 1; i <= told; i++) {
        struct guard_event event = events[(newest - i) % GUARD_EVENTS];
        unsigned frames;
        void *const *stack = stacks_frames(event.stack, &frames);
        report_line("  %s: block of %z bytes at %p, thread %d", event.call, event.bytes, event.block, event.thread);
        backtrace_print(STDERR_FILENO, stack, frames > 0);
    }
}
