/* SPDX-License-Identifier: MIT */
#include "event_reader.h"

#include <errno.h>
#include <stddef.h>

enum { COUNT_MOST = 1 << 24 };

int event_reader_look(struct event_reader *reader)
{
    struct events_page page;
    int error = post_read(reader->post, reader->page, &page, sizeof page);

    if (error)
        return error;
    reader->head = page.head;
    reader->missing = page.missing;
    reader->state = page.session == reader->session ? (enum events_state)page.state : EVENTS_OFF;
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
    reader->tail = reader->beat = 0;
    return event_reader_look(reader);
}

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

/* What was whole at the first look is read once more: its other words may be older than its lap. */
int event_reader_take(struct event_reader *reader, uint64_t end, size_t *taken)
{
    uint64_t there = end - reader->tail;
    size_t most = there < EVENT_READER_MOST ? (size_t)there : EVENT_READER_MOST, whole = 0;
    int error;

    *taken = 0;
    if (!most)
        return 0;
    error = copy(reader, most);
    while (whole < most &&
           reader->events[whole].when >> EVENT_TIME_BITS == events_lap(reader->tail + whole, reader->count))
        whole++;
    atomic_thread_fence(memory_order_acquire);
    if (!error && whole)
        error = copy(reader, whole);
    if (!error)
        *taken = whole;
    reader->tail += *taken;
    return error;
}

int event_reader_tell(struct event_reader *reader, bool ends)
{
    struct events_reader words = {.session = reader->session, .tail = reader->tail, .beat = ++reader->beat, .ends = ends};

    words.sum = events_sum(words.session, words.tail, words.beat, words.ends);
    return post_write(reader->post, reader->page + offsetof(struct events_page, reader), &words, sizeof words);
}
