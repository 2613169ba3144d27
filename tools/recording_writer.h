/* SPDX-License-Identifier: MIT */
/* Writes a recording (recording_format.h) of calls as they come: from what another tool has recorded, or of a running process.
   Threads have numbers from 1 on. */
#ifndef TOOLS_RECORDING_WRITER_H
#define TOOLS_RECORDING_WRITER_H

#include <stdbool.h>
#include <stdio.h>

#include "recording_format.h"

/* What a thread has called and is in no frame yet. */
struct recording_stream {
    uint64_t births, last_other;
    uint64_t told; /* nanoseconds: the time that the frame has told last */
    struct recording_frame frame;
    size_t used, room; /* room: grows up to RECORDING_RAW_MAX, as many threads make few calls */
    unsigned char *raw;
};

struct recording_writer {
    FILE *out;
    const char *program, *source; /* until the first event: its name; what the recording is made of, in words, */
    int pid;                      /* ... or the process that is recorded while it runs */
    uint64_t step; /* until then: nanoseconds that its times are apart at the least; 0: it has none */
    bool has_begun;
    uint64_t time;   /* nanoseconds: of the next event */
    uint32_t thread; /* whose calls come; 1 at first */
    struct recording_stream *streams; /* by the threads' numbers less 1 */
    size_t count, room;
};

/* A new one. Nothing is written before the first event. */
struct recording_writer *recording_writer_new(FILE *out);

void recording_writer_free(struct recording_writer *writer);

/* From now on events are of this thread: one that had events, or the next one. */
void recording_writer_thread(struct recording_writer *writer, uint32_t thread);

/* A block is got, by MALLOC, CALLOC or NEW. Returns it as BLOCK_OF. */
uint64_t recording_writer_got(struct recording_writer *writer, enum recording_call call, uint64_t bytes);

/* ... by ALIGNED. */
uint64_t recording_writer_aligned(struct recording_writer *writer, enum recording_aligned kind, unsigned alignment_log,
                                  uint64_t bytes);

/* A realloc ends block `before` and begins another one; of none, if it `is_new`. Returns that as BLOCK_OF. */
uint64_t recording_writer_resized(struct recording_writer *writer, uint64_t before, bool is_new, uint64_t bytes);

void recording_writer_freed(struct recording_writer *writer, uint64_t block);

/* A free of NULL. */
void recording_writer_freed_null(struct recording_writer *writer);

void recording_writer_rare(struct recording_writer *writer, enum recording_rare what, uint64_t argument);

/* Writes what is left; `is_whole`: that nothing is missing. Errors of writing are those of `out`. */
void recording_writer_end(struct recording_writer *writer, bool is_whole);

#endif
