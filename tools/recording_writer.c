/* SPDX-License-Identifier: MIT */
#include "recording_writer.h"

#include <stdlib.h>

#include "memory.h"
#include "zstd.h"

enum { EVENT_MAX = 48, UNIT_NS = 1000, FIRST = 1, TEXT_MAX = 1024, ROOM_LEAST = 4096 };

struct recording_writer *recording_writer_new(FILE *out)
{
    struct recording_writer *writer = memory_new(sizeof *writer);

    writer->out = out;
    writer->program = writer->source = "unknown";
    recording_writer_thread(writer, FIRST);
    return writer;
}

void recording_writer_free(struct recording_writer *writer)
{
    for (size_t i = 0; i < writer->count; i++)
        free(writer->streams[i].raw);
    free(writer->streams);
    free(writer);
}

void recording_writer_thread(struct recording_writer *writer, uint32_t thread)
{
    writer->thread = thread;
    while (writer->count < thread) {
        writer->streams = memory_room(writer->streams, writer->count, &writer->room, sizeof *writer->streams);
        writer->streams[writer->count++] = (struct recording_stream){0};
    }
}

static struct recording_stream *stream_of(struct recording_writer *writer)
{
    return &writer->streams[writer->thread - FIRST];
}

static void put_frame(struct recording_writer *writer, struct recording_frame *frame, const void *bytes)
{
    size_t after = offsetof(struct recording_frame, kind);

    frame->magic = RECORDING_FRAME;
    frame->checksum = recording_checksum(recording_checksum(0, (const char *)frame + after, sizeof *frame - after), bytes,
                                         frame->stored);
    fwrite(frame, sizeof *frame, 1, writer->out);
    fwrite(bytes, 1, frame->stored, writer->out);
}

/* One line a word: an end of line in the name of a program would end it. */
static void put_start(struct recording_writer *writer)
{
    struct recording_frame frame = {.kind = RECORDING_START};
    char name[256], text[TEXT_MAX], what[128];
    int length;

    snprintf(name, sizeof name, "%s", writer->program);
    for (char *at = name; *at; at++)
        *at = (unsigned char)*at < ' ' ? '?' : *at;
    if (writer->pid)
        snprintf(what, sizeof what, "pid %d\nallocator myalloc\nattached yes", writer->pid);
    else
        snprintf(what, sizeof what, "source %s", writer->source);
    length = snprintf(text, sizeof text, "program %s\nfirst %d\n%s\ntimes %llu\n", name, FIRST, what,
                      (unsigned long long)writer->step);
    fwrite(RECORDING_MAGIC, sizeof RECORDING_MAGIC - 1, 1, writer->out);
    frame.stored = frame.raw = (uint32_t)length;
    put_frame(writer, &frame, text);
    writer->has_begun = true;
}

static void end_frame(struct recording_writer *writer, struct recording_stream *stream)
{
    static unsigned char packed[RECORDING_RAW_MAX];
    size_t stored;

    if (!stream->used)
        return;
    stored = zstd_pack(packed, stream->used - 1, stream->raw, stream->used);
    stream->frame.stored = (uint32_t)(stored ? stored : stream->used);
    stream->frame.raw = (uint32_t)stream->used;
    put_frame(writer, &stream->frame, stored ? packed : stream->raw);
    stream->used = 0;
}

static void put_number(struct recording_stream *stream, uint64_t value)
{
    for (; value >= 128; value >>= 7)
        stream->raw[stream->used++] = (unsigned char)(value | 128);
    stream->raw[stream->used++] = (unsigned char)value;
}

/* Room for another event: in the frame, or in a new one. */
static void make_room(struct recording_writer *writer, struct recording_stream *stream)
{
    if (stream->used + EVENT_MAX <= stream->room)
        return;
    if (stream->room == RECORDING_RAW_MAX) {
        end_frame(writer, stream);
        return;
    }
    stream->room = stream->room ? 2 * stream->room : ROOM_LEAST;
    stream->raw = realloc(stream->raw, stream->room);
    if (!stream->raw)
        memory_fail();
}

/* The head of an event, and its time. */
static struct recording_stream *begin_event(struct recording_writer *writer, enum recording_call call, uint64_t value)
{
    struct recording_stream *stream = stream_of(writer);
    uint64_t units;

    if (!writer->has_begun)
        put_start(writer);
    make_room(writer, stream);
    if (!stream->used) {
        stream->frame = (struct recording_frame){.kind = RECORDING_EVENTS, .thread = writer->thread, .begun = writer->time,
                                                 .scale = UNIT_NS * RECORDING_SCALE};
        stream->told = writer->time;
        stream->last_other = 0;
    }
    units = writer->time > stream->told ? (writer->time - stream->told) / UNIT_NS : 0;
    stream->told += units * UNIT_NS;
    stream->raw[stream->used++] = (unsigned char)(call | (units > 0) << 3 | (value & 7) << 4 | (value > 7) << 7);
    if (value > 7)
        put_number(stream, value >> 3);
    if (units)
        put_number(stream, units);
    return stream;
}

static uint64_t next_block(const struct recording_writer *writer, struct recording_stream *stream)
{
    return BLOCK_OF(writer->thread, stream->births++);
}

/* The birth of a block of another thread, from the one that was named last. */
static uint64_t zigzag(struct recording_stream *stream, uint64_t block)
{
    int64_t further = (int64_t)(BIRTH_OF(block) - stream->last_other);

    stream->last_other = BIRTH_OF(block);
    return (uint64_t)further << 1 ^ (uint64_t)(further >> 63);
}

uint64_t recording_writer_got(struct recording_writer *writer, enum recording_call call, uint64_t bytes)
{
    return next_block(writer, begin_event(writer, call, bytes));
}

uint64_t recording_writer_aligned(struct recording_writer *writer, enum recording_aligned kind, unsigned alignment_log,
                                  uint64_t bytes)
{
    struct recording_stream *stream = begin_event(writer, RECORDING_ALIGNED, bytes);

    stream->raw[stream->used++] = (unsigned char)((alignment_log & 63) | (unsigned)kind << 6);
    return next_block(writer, stream);
}

uint64_t recording_writer_resized(struct recording_writer *writer, uint64_t before, bool is_new, uint64_t bytes)
{
    struct recording_stream *stream = begin_event(writer, RECORDING_REALLOC, bytes);

    if (is_new) {
        put_number(stream, 0);
    } else if (THREAD_OF(before) == writer->thread) {
        put_number(stream, (stream->births - BIRTH_OF(before)) << 1);
    } else {
        put_number(stream, zigzag(stream, before) << 1 | 1);
        put_number(stream, THREAD_OF(before));
    }
    return next_block(writer, stream);
}

void recording_writer_freed(struct recording_writer *writer, uint64_t block)
{
    if (THREAD_OF(block) == writer->thread)
        begin_event(writer, RECORDING_FREE, stream_of(writer)->births - BIRTH_OF(block));
    else {
        struct recording_stream *stream = begin_event(writer, RECORDING_FREE_OTHER, THREAD_OF(block));

        put_number(stream, zigzag(stream, block));
    }
}

void recording_writer_freed_null(struct recording_writer *writer)
{
    begin_event(writer, RECORDING_FREE, 0);
}

void recording_writer_rare(struct recording_writer *writer, enum recording_rare what, uint64_t argument)
{
    put_number(begin_event(writer, RECORDING_RARE, what), argument);
}

void recording_writer_end(struct recording_writer *writer, bool is_whole)
{
    struct recording_frame end = {.kind = RECORDING_END, .begun = writer->time};

    if (!writer->has_begun)
        put_start(writer);
    for (size_t i = 0; i < writer->count; i++)
        end_frame(writer, &writer->streams[i]);
    if (is_whole)
        put_frame(writer, &end, "");
}
