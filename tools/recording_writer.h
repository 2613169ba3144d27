/* SPDX-License-Identifier: MIT */
/* Writes a recording (recording_format.h) of one thread's calls, as they come from what another tool has recorded. Blocks have
   numbers from 0 on in the order in which they are got. */
#ifndef TOOLS_RECORDING_WRITER_H
#define TOOLS_RECORDING_WRITER_H

#include <stdbool.h>
#include <stdio.h>

#include "recording_format.h"

struct recording_writer {
    FILE *out;
    const char *program, *source; /* until the first event: its name; what the recording is made of, in words */
    uint64_t step; /* until then: nanoseconds that its times are apart at the least; 0: it has none */
    bool has_begun;
    uint64_t time, told; /* nanoseconds: of the next event; that the frame has told last */
    uint64_t births;
    struct recording_frame frame;
    size_t used;
    unsigned char raw[RECORDING_RAW_MAX];
};

/* A new one; free() gives it back. Nothing is written before the first event. */
struct recording_writer *recording_writer_new(FILE *out);

/* A block is got, by MALLOC, CALLOC or NEW. Returns its number. */
uint64_t recording_writer_got(struct recording_writer *writer, enum recording_call call, uint64_t bytes);

/* A realloc ends block `before` and begins another one; of none, if it `is_new`. Returns its number. */
uint64_t recording_writer_resized(struct recording_writer *writer, uint64_t before, bool is_new, uint64_t bytes);

void recording_writer_freed(struct recording_writer *writer, uint64_t block);

void recording_writer_rare(struct recording_writer *writer, enum recording_rare what, uint64_t argument);

/* Writes what is left; `is_whole`: that nothing is missing. Errors of writing are those of `out`. */
void recording_writer_end(struct recording_writer *writer, bool is_whole);

#endif
