/* SPDX-License-Identifier: MIT */
/* A recording (recording_format.h) as it is read: its frames found and checked, and the events of each thread. */
#ifndef TOOLS_RECORDING_H
#define TOOLS_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "recording_format.h"

struct recording_place {
    off_t at; /* of the bytes behind the header */
    uint64_t begun;
    uint32_t stored, raw, scale;
};

struct recording_thread {
    uint32_t number;
    struct recording_place *frames;
    size_t count, room;
};

struct recording {
    const char *path;
    int fd;
    char program[256], allocator[256];
    char source[64]; /* what it was made of, if it was not recorded; then there is neither an allocator nor a process */
    bool is_attached; /* the process ran before the recording began, and perhaps after it */
    bool has_times;
    uint64_t step; /* nanoseconds, below which it tells no time */
    int pid, parent;
    uint32_t first;  /* the number of the first thread; those below are of the parent */
    bool tells_touched; /* of large blocks it tells how many of their pages had memory */
    bool is_whole;   /* it ended by exit, _exit or exec, or when that was asked for, and so is all there */
    off_t bytes, lost; /* of the file; of them behind the last whole frame */
    uint64_t raw;    /* bytes of events before compression */
    struct recording_thread *threads; /* by their numbers */
    size_t count, room;
};

extern const char *const recording_call_names[RECORDING_RARE]; /* what is rare has none */

struct recording_event {
    uint64_t time;  /* nanoseconds since the recording began */
    uint64_t value; /* as in the format */
    uint64_t birth; /* of the block that is got, among those of the thread */
    uint64_t before_birth;  /* of the block that ends, if there is one */
    uint32_t before_thread; /* the number of its thread; 0: none ends */
    uint64_t argument;      /* of what is rare */
    uint64_t about;         /* the block that TOUCHED tells of, as BLOCK_OF */
    enum recording_call call;
    unsigned char alignment_log, kind; /* of ALIGNED */
    bool is_birth;                     /* a block is got */
};

/* Where the reader of one thread's events is. */
struct recording_cursor {
    const struct recording *recording;
    const struct recording_thread *thread;
    size_t frame; /* the next one */
    const unsigned char *at, *end;
    uint64_t births, last_other, units, begun;
    uint32_t scale;
    unsigned char *raw; /* room: RECORDING_RAW_MAX, as much for what is stored, and zstd's */
    const char *wrong;  /* why there are no more events, if it is not the end */
};

/* Reads and checks all frames. False, and `wrong` says why in words, if it is no whole recording but for its end. */
bool recording_open(struct recording *recording, const char *path, char wrong[256]);

/* Bytes of memory that a cursor needs. */
size_t recording_cursor_bytes(void);

/* `memory` is aligned to 8 bytes and stays the caller's. */
void recording_begin(struct recording_cursor *cursor, const struct recording *recording,
                     const struct recording_thread *thread, void *memory);

/* The next event; false at the end. */
bool recording_next(struct recording_cursor *cursor, struct recording_event *event);

#endif
