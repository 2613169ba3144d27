/* SPDX-License-Identifier: MIT */
/*
 * The event ring: what a tool reads of each call while it records a running process (`myalloc record PID`). The library writes
 * events into memory of its own, the tool copies them (process_vm_readv) and writes back how far it has come
 * (process_vm_writev). Both sides include this; the layout is that of EVENTS_VERSION. The answer to MAILBOX_RECORD (mailbox.h)
 * is the address of the `struct events_page`.
 *
 * An event has a number, from 0 on in each recording, and lies at its number modulo `count`. It is whole once its lap is that
 * of its number (events_lap), which is written last. The reader reads `head`, the events up to it, and those that were whole
 * once more: the first look may have met them half written. The order of numbers is the order of what happened to one address:
 * a block's end gets its number before the block is free, its beginning after it is the program's.
 *
 * What lies in `reader` is hostile to the library, and all is to the tool. The library takes the words of the reader only if
 * their sum is right and they name this recording, and the tail only if it does not go back nor beyond what was written; the
 * place of an event comes from none of them. Words that are wrong for longer than a reader is away end the recording, as does
 * one that does not write for EVENTS_LATE_US; words that name another recording are left alone. A tool shows nothing of it but
 * as numbers.
 *
 * A thread may stand still between its number and the end of its event: the reader tells a tail behind it once it has
 * waited for long enough. When the thread goes on it writes into that place, where a later event may lie by then. So the
 * reader believes no event of the place until it has seen the late one there, and none that has got its number before that.
 */
#ifndef MYALLOC_EVENTS_H
#define MYALLOC_EVENTS_H

#include <stdatomic.h>
#include <stdint.h>

#include "observe/mailbox.h"

#define EVENTS_VERSION 1
#define EVENTS_SHIFT 18                  /* 262,144 events, 8 MiB: some 40 ms of a program that does nothing but allocate */
#define EVENTS_LATE_US (3 * 1000 * 1000) /* a reader writes each 20 ms */

enum event_kind {
    EVENT_NONE,
    EVENT_MALLOC, /* from here to EVENT_ALIGNED_NEW: a block is got, or none, at address 0 */
    EVENT_CALLOC,
    EVENT_NEW,
    EVENT_REALLOC, /* of NULL */
    EVENT_MEMALIGN,
    EVENT_ALIGNED_ALLOC,
    EVENT_POSIX_MEMALIGN,
    EVENT_ALIGNED_NEW,
    EVENT_FREE,     /* is about to be free */
    EVENT_RESIZING, /* a realloc begins; the thread's next event is */
    EVENT_RESIZED,  /* what it became; refused at address 0: the block stays */
    EVENT_KINDS
};

#define EVENT_TIME_BITS 40

struct event {
    _Atomic uint64_t address, size; /* the size as it was asked for; 0 at an end */
    _Atomic uint64_t when;          /* us since the recording began, in EVENT_TIME_BITS bits; the lap in those above */
    _Atomic uint64_t who;           /* the thread's life (kit/thread_names.h), 32 bits; the kind, 8; log2 of the alignment, 8 */
};

static inline uint64_t events_lap(uint64_t number, uint64_t count) {
    return (number / count + 1) & (((uint64_t)1 << (64 - EVENT_TIME_BITS)) - 1);
}

/* How a recording ends, or has not begun. */
enum events_state {
    EVENTS_OFF,
    EVENTS_ON,
    EVENTS_ENDED, /* the reader has asked for it */
    EVENTS_LATE,  /* the reader has not come by for too long */
    EVENTS_WRONG, /* what lies in its place is not a reader's */
};

/* What the reader writes, as a whole. */
struct events_reader {
    _Atomic uint64_t session;
    _Atomic uint64_t tail; /* it has read all events below this number */
    _Atomic uint64_t beat; /* another number each time */
    _Atomic uint64_t ends; /* not 0: recording is to end at the next call */
    _Atomic uint64_t sum;  /* events_sum */
};

struct events_page {
    uint32_t version, event_bytes;
    uint64_t count;            /* of events in the ring, a power of two */
    _Atomic uint64_t session;  /* the number of this recording among those of the process */
    _Atomic uint64_t state;    /* enum events_state */
    _Atomic uint64_t address;  /* of the ring; there is memory while the state is EVENTS_ON */
    _Atomic uint64_t head;     /* the number of the next event */
    _Atomic uint64_t missing;  /* calls that found no room, and events that nobody had read at an end that was not asked for */
    struct events_reader reader;
};

static inline uint64_t events_sum(uint64_t session, uint64_t tail, uint64_t beat, uint64_t ends) {
    const uint64_t words[] = {session, tail, beat, ends};
    return mailbox_sum(words, 4);
}

#endif
