/* SPDX-License-Identifier: MIT */
/* Makes a recording of a running process's events (observe/events.h). */
#ifndef TOOLS_FROM_EVENTS_H
#define TOOLS_FROM_EVENTS_H

#include "observe/events.h"
#include "recording_writer.h"
#include "table.h"

struct from_events {
    struct recording_writer *writer;
    struct table *blocks;  /* by address, as BLOCK_OF */
    struct table *numbers; /* of threads, by their lives */
    struct from_events_thread *threads;
    size_t count, room;
    uint64_t time;    /* us since the recording began: of the last event */
    uint64_t calls;   /* that were taken */
    uint64_t foreign; /* frees and reallocs of blocks from before the recording */
};

void from_events_begin(struct from_events *from, struct recording_writer *writer);

/* The next event, whatever it holds. */
void from_events_take(struct from_events *from, const struct event *event);

void from_events_end(struct from_events *from);

#endif
