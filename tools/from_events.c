/* SPDX-License-Identifier: MIT */
#include "from_events.h"

#include <stdlib.h>

#include "memory.h"
#include "placed.h"

enum { THREADS_MOST = 1 << 20, LIFE_BIT = 1 }; /* no key of a table is 0 */

/* A thread's number is its place and 1. */
struct from_events_thread {
    bool is_resizing; /* its last event was RESIZING */
    bool is_known;    /* ... of a block of the recording, */
    uint64_t block, address;
};

void from_events_begin(struct from_events *from, struct recording_writer *writer)
{
    *from = (struct from_events){.writer = writer, .blocks = table_new(), .numbers = table_new()};
}

void from_events_end(struct from_events *from)
{
    table_free(from->blocks);
    table_free(from->numbers);
    free(from->threads);
}

/* The thread, whose event is next. Those that are too many are one. */
static struct from_events_thread *turn_to(struct from_events *from, uint32_t life)
{
    struct table_entry *entry = table_add(from->numbers, (uint64_t)life << 1 | LIFE_BIT);

    if (!entry->first) {
        if (from->count < THREADS_MOST) {
            from->threads = memory_room(from->threads, from->count, &from->room, sizeof *from->threads);
            from->threads[from->count++] = (struct from_events_thread){0};
        }
        entry->first = from->count;
    }
    recording_writer_thread(from->writer, (uint32_t)entry->first);
    return &from->threads[entry->first - 1];
}

/* Times come in EVENT_TIME_BITS bits; that of another thread may be a little earlier. */
static uint64_t time_of(const struct from_events *from, uint64_t when)
{
    int64_t further = (int64_t)((when - from->time) << (64 - EVENT_TIME_BITS)) >> (64 - EVENT_TIME_BITS);

    return further < 0 && (uint64_t)-further > from->time ? 0 : from->time + (uint64_t)further;
}

/* A block that lies there still has ended unseen. */
static void put(struct from_events *from, uint64_t address, uint64_t block)
{
    uint64_t before;

    if (placed_put(from->blocks, address, block, &before))
        recording_writer_freed(from->writer, before);
}

static void take_foreign(struct from_events *from)
{
    from->foreign++;
    recording_writer_rare(from->writer, RECORDING_FOREIGN, 0);
}

static void take_free(struct from_events *from, uint64_t address)
{
    uint64_t block;

    from->calls++;
    if (placed_take(from->blocks, address, &block))
        recording_writer_freed(from->writer, block);
    else
        take_foreign(from);
}

static uint64_t got(struct from_events *from, enum event_kind kind, unsigned alignment_log, uint64_t size)
{
    struct recording_writer *writer = from->writer;

    switch (kind) {
    case EVENT_CALLOC: return recording_writer_got(writer, RECORDING_CALLOC, size);
    case EVENT_NEW: return recording_writer_got(writer, RECORDING_NEW, size);
    case EVENT_REALLOC: return recording_writer_resized(writer, 0, true, size);
    case EVENT_MEMALIGN: return recording_writer_aligned(writer, RECORDING_MEMALIGN, alignment_log, size);
    case EVENT_ALIGNED_ALLOC: return recording_writer_aligned(writer, RECORDING_ALIGNED_ALLOC, alignment_log, size);
    case EVENT_POSIX_MEMALIGN: return recording_writer_aligned(writer, RECORDING_POSIX_MEMALIGN, alignment_log, size);
    case EVENT_ALIGNED_NEW: return recording_writer_aligned(writer, RECORDING_ALIGNED_NEW, alignment_log, size);
    default: return recording_writer_got(writer, RECORDING_MALLOC, size);
    }
}

static void take_got(struct from_events *from, const struct event *event, enum event_kind kind)
{
    from->calls++;
    if (event->address)
        put(from, event->address, got(from, kind, event->who >> 40 & 63, event->size));
    else
        recording_writer_rare(from->writer, RECORDING_REFUSED, event->size);
}

static void take_resizing(struct from_events *from, struct from_events_thread *thread, uint64_t address)
{
    thread->is_resizing = true;
    thread->address = address;
    thread->is_known = placed_take(from->blocks, address, &thread->block);
}

/* Of a realloc, which ends with its second event. One that was refused leaves the block where it is. */
static void take_resized(struct from_events *from, struct from_events_thread *thread, const struct event *event)
{
    bool is_known = thread->is_resizing && thread->is_known;

    from->calls++;
    thread->is_resizing = false;
    if (!event->address) {
        if (is_known)
            put(from, thread->address, thread->block);
        recording_writer_rare(from->writer, RECORDING_REFUSED, event->size);
        return;
    }
    if (!is_known)
        take_foreign(from);
    put(from, event->address, recording_writer_resized(from->writer, thread->block, !is_known, event->size));
}

/* The second event of a realloc is missing: what it became is not known. */
static void give_up_resizing(struct from_events *from, struct from_events_thread *thread)
{
    if (thread->is_resizing && thread->is_known)
        recording_writer_freed(from->writer, thread->block);
    thread->is_resizing = false;
}

void from_events_take(struct from_events *from, const struct event *event)
{
    struct from_events_thread *thread = turn_to(from, (uint32_t)event->who);
    enum event_kind kind = event->who >> 32 & 255;

    from->time = time_of(from, event->when);
    from->writer->time = from->time * 1000;
    if (kind != EVENT_RESIZED)
        give_up_resizing(from, thread);
    if (kind == EVENT_FREE)
        take_free(from, event->address);
    else if (kind == EVENT_RESIZING)
        take_resizing(from, thread, event->address);
    else if (kind == EVENT_RESIZED)
        take_resized(from, thread, event);
    else if (kind != EVENT_NONE && kind < EVENT_KINDS)
        take_got(from, event, kind);
}
