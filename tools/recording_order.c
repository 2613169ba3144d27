/* SPDX-License-Identifier: MIT */
#include "recording_order.h"

#include <stdlib.h>

#include "memory.h"

size_t recording_thread_at(const struct recording *recording, uint32_t number)
{
    size_t low = 0, high = recording->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (recording->threads[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < recording->count && recording->threads[low].number == number ? low : recording->count;
}

void recording_order_begin(struct recording_order *order, const struct recording *recording)
{
    *order = (struct recording_order){.recording = recording, .chosen = recording->count};
    order->tracks = memory_new((recording->count + 1) * sizeof *order->tracks);
    for (size_t i = 0; i < recording->count; i++)
        order->tracks[i].time = recording->threads[i].frames[0].begun;
}

/* Has the next event of the track at hand, or ends it. */
static void advance(struct recording_order *order, size_t at)
{
    struct recording_track *track = &order->tracks[at];

    if (!track->is_open) {
        track->memory = memory_new(recording_cursor_bytes());
        recording_begin(&track->cursor, order->recording, &order->recording->threads[at], track->memory);
        track->is_open = true;
    }
    if (recording_next(&track->cursor, &track->event)) {
        track->time = track->event.time;
        return;
    }
    order->wrong = track->cursor.wrong;
    track->is_over = true;
    free(track->memory);
    track->memory = NULL;
}

/* The track whose event comes first, and until when it may go on. */
static void choose(struct recording_order *order)
{
    order->chosen = order->recording->count;
    order->until = UINT64_MAX;
    for (size_t i = 0; i < order->recording->count; i++) {
        const struct recording_track *track = &order->tracks[i];

        if (track->is_over)
            continue;
        if (order->chosen == order->recording->count || track->time < order->tracks[order->chosen].time) {
            if (order->chosen < order->recording->count)
                order->until = order->tracks[order->chosen].time;
            order->chosen = i;
        } else if (track->time < order->until) {
            order->until = track->time;
        }
    }
}

/* The track in which the block that an event ends is still to come; the count if it is there. */
static size_t awaited(const struct recording_order *order, const struct recording_track *track)
{
    const struct recording_event *event = &track->event;
    size_t owner = event->before_thread ? recording_thread_at(order->recording, event->before_thread) : order->recording->count;
    const struct recording_track *other = &order->tracks[owner];
    uint64_t born;

    if (other == track || other->is_over)
        return order->recording->count;
    born = other->cursor.births - (other->is_open && other->event.is_birth);
    return born > event->before_birth ? order->recording->count : owner;
}

/* The chosen track, or the one that it waits for. A file in which tracks wait for each other is wrong, and goes on. */
static size_t ready(struct recording_order *order)
{
    size_t at = order->chosen;

    for (size_t hops = 0; hops <= order->recording->count; hops++) {
        size_t other;

        if (!order->tracks[at].is_open)
            return at;
        other = awaited(order, &order->tracks[at]);
        if (other == order->recording->count)
            return at;
        at = other;
    }
    return order->chosen;
}

bool recording_order_next(struct recording_order *order, struct recording_event *event, size_t *thread)
{
    while (!order->wrong) {
        size_t at;

        if (order->chosen == order->recording->count || order->tracks[order->chosen].is_over ||
            order->tracks[order->chosen].time > order->until)
            choose(order);
        if (order->chosen == order->recording->count)
            return false;
        at = ready(order);
        if (!order->tracks[at].is_open) {
            advance(order, at);
            continue;
        }
        *event = order->tracks[at].event;
        *thread = at;
        advance(order, at);
        return true;
    }
    return false;
}

void recording_order_end(struct recording_order *order)
{
    for (size_t i = 0; i < order->recording->count; i++)
        free(order->tracks[i].memory);
    free(order->tracks);
}
