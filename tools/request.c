/* SPDX-License-Identifier: MIT */
#include "request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "seconds.h"

#define LOOK_SECONDS 0.005
#define LOST_SECONDS 0.05

const struct request requests[] = {
    {"purge", NULL, MAILBOX_PURGE, 0, "malloc_trim(0)"},
    {"trim", NULL, MAILBOX_TRIM, 0, "malloc_trim(0)"},
    {"limit", "BYTES|off", MAILBOX_LIMIT, 0, NULL},
    {"decay", "MS", MAILBOX_DECAY, 0, NULL},
    {"profile on", NULL, MAILBOX_PROFILE, 1, NULL},
    {"profile off", NULL, MAILBOX_PROFILE, 0, NULL},
    {"profile dump", NULL, MAILBOX_DUMP, 0, NULL},
    {"check", NULL, MAILBOX_CHECK, 0, NULL},
    {"background on", NULL, MAILBOX_BACKGROUND, 1, NULL},
    {"background off", NULL, MAILBOX_BACKGROUND, 0, NULL},
    {"sample on", NULL, MAILBOX_SAMPLE, 1, NULL},
};
const size_t requests_count = sizeof requests / sizeof *requests;

const struct request request_record = {"record", NULL, MAILBOX_RECORD, 1, NULL};

const char *request_name(const struct mailbox_letter *letter)
{
    for (size_t i = 0; i < requests_count; i++) {
        if (requests[i].command == letter->command && (requests[i].more || requests[i].argument == letter->argument))
            return requests[i].words;
    }
    if (letter->command == request_record.command)
        return request_record.words;
    return "one that this command does not know";
}

/* ---- what came of it ------------------------------------------------------------------------------------------------ */

int request_say_failure(const struct post *post, enum post_state state)
{
    int number = post->counts.process.number;
    const char *name = post->counts.process.name;

    switch (state) {
    case POST_SEALED:
        return fail(EXIT_FAILURE, "process %d (%s) takes no commands: its option control is off; start it with control:on, or "
                    "without control:off in MYALLOC_OPTIONS", number, name);
    case POST_SECURE:
        return fail(EXIT_FAILURE, "process %d (%s) takes no commands: it was started with more rights than its user's "
                    "(set-user-ID or capabilities); start it as the user who has them", number, name);
    case POST_VERSION:
        return fail(EXIT_FAILURE, "process %d (%s) has a library with another form of commands: use its own 'myalloc'", number,
                    name);
    case POST_BUSY:
        return fail(STATUS_BUSY, "process %d (%s) is busy: '%s' of another 'myalloc ctl' waits for its answer; nothing was "
                    "sent: try again, or 'myalloc ctl %d withdraw'", number, name, request_name(&post->other), number);
    case POST_LOST:
        return fail(STATUS_BUSY, "process %d (%s) is busy: another 'myalloc ctl' has put its command in the place of this one, "
                    "or has withdrawn it; nothing was done: try again", number, name);
    default:
        return counts_say(number, &post->counts, post->failure);
    }
}

static int say_refused(const struct post *post, const struct request *request)
{
    int number = post->counts.process.number;

    switch (post->answer.status) {
    case MAILBOX_UNKNOWN:
        return fail(EXIT_FAILURE, "process %d does not know '%s': use the 'myalloc' of its library", number, request->words);
    case MAILBOX_BOUNDS:
        return fail(EXIT_FAILURE, "process %d: the value of '%s' is out of bounds; see 'myalloc help ctl'", number,
                    request->words);
    case MAILBOX_REFUSED:
        if (request->command == MAILBOX_DUMP && *post->text)
            return fail(EXIT_FAILURE, "process %d: the file %s cannot be written: %s; let the process write there, or start it "
                        "with profile_out:/tmp/%%b.%%p.heap in MYALLOC_OPTIONS", number, post->text,
                        strerror((int)post->answer.result));
        return fail(EXIT_FAILURE, "process %d: %s: the system refuses%s%s: %s", number, request->words, *post->text ? " " : "",
                    post->text, strerror((int)post->answer.result));
    default:
        if (request->command == MAILBOX_RECORD)
            return fail(STATUS_BUSY, "process %d is recorded by another 'myalloc record', or was until a moment ago: try again "
                        "once that has ended", number);
        return fail(EXIT_FAILURE, "process %d: %s: %s", number, request->words,
                    request->command == MAILBOX_DUMP ? "no profile was ever on; 'profile on' begins one"
                                                     : "it is linked statically, so that no thread can be made in it from "
                                                       "outside; start it with background:on in MYALLOC_OPTIONS");
    }
}

static int say_done(const struct post *post, const struct request *request)
{
    uint64_t result = post->answer.result;

    switch (request->command) {
    case MAILBOX_PURGE:
    case MAILBOX_TRIM:
        printf("done: %" PRIu64 " bytes went back to the system\n", result);
        break;
    case MAILBOX_LIMIT:
        if (request->argument == UINT64_MAX)
            printf("done: no limit; %" PRIu64 " bytes are taken\n", result);
        else if (result <= request->argument)
            printf("done: limit %" PRIu64 ", of which %" PRIu64 " bytes are taken\n", request->argument, result);
        else
            printf("done: limit %" PRIu64 ", but %" PRIu64 " bytes are taken: allocations that need more memory fail until "
                   "less is; 'myalloc ctl %d trim' gives back what is free\n", request->argument, result,
                   post->counts.process.number);
        break;
    case MAILBOX_DECAY:
        printf("done: free memory goes back after about %" PRIu64 " ms\n", request->argument);
        break;
    case MAILBOX_PROFILE:
        if (request->argument)
            printf("done: one byte in %" PRIu64 " is sampled\n", result & ~MAILBOX_WAS_ON);
        else
            puts("done: nothing is sampled any more");
        break;
    case MAILBOX_DUMP:
        printf("done: written to %s\n", post->text);
        break;
    case MAILBOX_CHECK:
        if (result)
            return fail(EXIT_FAILURE, "process %d: %" PRIu64 " invariants of the heap are broken; its standard error names "
                        "them", post->counts.process.number, result);
        puts("done: 0 invariants are broken");
        break;
    case MAILBOX_BACKGROUND:
        puts(request->argument ? "done: the helper thread runs" : "done: there is no helper thread");
        break;
    default:
        puts(result ? "done: blocks were protected before" : "done: some blocks get guarded pages");
    }
    return EXIT_SUCCESS;
}

/* It has not been answered in time. */
static int say_pending(const struct post *post, const struct request *request)
{
    struct process now = post->counts.process;
    int number = now.number;

    process_read(number, &now);
    if (now.state == 'T' || now.state == 't')
        return fail(STATUS_PENDING, "pending: process %d (%s) is stopped; 'kill -CONT %d' lets it go on", number, now.name,
                    number);
    return fail(STATUS_PENDING, "pending: process %d (%s) does '%s' at its next call of malloc or free that no list of its "
                "threads serves; with background:on a thread of its own answers, else gdb -p %d -batch -ex 'call (int)%s'",
                number, now.name, request->words, number, request->instead ? request->instead : "myalloc_check_heap()");
}

/* ---- waiting ------------------------------------------------------------------------------------------------------ */

/* A letter that is not seen is looked for once more: the mailbox is not read at one moment. */
static enum post_state await(struct post *post, double wait)
{
    double until = seconds_now() + wait;
    enum post_state state = POST_WAITING;
    bool again = true;

    for (;;) {
        enum post_state last = state;

        state = post_look(post);
        again = state == POST_LOST && last != POST_LOST;
        if (state != POST_WAITING && !again)
            return state;
        if (!again && seconds_now() >= until)
            return state;
        seconds_sleep(again ? LOST_SECONDS : LOOK_SECONDS);
    }
}

/* A process whose loader has not come far finds no mailbox where its page says. */
enum post_state request_open(int number, double wait, struct post *post)
{
    double until = seconds_now() + wait;
    enum post_state state;

    while ((state = post_open(number, post)) == POST_FAILED && post->failure == COUNTS_CHANGED && seconds_now() < until)
        seconds_sleep(LOST_SECONDS);
    return state;
}

enum post_state request_await(struct post *post, const struct request *request, double wait)
{
    enum post_state state = post_send(post, request->command, request->argument);

    return state == POST_SENT ? await(post, wait) : state;
}

int request_say(const struct post *post, const struct request *request, enum post_state state)
{
    if (state == POST_WAITING)
        return say_pending(post, request);
    if (state != POST_ANSWERED)
        return request_say_failure(post, state);
    return post->answer.status == MAILBOX_DONE ? say_done(post, request) : say_refused(post, request);
}
