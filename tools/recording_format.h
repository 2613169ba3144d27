/* SPDX-License-Identifier: MIT */
/* The file that `myalloc record` writes: the calls that a process made of its allocator, a recording. The recorder in recorder/
 * writes it, recording.c reads it. Numbers are in the machine's order of bytes.
 *
 * It is a sequence of frames. Each has calls of one thread, in their order; frames of a thread follow each other in time. A
 * frame is written by one write(2), so that a program that is killed leaves whole frames. Threads have numbers from
 * `first` (in the START frame) on, in the order of their first calls; one number is that of calls which threads make after
 * their end.
 *
 * A block is named by the thread that got it and its number among the blocks that this thread has got, from 0 on: its birth. A
 * realloc that succeeds ends one block and begins another. Neither addresses nor contents are kept.
 *
 * An event is a byte, call | timed << 3 | (value & 7) << 4 | more << 7, and behind it numbers of 7 bits a byte, the lowest
 * first, with the highest bit set in all bytes but the last:
 *   if more, value >> 3;
 *   if timed, the units of time that have passed since the last such number, or since the frame began;
 *   what the table below names.
 *
 *   call      value              behind it
 *   MALLOC    bytes
 *   CALLOC    bytes in all
 *   NEW       bytes              (C++'s operators; one that aligns is ALIGNED)
 *   ALIGNED   bytes              one byte: log2 of the alignment | kind << 6
 *   REALLOC   bytes              0 (of NULL), (distance + 1) << 1, or zigzag << 1 | 1 and the thread
 *   FREE      0 (of NULL) or distance + 1
 *   FREE_OTHER  the thread       zigzag
 *   RARE      what               an argument; of TOUCHED also the thread of the block and its birth
 *
 * distance is how many blocks this thread has got since the block in question. zigzag, of a block of another thread, is its
 * birth less the birth that was last named like that in this frame (0 at first), doubled, and its complement if it is
 * negative.
 *
 * TOUCHED tells how many pages of 4 KiB of a block had memory: of each of at least TOUCHED_LEAST bytes just before it ends, and
 * of those that are left at the end of the process. A block of which it tells more than once has what was told last. */
#ifndef TOOLS_RECORDING_FORMAT_H
#define TOOLS_RECORDING_FORMAT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What the file begins with, without a NUL. A recording of version 1 lacks TOUCHED. */
#define RECORDING_MAGIC_START "myalloc recording "
#define RECORDING_MAGIC RECORDING_MAGIC_START "2\n"

enum {
    RECORDING_RAW_MAX = 128 * 1024, /* bytes of events in a frame */
    RECORDING_FRAME = 0x464d4352,   /* "RCMF" */
    RECORDING_SCALE = 1 << 16,
    RECORDING_PAGE = 4096,

    /* A look at a block's pages is a system call, 2 us where it was measured; to write 64 KiB takes 1.4 us, 256 KiB 6 us. From
       128 KiB on glibc maps a block by itself, which takes 6 us and a fault a page, and what is smaller lies in memory that has
       pages already, of which the kernel cannot tell who touched them. */
    RECORDING_TOUCHED_LEAST = 128 * 1024,
};

enum recording_kind {
    RECORDING_START = 1, /* lines of text: a word, a blank, its value. "touched" has TOUCHED_LEAST, if there are such events.
                            "source" in place of "pid" tells what the recording was made of, and "times" how many nanoseconds
                            its times are apart at the least, 0 if it had none. "attached" tells that the process ran before
                            the recording began */
    RECORDING_EVENTS,    /* compressed by zstd, unless stored == raw */
    RECORDING_END,       /* the process has ended by exit, _exit or exec, or the end was asked for: nothing is missing */
};

struct recording_frame {
    uint32_t magic;
    uint32_t checksum; /* of what follows it, with the bytes behind the header */
    uint32_t kind, thread;
    uint32_t stored, raw; /* bytes behind the header; of events in them */
    uint64_t begun;       /* nanoseconds since the recording began */
    uint32_t scale;       /* nanoseconds a unit of time, times RECORDING_SCALE */
    uint32_t zero;
};

enum recording_call {
    RECORDING_MALLOC,
    RECORDING_CALLOC,
    RECORDING_NEW,
    RECORDING_ALIGNED,
    RECORDING_REALLOC,
    RECORDING_FREE,
    RECORDING_FREE_OTHER,
    RECORDING_RARE,
};

enum recording_rare {
    RECORDING_THREAD_END,
    RECORDING_REFUSED, /* a call got no memory: bytes */
    RECORDING_FOREIGN, /* a free or realloc of a block from before the recording, or of the process that forked this one */
    RECORDING_TRIM,    /* malloc_trim: the bytes that may stay */
    RECORDING_TOUCHED, /* pages of a block that had memory */
};

enum recording_aligned { RECORDING_MEMALIGN, RECORDING_ALIGNED_ALLOC, RECORDING_POSIX_MEMALIGN, RECORDING_ALIGNED_NEW };

/* A block in one number, which is not 0: the thread and its birth. */
enum { BIRTH_BITS = 40 };
#define BLOCK_OF(thread, birth) ((uint64_t)(thread) << BIRTH_BITS | (birth))
#define BIRTH_OF(block) ((block) & ((UINT64_C(1) << BIRTH_BITS) - 1))
#define THREAD_OF(block) ((uint32_t)((block) >> BIRTH_BITS))

/* Both parts of a frame in turn, from 0. Eight bytes at a time, the last ones filled up with zeros. */
static inline uint32_t recording_checksum(uint32_t before, const void *bytes, size_t count)
{
    const uint64_t factor = 0x9e3779b97f4a7c15;
    uint64_t sum = before + factor;

    for (size_t i = 0; i < count; i += 8) {
        uint64_t word = 0;

        memcpy(&word, (const char *)bytes + i, count - i < 8 ? count - i : 8);
        sum = (sum ^ word) * factor;
        sum ^= sum >> 32;
    }
    return (uint32_t)sum;
}

#endif
