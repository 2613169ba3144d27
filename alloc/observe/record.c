/* SPDX-License-Identifier: MIT */
#include "observe/record.h"

#include <errno.h>

#include "os/os.h"
#include "kit/budget.h"
#include "kit/lock.h"
#include "kit/modes.h"
#include "kit/report.h"
#include "heap/mode_switch.h"

#define COUNT_OF_EVENTS ((uint64_t)1 << EVENTS_SHIFT)
#define RING_BYTES (COUNT_OF_EVENTS * sizeof(struct event))
#define WAITS 20           /* for room, of 1 ms each: longer than another program keeps a processor from the reader */
#define WRONG_US 100000    /* a reader whose words were written over has written them anew some 20 ms later */
#define DOUBT_US 100000    /* one that was late because it was frozen together with this process has written by then */
#define DOUBT_WAITS 30     /* of 10 ms each: longer than that */
#define TIME_MASK (((uint64_t)1 << EVENT_TIME_BITS) - 1)

_Static_assert(sizeof(struct event) == 32, "events do not cross lines of the processor's cache");

static struct events_page record_page BIG_TABLE;

/* Threads that are at writing an event, and above them whether there may be more. Who takes it to 0 gives the ring back. */
#define OPEN ((uint64_t)1 << 63)
static _Atomic uint64_t users;
static struct event *_Atomic ring; /* not NULL: there is memory, or somebody is about to give it back */
static uint64_t begun, session;
static _Atomic uint64_t record_state; /* enum events_state; that in the page is for the reader */

/* What was taken of the reader's words, by one thread at a time; nothing there is read twice. */
static struct {
    struct turn turn;
    _Atomic uint64_t sum, tail;
    _Atomic uint64_t at;          /* when they last changed; written before `sum`, read behind it */
    _Atomic uint64_t late_since;  /* 0: the reader has not been found late since then */
    _Atomic uint64_t wrong_since; /* 0: they are right */
    _Atomic uint64_t vain;        /* 1 + the tail for which somebody has waited in vain */
} seen;

/* ---- the ring's memory ------------------------------------------------------------------------------------------- */

static void drop_ring(void) {
    struct event *events = atomic_exchange(&ring, NULL);
    if (events != NULL)
        budget_unmap(events, RING_BYTES);
}

/* In a child that was forked in the middle of it the thread is not counted. */
static void leave(void) {
    uint64_t now = atomic_load_explicit(&users, memory_order_relaxed);
    do {
        if ((now & ~OPEN) == 0)
            return;
    } while (!atomic_compare_exchange_weak_explicit(&users, &now, now - 1, memory_order_acq_rel, memory_order_relaxed));
    if (now == 1)
        drop_ring();
}

/* The ring, which is there from here to `leave`; NULL if nothing is recorded. Who goes on in a child that a signal's handler has
 * forked meanwhile has its addresses still, or finds none. */
static struct event *enter(void) {
    uint64_t now = atomic_load_explicit(&users, memory_order_relaxed);
    do {
        if (!(now & OPEN))
            return NULL;
    } while (!atomic_compare_exchange_weak_explicit(&users, &now, now + 1, memory_order_acquire, memory_order_relaxed));
    struct event *events = ring;
    if (UNLIKELY(events == NULL))
        leave();
    return events;
}

static COLD void stop(enum events_state why) {
    uint64_t on = EVENTS_ON;
    if (!atomic_compare_exchange_strong(&record_state, &on, why))
        return;
    if (why != EVENTS_ENDED)
        atomic_fetch_add(&record_page.missing, record_page.head - seen.tail);
    mode_switch_follow(MODE_RECORD, &record_state, EVENTS_ON);
    record_page.state = why;
    if (atomic_fetch_and(&users, ~OPEN) == OPEN)
        drop_ring();
}

/* ---- the reader ---------------------------------------------------------------------------------------------------- */

static uint64_t time_now(void) {
    return os_clock_us() - begun;
}

/* Threads tell the time one after the other: `then` may be later. */
static bool is_past(uint64_t now, uint64_t then, uint64_t us) {
    return (int64_t)(now - then) > (int64_t)us;
}

static COLD void take_wrong(uint64_t now) {
    uint64_t since = atomic_load_explicit(&seen.wrong_since, memory_order_relaxed);
    if (since == 0)
        atomic_store_explicit(&seen.wrong_since, now | 1, memory_order_relaxed);
    else if (is_past(now, since, WRONG_US))
        stop(EVENTS_WRONG);
}

/* At `now` or later the reader had not written for too long. It may have been frozen together with this process, so it has
 * a moment more. `now` is older than that look at its words: this thread may have been stopped in between. */
static COLD void take_late(uint64_t now) {
    uint64_t since = atomic_load_explicit(&seen.late_since, memory_order_relaxed);
    if (since == 0)
        atomic_store_explicit(&seen.late_since, time_now() | 1, memory_order_relaxed);
    else if (is_past(now, since, DOUBT_US))
        stop(EVENTS_LATE);
}

/* Words that differ from those that were taken last. The tail is judged by the head, which is read behind it. Words of another
 * recording are of a tool that was stopped until this one had begun: they are left, the reader's own follow. The clock is asked
 * anew, as this thread may have been stopped since `now`. */
static COLD void take_words(uint64_t now) {
    if (!turn_try(&seen.turn))
        return;
    struct events_reader *reader = &record_page.reader;
    uint64_t whose = reader->session, tail = reader->tail, beat = reader->beat, ends = reader->ends, sum = reader->sum;
    if (sum != events_sum(whose, tail, beat, ends)) {
        take_wrong(time_now());
    } else if (whose != session) {
        seen.wrong_since = 0;
        if (is_past(now, seen.at, EVENTS_LATE_US))
            take_late(now);
    } else if (tail < seen.tail || tail > record_page.head) {
        take_wrong(time_now());
    } else {
        seen.wrong_since = seen.late_since = 0;
        seen.at = time_now();
        seen.tail = tail;
        seen.sum = sum;
        if (ends != 0)
            stop(EVENTS_ENDED);
    }
    turn_end(&seen.turn);
}

/* Looks at what the reader has written. False if recording has ended. A handler of fork has all locks: modes stay as they
 * are. */
static bool look(uint64_t now) {
    if (lock_is_forking())
        return true;
    uint64_t taken = atomic_load_explicit(&seen.sum, memory_order_acquire);
    if (atomic_load_explicit(&record_page.reader.sum, memory_order_relaxed) != taken)
        take_words(now);
    else if (UNLIKELY(is_past(now, atomic_load_explicit(&seen.at, memory_order_relaxed), EVENTS_LATE_US)))
        take_late(now);
    return atomic_load_explicit(&record_state, memory_order_relaxed) == EVENTS_ON;
}

void record_look(void) {
    if (enter() != NULL) {
        look(time_now());
        leave();
    }
}

/* ---- events -------------------------------------------------------------------------------------------------------- */

/* Waits until the reader has moved behind `tail`. False if it has not, or nobody is to wait for it. */
static COLD bool wait_for_room(uint64_t tail) {
    static _Atomic uint32_t word; /* nobody wakes those who wait: the reader is another process */
    if (lock_is_forking() || os_is_shut_in() || atomic_load_explicit(&seen.vain, memory_order_relaxed) == tail + 1)
        return false;
    for (unsigned waits = 0; waits < WAITS; waits++) {
        if (!os_futex_sleep(&word, 0, 1) || !look(time_now()))
            return false;
        if (atomic_load_explicit(&seen.tail, memory_order_acquire) != tail)
            return true;
    }
    atomic_store_explicit(&seen.vain, tail + 1, memory_order_relaxed);
    return false;
}

/* The number of the next event. False if there is no room for it. The tail is read first: the head is never below it. */
static bool take_number(uint64_t *number) {
    for (;;) {
        uint64_t tail = atomic_load_explicit(&seen.tail, memory_order_acquire);
        *number = atomic_load_explicit(&record_page.head, memory_order_relaxed);
        if (*number - tail < COUNT_OF_EVENTS) {
            if (atomic_compare_exchange_weak_explicit(&record_page.head, number, *number + 1, memory_order_acq_rel,
                                                      memory_order_relaxed))
                return true;
        } else if (atomic_load_explicit(&seen.tail, memory_order_relaxed) == tail && !wait_for_room(tail)) {
            return false;
        }
    }
}

static uint64_t who_does(enum event_kind kind, size_t align) {
    return (uint32_t)report_thread_life() | (uint64_t)kind << 32 | (uint64_t)high_bit(align) << 40;
}

static void write_event(struct event *event, uint64_t number, uint64_t now, const uint64_t words[3]) {
    uint64_t lap = events_lap(number, COUNT_OF_EVENTS);
    atomic_store_explicit(&event->address, words[0], memory_order_relaxed);
    atomic_store_explicit(&event->size, words[1], memory_order_relaxed);
    atomic_store_explicit(&event->who, words[2], memory_order_relaxed);
    atomic_store_explicit(&event->when, (now & TIME_MASK) | lap << EVENT_TIME_BITS, memory_order_release);
}

/* A child that was forked has the mode still. Another of its threads may begin to record meanwhile. */
static COLD void forget_mode(void) {
    if (record_state == EVENTS_OFF && !lock_is_forking())
        mode_switch_follow(MODE_RECORD, &record_state, EVENTS_ON);
}

static void put(enum event_kind kind, const void *p, size_t bytes, size_t align) {
    const uint64_t words[] = {(uintptr_t)p, bytes, who_does(kind, align)};
    struct event *events = enter();
    if (events == NULL) {
        forget_mode();
        return;
    }
    uint64_t number, now = time_now();
    if (look(now)) {
        if (LIKELY(take_number(&number)))
            write_event(events + number % COUNT_OF_EVENTS, number, now, words);
        else
            atomic_fetch_add_explicit(&record_page.missing, 1, memory_order_relaxed);
    }
    leave();
}

/* By the call's name; valloc and pvalloc count as memalign. */
static enum event_kind kind_of(const char *call, size_t align) {
    bool aligned = align > BLOCK_ALIGN;
    switch (call[0]) {
    case 'a':
        return EVENT_ALIGNED_ALLOC;
    case 'c':
        return EVENT_CALLOC;
    case 'o': /* operator new */
        return aligned ? EVENT_ALIGNED_NEW : EVENT_NEW;
    case 'p':
        return call[1] == 'o' ? EVENT_POSIX_MEMALIGN : EVENT_MEMALIGN;
    case 'r':
        return EVENT_REALLOC;
    case 'v':
        return EVENT_MEMALIGN;
    default: /* malloc, memalign, myalloc_alloc_at_least and the aligned form of that */
        return call[1] == 'e' || aligned ? EVENT_MEMALIGN : EVENT_MALLOC;
    }
}

void record_allocated(const void *p, size_t bytes, size_t align, const char *call) {
    put(kind_of(call, align), p, bytes, align);
}

void record_freeing(const void *p) {
    put(EVENT_FREE, p, 0, 1);
}

void record_resizing(const void *p) {
    put(EVENT_RESIZING, p, 0, 1);
}

void record_resized(const void *p, size_t bytes) {
    put(EVENT_RESIZED, p, bytes, 1);
}

/* ---- begin, and forks ---------------------------------------------------------------------------------------------- */

static void reset_words(void) {
    record_page.reader.session = session;
    record_page.reader.tail = record_page.reader.beat = record_page.reader.ends = 0;
    record_page.reader.sum = events_sum(session, 0, 0, 0);
    seen.sum = record_page.reader.sum;
    seen.tail = seen.at = seen.late_since = seen.wrong_since = seen.vain = 0;
}

/* Ends the recording of a reader that is gone, for which two looks are needed. */
static void end_late(void) {
    static _Atomic uint32_t word; /* nobody wakes who waits */
    record_look();
    for (unsigned waits = 0; waits < DOUBT_WAITS && record_state == EVENTS_ON && seen.late_since != 0; waits++) {
        if (os_is_shut_in() || !os_futex_sleep(&word, 0, 10))
            return;
        record_look();
    }
}

int record_start(const struct events_page **where) {
    end_late();
    if (users != 0 || ring != NULL)
        return EBUSY;
    struct event *events = budget_map(RING_BYTES);
    if (events == NULL)
        return ENOMEM;
    begun = os_clock_us();
    record_page.version = EVENTS_VERSION;
    record_page.event_bytes = sizeof(struct event);
    record_page.count = COUNT_OF_EVENTS;
    record_page.session = ++session;
    record_page.head = record_page.missing = 0;
    reset_words();
    ring = events;
    record_page.address = (uintptr_t)events;
    record_state = record_page.state = EVENTS_ON;
    users = OPEN;
    mode_switch_follow(MODE_RECORD, &record_state, EVENTS_ON);
    *where = &record_page;
    return 0;
}

/* Where a thread was at writing, that may be this one, which a signal has interrupted, the addresses stay, without memory. The
 * mode is switched off at the next call: this one may hold locks. */
void record_forked(void) {
    uint64_t before = atomic_exchange(&users, 0);
    struct event *events = ring;
    record_state = record_page.state = EVENTS_OFF;
    turn_forked(&seen.turn);
    if (events == NULL)
        return;
    if ((before & ~OPEN) == 0) {
        drop_ring();
    } else {
        os_discard(events, RING_BYTES);
        ring = NULL;
    }
}
