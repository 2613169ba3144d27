/* SPDX-License-Identifier: MIT */
#include "recording.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"
#include "read_at.h"
#include "zstd.h"

enum { WRONG_BYTES = 256, STORED_MAX = RECORDING_RAW_MAX + 4096, THREAD_MAX = (1 << 24) - 1 };

const char *const recording_call_names[RECORDING_RARE] = {"malloc", "calloc", "new", "aligned", "realloc", "free",
                                                          "free of another thread's"};

static struct recording_thread *find_thread(struct recording *recording, uint32_t number)
{
    size_t at = recording->count;

    while (at && recording->threads[at - 1].number >= number)
        at--;
    if (at < recording->count && recording->threads[at].number == number)
        return &recording->threads[at];
    recording->threads = memory_room(recording->threads, recording->count, &recording->room, sizeof *recording->threads);
    memmove(recording->threads + at + 1, recording->threads + at, (recording->count - at) * sizeof *recording->threads);
    recording->count++;
    recording->threads[at] = (struct recording_thread){.number = number};
    return &recording->threads[at];
}

static void add_events(struct recording *recording, const struct recording_frame *frame, off_t at)
{
    struct recording_thread *thread = find_thread(recording, frame->thread);

    thread->frames = memory_room(thread->frames, thread->count, &thread->room, sizeof *thread->frames);
    thread->frames[thread->count++] = (struct recording_place){at, frame->begun, frame->stored, frame->raw, frame->scale};
    recording->raw += frame->raw;
}

/* Takes the lines that it knows. */
static bool read_start(struct recording *recording, char *text)
{
    char *rest = text, *line;

    while ((line = strsep(&rest, "\n"))) {
        char *value = strchr(line, ' ');

        if (!value)
            continue;
        *value++ = '\0';
        if (!strcmp(line, "program"))
            snprintf(recording->program, sizeof recording->program, "%s", value);
        else if (!strcmp(line, "allocator"))
            snprintf(recording->allocator, sizeof recording->allocator, "%s", value);
        else if (!strcmp(line, "source"))
            snprintf(recording->source, sizeof recording->source, "%s", value);
        else if (!strcmp(line, "times"))
            recording->has_times = (recording->step = strtoull(value, NULL, 10)) > 0;
        else if (!strcmp(line, "attached"))
            recording->is_attached = true;
        else if (!strcmp(line, "touched"))
            recording->tells_touched = true;
        else if (!strcmp(line, "pid"))
            recording->pid = atoi(value);
        else if (!strcmp(line, "parent"))
            recording->parent = atoi(value);
        else if (!strcmp(line, "first"))
            recording->first = (uint32_t)strtoul(value, NULL, 10);
    }
    return (recording->pid > 0 || recording->source[0]) && recording->first > 0;
}

static bool fits(const struct recording_frame *frame)
{
    return frame->magic == RECORDING_FRAME && frame->stored <= STORED_MAX && frame->raw <= RECORDING_RAW_MAX &&
           frame->thread <= THREAD_MAX && frame->kind >= RECORDING_START && frame->kind <= RECORDING_END;
}

/* The frame at `at`, with its bytes behind it. */
static bool take_frame(struct recording *recording, const struct recording_frame *frame, char *bytes, off_t at)
{
    size_t after = offsetof(struct recording_frame, kind);
    uint32_t sum = recording_checksum(0, (const char *)frame + after, sizeof *frame - after);

    if (recording_checksum(sum, bytes, frame->stored) != frame->checksum)
        return false;
    recording->is_whole |= frame->kind == RECORDING_END; /* a thread that runs still may write once more */
    if (frame->kind == RECORDING_EVENTS)
        add_events(recording, frame, at + (off_t)sizeof *frame);
    bytes[frame->stored] = '\0';
    return frame->kind != RECORDING_START || read_start(recording, bytes);
}

/* Returns where the whole frames end; -1 if what is there is none. */
static off_t read_frames(struct recording *recording, char wrong[WRONG_BYTES])
{
    char *bytes = memory_new(STORED_MAX + 1);
    off_t at = sizeof RECORDING_MAGIC - 1;
    struct recording_frame frame;

    while (!read_at(recording->fd, &frame, sizeof frame, (uint64_t)at)) {
        bool is_fit = fits(&frame);

        if (is_fit && read_at(recording->fd, bytes, frame.stored, (uint64_t)at + sizeof frame))
            break;
        if (!is_fit || !take_frame(recording, &frame, bytes, at)) {
            snprintf(wrong, WRONG_BYTES, "it is damaged at byte %lld", (long long)at);
            at = -1;
            break;
        }
        at += (off_t)(sizeof frame + frame.stored);
    }
    free(bytes);
    return at;
}

bool recording_open(struct recording *recording, const char *path, char wrong[WRONG_BYTES])
{
    static const char start[] = RECORDING_MAGIC_START;
    char magic[sizeof RECORDING_MAGIC] = "", version;
    struct stat status;
    off_t end;

    *recording = (struct recording){.path = path, .has_times = true, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (recording->fd < 0 || fstat(recording->fd, &status)) {
        snprintf(wrong, WRONG_BYTES, "%s", strerror(errno));
        return false;
    }
    if (!S_ISREG(status.st_mode) || read_at(recording->fd, magic, sizeof magic - 1, 0) ||
        strncmp(magic, start, sizeof start - 1)) {
        snprintf(wrong, WRONG_BYTES, "it is no recording; 'myalloc record' makes one");
        return false;
    }
    version = magic[sizeof start - 1];
    if (version < '1' || version > RECORDING_MAGIC[sizeof start - 1] || magic[sizeof start] != '\n') {
        snprintf(wrong, WRONG_BYTES, "it is of a later version; use the myalloc that made it, or a later one");
        return false;
    }
    end = read_frames(recording, wrong);
    if (end < 0)
        return false;
    recording->bytes = status.st_size;
    recording->lost = status.st_size - end;
    recording->tells_touched &= version > '1';
    if (!recording->first) {
        snprintf(wrong, WRONG_BYTES, "it ends before its first frame does");
        return false;
    }
    if (!zstd_load()) {
        snprintf(wrong, WRONG_BYTES, "cannot load " ZSTD_LIBRARY "; apt-get install " ZSTD_PACKAGE);
        return false;
    }
    return true;
}

/* ---- events ----------------------------------------------------------------------------------------------------------- */

size_t recording_cursor_bytes(void)
{
    return RECORDING_RAW_MAX + STORED_MAX + zstd_work_bytes();
}

void recording_begin(struct recording_cursor *cursor, const struct recording *recording, const struct recording_thread *thread,
                     void *memory)
{
    *cursor = (struct recording_cursor){.recording = recording, .thread = thread, .raw = memory};
}

static bool next_frame(struct recording_cursor *cursor)
{
    const struct recording_place *place = &cursor->thread->frames[cursor->frame];
    unsigned char *stored = cursor->raw + RECORDING_RAW_MAX;

    if (cursor->frame == cursor->thread->count)
        return false;
    cursor->frame++;
    if (read_at(cursor->recording->fd, stored, place->stored, (uint64_t)place->at)) {
        cursor->wrong = "a frame cannot be read again; the file has changed";
        return false;
    }
    if (place->stored == place->raw)
        memcpy(cursor->raw, stored, place->raw);
    else if (!zstd_expand(stored + STORED_MAX, cursor->raw, place->raw, stored, place->stored))
        cursor->wrong = "a frame cannot be expanded";
    cursor->at = cursor->raw;
    cursor->end = cursor->raw + place->raw;
    cursor->begun = place->begun;
    cursor->scale = place->scale;
    cursor->units = cursor->last_other = 0;
    return !cursor->wrong;
}

/* 0 where there is none, which is told. */
static uint64_t take_number(struct recording_cursor *cursor)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && cursor->at < cursor->end; shift += 7) {
        unsigned char byte = *cursor->at++;

        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return value;
    }
    cursor->wrong = "a number in a frame does not end";
    return 0;
}

static void take_own(struct recording_cursor *cursor, struct recording_event *event, uint64_t distance)
{
    if (distance > cursor->births) {
        cursor->wrong = "a call is of a block that was never got";
        return;
    }
    event->before_thread = cursor->thread->number;
    event->before_birth = cursor->births - distance;
}

static void take_other(struct recording_cursor *cursor, struct recording_event *event, uint64_t zigzag)
{
    cursor->last_other += zigzag >> 1 ^ -(zigzag & 1);
    event->before_birth = cursor->last_other;
}

static void take_realloc(struct recording_cursor *cursor, struct recording_event *event)
{
    uint64_t what = take_number(cursor);

    if (what & 1) {
        take_other(cursor, event, what >> 1);
        event->before_thread = (uint32_t)take_number(cursor);
    } else if (what) {
        take_own(cursor, event, what >> 1);
    }
}

static void take_about(struct recording_cursor *cursor, struct recording_event *event)
{
    uint64_t thread = take_number(cursor), birth = take_number(cursor);

    if (thread > THREAD_MAX || birth >> BIRTH_BITS)
        cursor->wrong = "what is told of a block's pages is of none";
    else
        event->about = BLOCK_OF(thread, birth);
}

/* What stands behind the value. */
static void take_rest(struct recording_cursor *cursor, struct recording_event *event)
{
    if (event->call == RECORDING_FREE && event->value) {
        take_own(cursor, event, event->value);
    } else if (event->call == RECORDING_FREE_OTHER) {
        event->before_thread = (uint32_t)event->value;
        take_other(cursor, event, take_number(cursor));
    } else if (event->call == RECORDING_REALLOC) {
        take_realloc(cursor, event);
    } else if (event->call == RECORDING_RARE) {
        event->argument = take_number(cursor);
        if (event->value == RECORDING_TOUCHED)
            take_about(cursor, event);
    } else if (event->call == RECORDING_ALIGNED) {
        unsigned char byte = (unsigned char)(cursor->at < cursor->end ? *cursor->at++ : 0);

        event->alignment_log = byte & 63;
        event->kind = byte >> 6;
    }
}

bool recording_next(struct recording_cursor *cursor, struct recording_event *event)
{
    unsigned char head;

    while (!cursor->wrong && cursor->at == cursor->end) {
        if (!next_frame(cursor))
            return false;
    }
    if (cursor->wrong)
        return false;
    head = *cursor->at++;
    *event = (struct recording_event){.call = (enum recording_call)(head & 7), .value = head >> 4 & 7};
    if (head >> 7)
        event->value |= take_number(cursor) << 3;
    if (head >> 3 & 1)
        cursor->units += take_number(cursor);
    event->time = cursor->begun + (uint64_t)((double)cursor->units * cursor->scale / RECORDING_SCALE);
    take_rest(cursor, event);
    event->is_birth = event->call <= RECORDING_REALLOC;
    if (event->is_birth)
        event->birth = cursor->births++;
    return !cursor->wrong;
}
