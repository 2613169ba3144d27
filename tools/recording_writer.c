/* SPDX-License-Identifier: MIT */
#include "recording_writer.h"

#include "memory.h"
#include "zstd.h"

enum { EVENT_MAX = 48, UNIT_NS = 1000, THREAD = 1, TEXT_MAX = 1024 };

struct recording_writer *recording_writer_new(FILE *out)
{
    struct recording_writer *writer = memory_new(sizeof *writer);

    writer->out = out;
    writer->program = writer->source = "unknown";
    return writer;
}

static void put_frame(struct recording_writer *writer, const void *bytes)
{
    struct recording_frame *frame = &writer->frame;
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
    char name[256], text[TEXT_MAX];
    int length;

    snprintf(name, sizeof name, "%s", writer->program);
    for (char *at = name; *at; at++)
        *at = (unsigned char)*at < ' ' ? '?' : *at;
    length = snprintf(text, sizeof text, "program %s\nfirst %d\nsource %s\ntimes %llu\n", name, THREAD, writer->source,
                      (unsigned long long)writer->step);
    fwrite(RECORDING_MAGIC, sizeof RECORDING_MAGIC - 1, 1, writer->out);
    writer->frame = (struct recording_frame){.kind = RECORDING_START, .stored = (uint32_t)length, .raw = (uint32_t)length};
    put_frame(writer, text);
    writer->has_begun = true;
}

static void end_frame(struct recording_writer *writer)
{
    static unsigned char packed[RECORDING_RAW_MAX];
    size_t stored;

    if (!writer->used)
        return;
    stored = zstd_pack(packed, writer->used - 1, writer->raw, writer->used);
    writer->frame.stored = (uint32_t)(stored ? stored : writer->used);
    writer->frame.raw = (uint32_t)writer->used;
    put_frame(writer, stored ? packed : writer->raw);
    writer->used = 0;
}

static void put_number(struct recording_writer *writer, uint64_t value)
{
    for (; value >= 128; value >>= 7)
        writer->raw[writer->used++] = (unsigned char)(value | 128);
    writer->raw[writer->used++] = (unsigned char)value;
}

/* The head of an event, and its time. */
static void begin_event(struct recording_writer *writer, enum recording_call call, uint64_t value)
{
    uint64_t units;

    if (!writer->has_begun)
        put_start(writer);
    if (writer->used > RECORDING_RAW_MAX - EVENT_MAX)
        end_frame(writer);
    if (!writer->used) {
        writer->frame = (struct recording_frame){.kind = RECORDING_EVENTS, .thread = THREAD, .begun = writer->time,
                                                 .scale = UNIT_NS * RECORDING_SCALE};
        writer->told = writer->time;
    }
    units = writer->time > writer->told ? (writer->time - writer->told) / UNIT_NS : 0;
    writer->told += units * UNIT_NS;
    writer->raw[writer->used++] = (unsigned char)(call | (units > 0) << 3 | (value & 7) << 4 | (value > 7) << 7);
    if (value > 7)
        put_number(writer, value >> 3);
    if (units)
        put_number(writer, units);
}

uint64_t recording_writer_got(struct recording_writer *writer, enum recording_call call, uint64_t bytes)
{
    begin_event(writer, call, bytes);
    return writer->births++;
}

uint64_t recording_writer_resized(struct recording_writer *writer, uint64_t before, bool is_new, uint64_t bytes)
{
    begin_event(writer, RECORDING_REALLOC, bytes);
    put_number(writer, is_new ? 0 : (writer->births - before) << 1);
    return writer->births++;
}

void recording_writer_freed(struct recording_writer *writer, uint64_t block)
{
    begin_event(writer, RECORDING_FREE, writer->births - block);
}

void recording_writer_rare(struct recording_writer *writer, enum recording_rare what, uint64_t argument)
{
    begin_event(writer, RECORDING_RARE, what);
    put_number(writer, argument);
}

void recording_writer_end(struct recording_writer *writer, bool is_whole)
{
    if (!writer->has_begun)
        put_start(writer);
    end_frame(writer);
    writer->frame = (struct recording_frame){.kind = RECORDING_END, .begun = writer->time};
    if (is_whole)
        put_frame(writer, "");
}
