/* SPDX-License-Identifier: MIT */
/* The events of all threads of a recording in one order: by their times, and a block is got before it is given back. */
#ifndef TOOLS_RECORDING_ORDER_H
#define TOOLS_RECORDING_ORDER_H

#include "recording.h"

struct recording_track {
    struct recording_cursor cursor;
    struct recording_event event; /* the next one */
    uint64_t time;                /* of it, or when the thread begins */
    void *memory;
    bool is_open, is_over;
};

struct recording_order {
    const struct recording *recording;
    struct recording_track *tracks; /* one for each of its threads */
    size_t chosen;                /* goes on until `until`, when another one's event comes; the count: none */
    uint64_t until;
    const char *wrong;            /* why there are no more events, if it is not the end */
};

void recording_order_begin(struct recording_order *order, const struct recording *recording);

/* The next event, and the place of its thread among those of the recording; false at the end. */
bool recording_order_next(struct recording_order *order, struct recording_event *event, size_t *thread);

/* The place of the thread of that number; the count if there is none. */
size_t recording_thread_at(const struct recording *recording, uint32_t number);

void recording_order_end(struct recording_order *order);

#endif
