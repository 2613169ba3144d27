/* SPDX-License-Identifier: MIT */
#include "event_reader.h"

#include <errno.h>
#include <stddef.h>

enum { COUNT_MOST = 1 << 24 };

/* ---- events that come late ------------------------------------------------------------------------------------------ */

static bool is_whole(const struct event_reader *reader, const struct event *event, uint64_t number)
{
    return event->when >> EVENT_TIME_BITS == events_lap(number, reader->count);
}

/* Before `head` is read: those that have a number by then may have been written at the same time. */
static void look_for_late(struct event_reader *reader)
{
    for (size_t i = 0; i < reader->late_count; i++) {
        struct event_reader_late *late = &reader->late[i];
        uint64_t at = late->number & (reader->count - 1);
        struct event event;

        if (!late->is_written && !post_read(reader->post, reader->ring + at * sizeof event, &event, sizeof event))
            late->is_written = is_whole(reader, &event, late->number);
    }
}

/* Behind it. What is sound again is forgotten once the tail is there. */
static void settle_late(struct event_reader *reader)
{
    size_t kept = 0;

    for (size_t i = 0; i < reader->late_count; i++) {
        struct event_reader_late late = reader->late[i];

        if (late.is_written && late.sound == UINT64_MAX)
            late.sound = reader->head;
        if (late.sound > reader->tail)
            reader->late[kept++] = late;
    }
    reader->late_count = kept;
}

static bool is_doubtful(const struct event_reader *reader, uint64_t number)
{
    for (size_t i = 0; i < reader->late_count; i++) {
        const struct event_reader_late *late = &reader->late[i];

        if (!((late->number ^ number) & (reader->count - 1)) && number < late->sound)
            return true;
    }
    return false;
}

/* ---- the page ------------------------------------------------------------------------------------------------------- */

int event_reader_look(struct event_reader *reader)
{
    struct events_page page;
    int error;

    look_for_late(reader);
    error = post_read(reader->post, reader->page, &page, sizeof page);
    if (error)
        return error;
    reader->head = page.head;
    reader->missing = page.missing;
    reader->state = page.session == reader->session ? (enum events_state)page.state : EVENTS_OFF;
    settle_late(reader);
    return reader->state == EVENTS_ON && reader->head - reader->tail > reader->count ? EPROTO : 0;
}

int event_reader_open(struct event_reader *reader, const struct post *post, uint64_t address)
{
    struct events_page page;
    int error = post_read(post, (uintptr_t)address, &page, sizeof page);

    if (error)
        return error;
    if (page.version != EVENTS_VERSION || page.event_bytes != sizeof(struct event) || !page.count ||
        page.count > COUNT_MOST || page.count & (page.count - 1))
        return EPROTO;
    reader->post = post;
    reader->page = (uintptr_t)address;
    reader->ring = (uintptr_t)page.address;
    reader->session = page.session;
    reader->count = page.count;
    reader->tail = reader->beat = reader->passed = 0;
    reader->late_count = 0;
    reader->is_last = false;
    return event_reader_look(reader);
}

/* ---- events --------------------------------------------------------------------------------------------------------- */

/* Copies events from the tail on, around the end of the ring. */
static int copy(struct event_reader *reader, size_t count)
{
    uint64_t at = reader->tail & (reader->count - 1);
    size_t first = count < reader->count - at ? count : (size_t)(reader->count - at);
    int error = post_read(reader->post, reader->ring + at * sizeof(struct event), reader->events,
                          first * sizeof(struct event));

    if (!error && first < count)
        error = post_read(reader->post, reader->ring, reader->events + first, (count - first) * sizeof(struct event));
    return error;
}

/* Finds out what the first `most` events are. Returns how many come before one that is to be waited for. */
static size_t find(struct event_reader *reader, size_t most, uint64_t passes)
{
    size_t room = reader->is_last ? SIZE_MAX : EVENT_READER_LATE - reader->late_count, i;

    for (i = 0; i < most; i++) {
        uint64_t number = reader->tail + i;
        bool whole = is_whole(reader, &reader->events[i], number);

        if (!whole && (number >= passes || !room--))
            break;
        reader->found[i] = !whole ? EVENT_UNWRITTEN : is_doubtful(reader, number) ? EVENT_DOUBTFUL : EVENT_SOUND;
    }
    return i;
}

/* Leaves the sound ones of the first `count` events. Returns how many. */
static size_t sift(struct event_reader *reader, size_t count)
{
    size_t sound = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t number = reader->tail + i;

        if (reader->found[i] == EVENT_SOUND && is_whole(reader, &reader->events[i], number))
            reader->events[sound++] = reader->events[i];
        else if (reader->found[i] == EVENT_UNWRITTEN && !reader->is_last)
            reader->late[reader->late_count++] = (struct event_reader_late){.number = number, .sound = UINT64_MAX};
    }
    reader->passed += count - sound;
    return sound;
}

/* What was whole at the first look is read once more: its other words may be older than its lap. */
int event_reader_take(struct event_reader *reader, uint64_t end, uint64_t passes, size_t *taken)
{
    uint64_t there = end - reader->tail;
    size_t most = there < EVENT_READER_MOST ? (size_t)there : EVENT_READER_MOST, count;
    int error;

    *taken = 0;
    if (!most)
        return 0;
    error = copy(reader, most);
    if (error)
        return error;
    count = find(reader, most, passes);
    atomic_thread_fence(memory_order_acquire);
    if (count)
        error = copy(reader, count);
    if (!error) {
        *taken = sift(reader, count);
        reader->tail += count;
    }
    return error;
}

int event_reader_tell(struct event_reader *reader, bool ends)
{
    struct events_reader words = {.session = reader->session, .tail = reader->tail, .beat = ++reader->beat, .ends = ends};
    uint64_t session;
    int error = post_read(reader->post, reader->page + offsetof(struct events_page, session), &session, sizeof session);

    if (error || session != reader->session)
        return error ? error : ESTALE;
    words.sum = events_sum(words.session, words.tail, words.beat, words.ends);
    return post_write(reader->post, reader->page + offsetof(struct events_page, reader), &words, sizeof words);
}
