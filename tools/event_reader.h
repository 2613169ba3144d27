/* SPDX-License-Identifier: MIT */
/* Reads the events of a process that records its calls (observe/events.h), and tells it how far that has come. What is read
   may be anything: it is another process's memory. */
#ifndef TOOLS_EVENT_READER_H
#define TOOLS_EVENT_READER_H

#include "observe/events.h"
#include "post.h"

enum { EVENT_READER_MOST = 1 << 14 }; /* events at a time: the process gets room again before all are read */

struct event_reader {
    const struct post *post;
    uintptr_t page, ring;
    uint64_t session, count;
    uint64_t tail, beat;
    uint64_t head, missing; /* as the last look has found them */
    enum events_state state; /* EVENTS_OFF: of another recording, or none */
    struct event events[EVENT_READER_MOST];
};

/* `page` is the answer to MAILBOX_RECORD. Returns 0 or errno; EPROTO if it is none that this command knows. */
int event_reader_open(struct event_reader *reader, const struct post *post, uint64_t page);

/* Looks for `head`, `missing` and `state`. Returns 0 or errno. */
int event_reader_look(struct event_reader *reader);

/* Takes the next events below `end` into `events`: `taken`, which is less than there are where one is not whole yet. Then
   event_reader_tell lets the process have their room. Returns 0 or errno. */
int event_reader_take(struct event_reader *reader, uint64_t end, size_t *taken);

/* Tells the process how far this has come, and whether recording is to end. Returns 0 or errno. */
int event_reader_tell(struct event_reader *reader, bool ends);

#endif
