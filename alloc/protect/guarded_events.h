/* SPDX-License-Identifier: MIT */
/*
 * The last events of guarded pages: which blocks were allocated and freed there, by whom, for reports: a block
 * that is hit after it was freed is often explained by what happened shortly before.
 */
#ifndef MYALLOC_GUARDED_EVENTS_H
#define MYALLOC_GUARDED_EVENTS_H

#include "base/base.h"

#define GUARDED_EVENTS 64      /* kept */
#define GUARDED_EVENTS_TOLD 8

struct guarded_event {
    const void *block;
    size_t bytes;
    const char *call; /* constant text */
    uint32_t stack;   /* stacks.h */
    int thread;       /* its life (kit/thread_names.h) */
};

/* Caller holds the lock of guarded.h. */
void guarded_events_add(const struct guarded_event *event);

struct finding;
/* Adds the last ones to a finding, newest first, a line each and one for where it was called from. Waits for
 * nobody: what another thread adds meanwhile may be missing. */
void guarded_events_say(struct finding *finding);

#endif
