/* SPDX-License-Identifier: MIT */
/* Reads the events of a process that records its calls (observe/events.h), and tells it how far that has come. What is read
   may be anything: it is another process's memory. */
#ifndef TOOLS_EVENT_READER_H
#define TOOLS_EVENT_READER_H

#include "observe/events.h"
#include "post.h"

enum {
    EVENT_READER_MOST = 1 << 14, /* events at a time: the process gets room again before all are read */
    EVENT_READER_LATE = 256,     /* a thread has one event at a time, but for those that it has left for good */
};

/* An event that was passed, as it was not whole. Its thread may write it yet, over a later one in the same place. */
struct event_reader_late {
    uint64_t number;
    bool is_written; /* it was seen there: its thread will not write there again */
    uint64_t sound;  /* from this number on the events of that place are as they were written; UINT64_MAX: none yet */
};

struct event_reader {
    const struct post *post;
    uintptr_t page, ring;
    uint64_t session, count;
    uint64_t tail, beat;
    uint64_t head, missing; /* as the last look has found them */
    enum events_state state; /* EVENTS_OFF: of another recording, or none */
    uint64_t passed;         /* events that were left out: not whole, or maybe written over */
    bool is_last;            /* there is no event but those below `end`: none is written over */
    struct event_reader_late late[EVENT_READER_LATE];
    size_t late_count;
    struct event events[EVENT_READER_MOST];
    enum { EVENT_SOUND, EVENT_DOUBTFUL, EVENT_UNWRITTEN } found[EVENT_READER_MOST];
};

/* `page` is the answer to MAILBOX_RECORD. Returns 0 or errno; EPROTO if it is none that this command knows. */
int event_reader_open(struct event_reader *reader, const struct post *post, uint64_t page);

/* Looks for `head`, `missing` and `state`. Returns 0 or errno. */
int event_reader_look(struct event_reader *reader);

/* Takes the next events below `end` into `events`: `taken`, up to the first that is not whole yet. Of those with numbers below
   `passes` such are left out. Then event_reader_tell lets the process have their room. Returns 0 or errno. */
int event_reader_take(struct event_reader *reader, uint64_t end, uint64_t passes, size_t *taken);

/* Tells the process how far this has come, and whether recording is to end. Returns 0 or errno; ESTALE, and nothing is written,
   if it is another recording's time: what was taken last is none of this one, either. */
int event_reader_tell(struct event_reader *reader, bool ends);

#endif
