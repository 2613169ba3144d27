/* SPDX-License-Identifier: MIT */
#include "protect/guarded_events.h"

#include <stdatomic.h>

#include "kit/finding.h"
#include "callers/backtrace.h"
#include "callers/stacks.h"

static struct guarded_event events[GUARDED_EVENTS] BIG_TABLE;
static _Atomic size_t count; /* ever */

/* Kept with all bits turned: the leak report looks for addresses in what is no block, and finds none here. */
static const void *turned(const void *block) {
    return (const void *)~(uintptr_t)block;
}

void guarded_events_add(const struct guarded_event *event) {
    struct guarded_event *kept = &events[count++ % GUARDED_EVENTS];
    *kept = *event;
    kept->block = turned(event->block);
}

void guarded_events_say(struct finding *finding) {
    char thread[48];
    size_t newest = count, told = min_size(newest, GUARDED_EVENTS_TOLD);
    if (told > 0)
        finding_line(finding, "  last events of guarded pages, newest first:");
    for (size_t i = 1; i <= told; i++) {
        struct guarded_event event = events[(newest - i) % GUARDED_EVENTS];
        unsigned frames;
        void *const *stack = stacks_frames(event.stack, &frames);
        finding_thread(event.thread, thread, sizeof thread);
        finding_line(finding, "  %s: block of %z bytes at %p%s%s", event.call, event.bytes, turned(event.block),
                     *thread != '\0' ? ", " : "", thread);
        backtrace_print(finding, stack, frames > 0);
    }
}
