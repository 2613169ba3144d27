/* SPDX-License-Identifier: MIT */
#include "record_process.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event_reader.h"
#include "from_events.h"
#include "message.h"
#include "out_file.h"
#include "request.h"
#include "seconds.h"
#include "zstd.h"

/* Between looks: where there were events; while there are none. The process ends it after EVENTS_LATE_US without one. */
#define BUSY_SECONDS 0.002
#define IDLE_SECONDS 0.02
#define ENDING_SECONDS 0.2

/* For an event that a thread has begun to write, while others wait behind it: where half of the ring is full, so that there is
   no room soon; else, and at the end. */
#define UNWRITTEN_SHORT_SECONDS 0.03
#define UNWRITTEN_SECONDS 1.0

/* How it has ended. */
enum end {
    END_NONE,
    END_WANTED,  /* by the user, or after the time that was told */
    END_GONE,    /* the process has ended */
    END_EXEC,    /* it has begun another program */
    END_LATE,    /* it has seen nothing of this command for too long */
    END_WRONG,   /* another program has written where this one does */
    END_FAILED,  /* its memory cannot be read, or is not as it should be: errno */
};

struct recorder {
    const struct record_order *order;
    struct post post;
    struct event_reader reader;
    struct from_events from;
    enum end end;
    int error;
    double began, ended;
    uint64_t waits_at, waits_head; /* the tail, which has not moved since, and what `head` was then */
    double waits_since;
    bool is_pending; /* at the end the process has not yet seen that it is over */
};

static volatile sig_atomic_t interrupted;

/* ---- the command line ---------------------------------------------------------------------------------------------- */

int record_process_parse(int argc, char **argv, struct record_order *order)
{
    *order = (struct record_order){.during = -1, .wait = SECONDS_WAIT};
    for (int i = 1; i < argc; i++) {
        bool is_for = !strcmp(argv[i], "--for"), is_wait = !strcmp(argv[i], "--wait");
        int status = 0;

        if (is_for || is_wait) {
            status = seconds_parse("record", argv[i], argv[i + 1], is_for ? &order->during : &order->wait);
            i++;
        } else if (!strcmp(argv[i], "--out") || !strcmp(argv[i], "-o")) {
            order->out = argv[++i];
        } else if (argv[i][0] == '-') {
            status = fail(STATUS_USAGE, "record: a process takes no '%s'; see 'myalloc help record'", argv[i]);
        } else if (order->number) {
            status = fail(STATUS_USAGE, "record: '%s' is one word too many beside process %d; put '--' before a program of "
                          "that name", argv[i], order->number);
        } else if (!(order->number = process_number(argv[i]))) {
            status = fail(STATUS_USAGE, "record: '%s' is no number of a process; put '--' before a program of that name",
                          argv[i]);
        }
        if (status)
            return status;
    }
    return 0;
}

/* ---- while it runs ------------------------------------------------------------------------------------------------- */

static void interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

/* A process that is about to end looks for a moment as one that begins another program: its memory has gone. */
static int still(const struct post *post)
{
    double until = seconds_now() + ENDING_SECONDS;
    int error = post_still(post);

    while (error == EFAULT && seconds_now() < until) {
        seconds_sleep(BUSY_SECONDS);
        error = post_still(post);
    }
    return error;
}

/* What an error of a look means: its memory goes when it ends, begins another program or ends the recording. */
static enum end end_by(struct recorder *recorder, int error)
{
    recorder->error = error;
    switch (still(&recorder->post)) {
    case ESRCH: return END_GONE;
    case EFAULT: return END_EXEC;
    default: break;
    }
    if (!event_reader_look(&recorder->reader) && recorder->reader.state != EVENTS_ON)
        return recorder->reader.state == EVENTS_LATE ? END_LATE : END_WRONG;
    return END_FAILED;
}

/* Takes what there is below `end`, a piece at a time, and passes what is not whole below `passes`. Returns how many events it
   has got behind it. */
static size_t take(struct recorder *recorder, uint64_t end, uint64_t passes)
{
    struct event_reader *reader = &recorder->reader;
    uint64_t from = reader->tail, before;

    do {
        size_t taken;
        int error;

        before = reader->tail;
        error = event_reader_take(reader, end, passes, &taken);
        if (!error)
            error = event_reader_tell(reader, false);
        for (size_t i = 0; i < taken && error != ESTALE; i++)
            from_events_take(&recorder->from, &reader->events[i]);
        if (error)
            recorder->end = end_by(recorder, error);
    } while (reader->tail - before == EVENT_READER_MOST && !recorder->end);
    return (size_t)(reader->tail - from);
}

/* Events below this number were not whole for so long that they are passed. While nothing comes behind them, and there is
   room, nobody loses anything: the whole process may be stopped. */
static uint64_t passes(struct recorder *recorder)
{
    const struct event_reader *reader = &recorder->reader;
    double now = seconds_now();

    if (reader->tail != recorder->waits_at || recorder->waits_head <= reader->tail) {
        recorder->waits_at = reader->tail;
        recorder->waits_head = reader->head;
        recorder->waits_since = now;
        return 0;
    }
    if (now - recorder->waits_since < UNWRITTEN_SHORT_SECONDS)
        return 0;
    if (reader->head - reader->tail >= reader->count / 2)
        return recorder->waits_head;
    return now - recorder->waits_since >= UNWRITTEN_SECONDS && reader->head != recorder->waits_head ? recorder->waits_head : 0;
}

static bool is_over(const struct recorder *recorder)
{
    return interrupted || (recorder->order->during >= 0 && seconds_now() - recorder->began >= recorder->order->during);
}

static void look(struct recorder *recorder)
{
    int error = event_reader_look(&recorder->reader);

    if (error || recorder->reader.state != EVENTS_ON)
        recorder->end = end_by(recorder, error);
}

/* Until it ends. */
static void follow(struct recorder *recorder)
{
    size_t taken = 0;

    for (;;) {
        look(recorder);
        if (!recorder->end)
            taken = take(recorder, recorder->reader.head, passes(recorder));
        if (recorder->end)
            return;
        if (is_over(recorder))
            break;
        if (taken < EVENT_READER_MOST)
            seconds_sleep(taken ? BUSY_SECONDS : IDLE_SECONDS);
    }
    recorder->end = END_WANTED;
}

/* What was called before the end was wanted, and no more. What is not whole by then is passed. */
static void take_rest(struct recorder *recorder)
{
    double until = seconds_now() + UNWRITTEN_SECONDS;
    uint64_t end;

    recorder->end = END_NONE;
    look(recorder);
    end = recorder->reader.head;
    while (!recorder->end && recorder->reader.tail < end && seconds_now() < until) {
        if (!take(recorder, end, passes(recorder)))
            seconds_sleep(BUSY_SECONDS);
        if (!recorder->end)
            look(recorder);
    }
    recorder->reader.is_last = true;
    if (!recorder->end)
        take(recorder, end, end);
    if (!recorder->end)
        recorder->end = END_WANTED;
}

/* The process sees it at its next call. */
static void have_it_end(struct recorder *recorder)
{
    double until = seconds_now() + recorder->order->wait;
    struct event_reader *reader = &recorder->reader;
    int error = event_reader_tell(reader, true);

    while (!error && !event_reader_look(reader) && reader->state == EVENTS_ON && seconds_now() < until)
        seconds_sleep(BUSY_SECONDS);
    recorder->is_pending = !error && reader->state == EVENTS_ON && !post_still(&recorder->post);
}

static void record(struct recorder *recorder)
{
    struct sigaction action = {.sa_handler = interrupt}, before[2];

    sigaction(SIGINT, &action, &before[0]);
    sigaction(SIGTERM, &action, &before[1]);
    recorder->began = seconds_now();
    follow(recorder);
    if (recorder->end == END_WANTED)
        take_rest(recorder);
    recorder->ended = seconds_now();
    if (recorder->end == END_WANTED)
        have_it_end(recorder);
    sigaction(SIGINT, &before[0], NULL);
    sigaction(SIGTERM, &before[1], NULL);
}

/* ---- what is told -------------------------------------------------------------------------------------------------- */

static const char *why_text(enum end end)
{
    switch (end) {
    case END_GONE: return "it has ended, and its calls of the last moment are missing";
    case END_EXEC: return "it has begun another program, and its calls of the last moment before that are missing";
    case END_LATE: return "this command did not come by for some seconds, so the process ended the recording";
    case END_WRONG: return "another program has written where this command tells how far it has read, or began to record";
    case END_FAILED: return "its memory cannot be read any more";
    default: return NULL;
    }
}

static int say(const struct recorder *recorder, const char *out)
{
    const struct from_events *from = &recorder->from;
    int number = recorder->order->number, status = EXIT_SUCCESS;
    const char *why = why_text(recorder->end);

    printf("done: %" PRIu64 " calls of %zu threads in %.1f s: %s\n", from->calls, from->count,
           recorder->ended - recorder->began, out);
    if (from->foreign)
        printf("%" PRIu64 " of them gave back or resized blocks from before the recording\n", from->foreign);
    fflush(stdout);
    if (recorder->end == END_FAILED)
        status = fail(EXIT_FAILURE, "process %d: %s: %s", number, why, strerror(recorder->error));
    else if (why)
        fail(0, "process %d: %s", number, why);
    if (recorder->is_pending)
        fail(0, "process %d has made no call since; its calls are slow until the next one", number);
    if (recorder->reader.missing)
        status = fail(STATUS_MISSING, "%" PRIu64 " calls are missing, as this command did not read them in time",
                      recorder->reader.missing);
    if (recorder->reader.passed)
        status = fail(STATUS_MISSING, "%" PRIu64 " %s missing, as threads stood still in the middle of them",
                      recorder->reader.passed, recorder->reader.passed == 1 ? "call is" : "calls are");
    return status;
}

/* ---- the command --------------------------------------------------------------------------------------------------- */

/* Has it begin. Returns 0, or the exit status. */
static int begin(struct recorder *recorder)
{
    struct post *post = &recorder->post;
    enum post_state state = request_await(post, &request_record, recorder->order->wait);
    int number = recorder->order->number, error;

    if (state != POST_ANSWERED || post->answer.status != MAILBOX_DONE) {
        int status = request_say(post, &request_record, state);

        if (state == POST_WAITING && post_withdraw(post) == POST_SENT)
            return fail(status, "nothing is recorded: 'record' is withdrawn");
        return status;
    }
    error = event_reader_open(&recorder->reader, post, post->answer.result);
    if (!error)
        return 0;
    return fail(EXIT_FAILURE, "process %d has begun to record, but %s", number,
                error == EPROTO ? "in a form that this command does not know: use the 'myalloc' of its library"
                                : strerror(error));
}

static int record_into(struct recorder *recorder, FILE *file, const char *out)
{
    struct recording_writer *writer = recording_writer_new(file);
    int status;

    writer->program = recorder->post.counts.process.name;
    writer->pid = recorder->order->number;
    writer->step = 1000;
    from_events_begin(&recorder->from, writer);
    status = begin(recorder);
    if (!status) {
        record(recorder);
        recording_writer_end(writer, recorder->end == END_WANTED && !recorder->reader.missing &&
                             !recorder->reader.passed);
    }
    if (!out_file_close(!status) && !status)
        status = fail(EXIT_FAILURE, "cannot write '%s': %s; name another file", out, out_file_error());
    else if (!status)
        status = say(recorder, out);
    from_events_end(&recorder->from);
    recording_writer_free(writer);
    return status;
}

int record_process(const struct record_order *order, const char *out)
{
    static struct recorder recorder;
    enum post_state state;
    FILE *file;

    if (!zstd_load())
        return fail(EXIT_FAILURE, "cannot load " ZSTD_LIBRARY "; apt-get install " ZSTD_PACKAGE);
    recorder.order = order;
    state = request_open(order->number, order->wait, &recorder.post);
    if (state != POST_SENT)
        return request_say_failure(&recorder.post, state);
    file = out_file_open(out);
    if (!file)
        return fail(EXIT_FAILURE, "cannot write '%s': %s; name another file", out, out_file_error());
    return record_into(&recorder, file, out);
}
