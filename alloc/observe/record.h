/* SPDX-License-Identifier: MIT */
/*
 * MODE_RECORD: each call becomes an event in the event ring (events.h), for `myalloc record PID`.
 *
 * Its memory is taken when recording begins and given back when it ends, by the last thread that is at writing an event. A
 * thread takes a number for its event only where there is room. Where there is none it waits for the reader, 20 ms at the
 * most, and not at all where another has waited in vain and the reader has not moved since, so a reader that hangs holds up
 * each thread once. Then the call is left out, and counted. No lock: nobody waits for another thread, and a wait for the reader
 * holds nothing of the allocator's. Recording ends by itself if the reader does not come by or what it writes is not sound; so
 * a tool that is killed leaves a plain process behind, by its calls some seconds later.
 *
 * A forked child does not record, and gives the ring back; one of which no handler of fork was told (_Fork, clone) writes into
 * a copy that nobody reads, until the reader is late.
 */
#ifndef MYALLOC_RECORD_H
#define MYALLOC_RECORD_H

#include "base/base.h"
#include "observe/events.h"

/* Begins, and sets the address of the page. 0 or an error number: EBUSY where another reader is at it, ENOMEM. By one thread at
 * a time, that holds no lock of the allocator. */
int record_start(const struct events_page **page);

/* Ends it where the reader is gone or wants it; for the helper, while nobody calls. With no lock held. */
void record_look(void);

/* observers.h calls these while MODE_RECORD is on, under no lock of the allocator. */
void record_allocated(const void *p, size_t bytes, size_t align, const char *call); /* p is NULL if it was refused */
void record_freeing(const void *p);
void record_resizing(const void *p);
void record_resized(const void *p, size_t bytes); /* NULL: refused */

/* In a forked child, which may hold locks. */
void record_forked(void);

#endif
