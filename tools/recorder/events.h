/* SPDX-License-Identifier: MIT */
/* How a call becomes an event: what every call of the program goes through, as few instructions as it gets. */
#ifndef RECORDER_EVENTS_H
#define RECORDER_EVENTS_H

#include <time.h>

#include "recorder.h"

/* How many between looks at the processor's counter, which takes as long as a malloc, and at the coarse clock, which tells of
   gaps and takes a third of that. */
enum { EVENTS_A_LOOK = 32, EVENTS_A_TICK = 8 };

/* NULL: the call is not recorded. Otherwise recorder_leave() ends it. */
static inline struct stream *recorder_enter(void)
{
    struct stream *stream = own.stream;

    if (UNLIKELY(!stream || own.is_inside))
        return streams_enter_slow();
    own.is_inside = true;
    return stream;
}

static inline void recorder_leave(void)
{
    if (UNLIKELY(own.is_late))
        streams_leave_late();
    own.is_inside = false;
}

static inline unsigned char *event_number(unsigned char *at, uint64_t value)
{
    for (; value >= 128; value >>= 7)
        *at++ = (unsigned char)(value | 128);
    *at++ = (unsigned char)value;
    return at;
}

static inline bool event_is_timed(struct stream *stream)
{
    struct timespec now;

    if (LIKELY(++stream->since % EVENTS_A_TICK))
        return false;
    if (stream->since >= EVENTS_A_LOOK)
        return true;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_nsec != stream->tick;
}

/* Returns where what stands behind the value comes. */
static inline unsigned char *event_begin(struct stream *stream, enum recording_call call, uint64_t value)
{
    unsigned char *head = stream->at, *at = head + 1;

    *head = (unsigned char)(call | (value & 7) << 4 | (value > 7) << 7);
    if (value > 7)
        at = event_number(at, value >> 3);
    return UNLIKELY(event_is_timed(stream)) ? streams_time(stream, head, at) : at;
}

static inline void event_end(struct stream *stream, unsigned char *at)
{
    __atomic_store_n(&stream->at, at, __ATOMIC_RELEASE);
    if (UNLIKELY(at >= stream->full))
        streams_make_room(stream);
}

static inline void event_rare(struct stream *stream, enum recording_rare what, uint64_t argument)
{
    event_end(stream, event_number(event_begin(stream, RECORDING_RARE, what), argument));
}

/* The block that lies there from now on. */
static inline void event_birth(struct stream *stream, const void *block, size_t size)
{
    uint64_t *slot = births_slot(block, true);

    if (LIKELY(slot != NULL)) {
        *slot = BLOCK_OF(stream->thread, stream->births);
        if (UNLIKELY(size >= RECORDING_TOUCHED_LEAST))
            *slot |= touched_note(block, size);
    }
    stream->births++;
}

static inline void event_new(struct stream *stream, enum recording_call call, const void *block, size_t size)
{
    if (UNLIKELY(!block)) {
        event_rare(stream, RECORDING_REFUSED, size);
        return;
    }
    event_birth(stream, block, size);
    event_end(stream, event_begin(stream, call, size));
}

/* What lay at an address, where nothing of ours lies any more; 0 if it was none of the recorded blocks. */
static inline uint64_t event_take(const void *block)
{
    uint64_t *slot = births_slot(block, false), value = slot ? *slot : 0;

    if (value)
        *slot = 0;
    return value;
}

/* The birth of another thread's block, less that of the last one. */
static inline uint64_t event_zigzag(struct stream *stream, uint64_t birth)
{
    int64_t step = (int64_t)(birth - stream->last_other);

    stream->last_other = birth;
    return (uint64_t)step << 1 ^ (uint64_t)(step >> 63);
}

/* `value` was in the slot of the block, and is no large one's. */
static inline void event_end_block(struct stream *stream, const void *block, uint64_t value)
{
    uint32_t thread = THREAD_OF(value);
    unsigned char *at;

    if (LIKELY(thread == stream->thread)) {
        at = event_begin(stream, RECORDING_FREE, stream->births - BIRTH_OF(value));
    } else if (!block) {
        at = event_begin(stream, RECORDING_FREE, 0);
    } else if (thread < process_first_thread()) {
        event_rare(stream, RECORDING_FOREIGN, 0);
        return;
    } else {
        at = event_begin(stream, RECORDING_FREE_OTHER, thread);
        at = event_number(at, event_zigzag(stream, BIRTH_OF(value)));
    }
    event_end(stream, at);
}

static inline void event_free(struct stream *stream, const void *block)
{
    uint64_t value = event_take(block);

    if (UNLIKELY(value & BIRTH_LARGE)) {
        touched_tell(stream, value, touched_pages(block, value));
        value &= ~BIRTH_LARGE;
    }
    event_end_block(stream, block, value);
}

#endif
