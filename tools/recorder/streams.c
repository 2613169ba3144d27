/* SPDX-License-Identifier: MIT */
/* Buffers of threads, and how they become frames. A frame is written when a buffer is full, when its oldest event is a second
 * old, at the end of the thread, and for all threads when the process ends or begins another program. */
#define ZSTD_STATIC_LINKING_ONLY
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <zstd.h>

#include "events.h"

enum {
    LEVEL = -1,                /* of zstd; 1 makes a fifth fewer bytes of what is random, and takes 15 ns more a call */
    FRAME_NS = 1000 * 1000 * 1000, /* what a program that is killed may lose of a thread that goes on */
    TRIES = 2000,
    THREAD_ROUNDS = PTHREAD_DESTRUCTOR_ITERATIONS,
};

__thread struct own own __attribute__((tls_model("initial-exec"), visibility("hidden")));

static struct stream *streams, *spare, *late; /* all; those of threads that have ended; for calls after the end of a thread */
static int list_lock, late_lock;
static pthread_key_t ends;
static bool has_key;

/* Who has interrupted a call may wait for the very thread that it has interrupted, and gives up after a while. */
static bool try_lock(int *word, bool is_inside)
{
    for (unsigned tries = 0; __atomic_exchange_n(word, 1, __ATOMIC_ACQUIRE); tries++) {
        if (is_inside && tries == TRIES)
            return false;
        sched_yield();
    }
    return true;
}

static void lock(int *word)
{
    try_lock(word, false);
}

static void unlock(int *word)
{
    __atomic_store_n(word, 0, __ATOMIC_RELEASE);
}

void streams_lock(void)
{
    lock(&list_lock);
}

void streams_unlock(void)
{
    unlock(&list_lock);
}

static size_t packer_bytes(void)
{
    return ZSTD_estimateCCtxSize_usingCParams(ZSTD_getCParams(LEVEL, RECORDING_RAW_MAX, 0));
}

static size_t frame_room(void)
{
    return (sizeof(struct recording_frame) + ZSTD_COMPRESSBOUND(RECORDING_RAW_MAX) + 15) / 16 * 16;
}

static size_t packer_at(void)
{
    return (sizeof(struct stream) + 63) / 64 * 64;
}

/* One mapping: the stream, what zstd needs, room for a frame. */
static struct stream *map_stream(void)
{
    size_t packer = packer_bytes();
    char *memory = mmap(NULL, packer_at() + packer + frame_room(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct stream *stream = (struct stream *)(void *)memory;

    if (memory == MAP_FAILED)
        return NULL;
    stream->packer = (struct packer *)(void *)(memory + packer_at());
    stream->frame = (unsigned char *)memory + packer_at() + packer;
    return stream;
}

static void begin_frame(struct stream *stream)
{
    stream->at = stream->start = stream->raw;
    stream->full = stream->raw + RECORDING_RAW_MAX - EVENT_MAX;
    stream->begun = process_clock();
    stream->unit = process_ticks() >> UNIT_SHIFT;
    stream->last_other = 0;
}

static struct stream *open_stream(void)
{
    struct stream *stream;

    streams_lock();
    stream = spare;
    if (stream)
        spare = stream->next;
    else
        stream = map_stream();
    if (stream) {
        stream->births = 0;
        stream->thread = process_next_thread();
        begin_frame(stream);
        stream->next = streams;
        streams = stream;
    }
    streams_unlock();
    return stream;
}

/* Of events from `start` on: compressed, or as they are where that is no shorter. */
static void pack(struct stream *stream, size_t raw)
{
    unsigned char *bytes = stream->frame + sizeof(struct recording_frame);
    struct recording_frame *frame = (struct recording_frame *)(void *)stream->frame;
    ZSTD_CCtx *context = ZSTD_initStaticCCtx(stream->packer, packer_bytes());
    size_t stored = 0;

    if (context)
        stored = ZSTD_compressCCtx(context, bytes, ZSTD_COMPRESSBOUND(RECORDING_RAW_MAX), stream->start, raw, LEVEL);
    if (!stored || ZSTD_isError(stored) || stored >= raw) {
        memcpy(bytes, stream->start, raw);
        stored = raw;
    }
    *frame = (struct recording_frame){.kind = RECORDING_EVENTS, .thread = stream->thread, .stored = (uint32_t)stored,
                                      .raw = (uint32_t)raw, .begun = stream->begun, .scale = process_scale()};
    process_write(frame);
}

/* What is in no frame yet; the caller holds the lock. A stream that is not the caller's goes on behind it. */
static void write_frame_locked(struct stream *stream, bool is_own)
{
    unsigned char *end = __atomic_load_n(&stream->at, __ATOMIC_ACQUIRE);

    if (end > stream->start && process_records())
        pack(stream, (size_t)(end - stream->start));
    if (is_own) {
        begin_frame(stream);
    } else {
        stream->start = end;
        stream->begun = process_clock();
    }
}

static void write_own_frame(struct stream *stream)
{
    int before = errno;

    lock(&stream->lock);
    write_frame_locked(stream, true);
    unlock(&stream->lock);
    errno = before;
}

void streams_make_room(struct stream *stream)
{
    write_own_frame(stream);
}

bool streams_write_all(bool is_inside)
{
    int before = errno;
    bool are_all = try_lock(&list_lock, is_inside);

    if (!are_all)
        return false;
    for (struct stream *stream = streams; stream; stream = stream->next) {
        if (try_lock(&stream->lock, is_inside)) {
            write_frame_locked(stream, stream == own.stream && !is_inside);
            unlock(&stream->lock);
        } else {
            are_all = false;
        }
    }
    streams_unlock();
    errno = before;
    return are_all;
}

COLD unsigned char *streams_time(struct stream *stream, unsigned char *head, unsigned char *at)
{
    uint64_t unit = process_ticks() >> UNIT_SHIFT;
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    stream->since = 0;
    if (now.tv_nsec != stream->tick && process_clock() - stream->begun > FRAME_NS)
        stream->full = stream->raw; /* this event is the frame's last */
    stream->tick = now.tv_nsec;
    if (unit <= stream->unit)
        return at;
    *head |= 1 << 3;
    at = event_number(at, unit - stream->unit);
    stream->unit = unit;
    return at;
}

static void drop(struct stream *stream)
{
    struct stream **place = &streams;

    streams_lock();
    while (*place && *place != stream)
        place = &(*place)->next;
    if (*place) {
        *place = stream->next;
        stream->next = spare;
        spare = stream;
    }
    streams_unlock();
}

/* Destructors of other keys may allocate and free still: this one asks to be called again as often as it may. */
static void end_thread(void *value)
{
    struct stream *stream = own.stream;

    own.is_inside = true;
    if (++own.rounds < THREAD_ROUNDS) {
        pthread_setspecific(ends, value);
    } else {
        own.is_over = true;
        own.stream = NULL;
        if (stream) {
            event_rare(stream, RECORDING_THREAD_END, 0);
            write_own_frame(stream);
            drop(stream);
        }
    }
    own.is_inside = false;
}

static struct stream *open_own(void)
{
    if (!__atomic_load_n(&has_key, __ATOMIC_ACQUIRE)) {
        streams_lock();
        if (!has_key && !pthread_key_create(&ends, end_thread))
            __atomic_store_n(&has_key, true, __ATOMIC_RELEASE);
        streams_unlock();
    }
    own.stream = open_stream();
    if (own.stream && has_key)
        pthread_setspecific(ends, &own);
    return own.stream;
}

static struct stream *enter_late(void)
{
    lock(&late_lock);
    if (!late)
        late = open_stream();
    own.is_late = late != NULL;
    if (!late)
        unlock(&late_lock);
    return late;
}

COLD void streams_leave_late(void)
{
    own.is_late = false;
    unlock(&late_lock);
}

COLD struct stream *streams_enter_slow(void)
{
    int before = errno;
    struct stream *stream = NULL;

    if (own.is_inside)
        return NULL;
    own.is_inside = true;
    if (process_begin() && process_records())
        stream = own.is_over ? enter_late() : open_own();
    own.is_inside = stream != NULL;
    errno = before;
    return stream;
}

/* Their memory is a copy of the parent's and stays unused; threads that the child begins get it. */
void streams_forget(void)
{
    struct stream *stream, *after;

    for (stream = streams; stream; stream = after) {
        after = stream->next;
        stream->next = spare;
        stream->lock = 0;
        spare = stream;
    }
    streams = late = own.stream = NULL;
    late_lock = list_lock = 0;
}
