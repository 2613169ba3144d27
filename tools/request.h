/* SPDX-License-Identifier: MIT */
/* Requests to a running process, by its mailbox: what there is, sent and waited for, and what came of it in words. */
#ifndef TOOLS_REQUEST_H
#define TOOLS_REQUEST_H

#include "post.h"

/* What may be asked for. The words are those of the command line, `more` what stands behind them as a value. */
struct request {
    const char *words;
    const char *more;
    enum mailbox_command command;
    uint64_t argument;
    const char *instead; /* what gdb may call for it, if that is known */
};

extern const struct request requests[];
extern const size_t requests_count;

/* The one of `myalloc record PID`, which is not among them: who makes it must read what comes of it. */
extern const struct request request_record;

/* The words of the request that a letter is of. */
const char *request_name(const struct mailbox_letter *letter);

/* Finds the mailbox of a process; waits so many seconds for one whose loader has not come far. POST_SENT if it is there. */
enum post_state request_open(int number, double wait, struct post *post);

/* Sends it and waits so many seconds for its answer. POST_ANSWERED or what has come in its place. */
enum post_state request_await(struct post *post, const struct request *request, double wait);

/* Tells what has come of it, and returns the exit status. */
int request_say(const struct post *post, const struct request *request, enum post_state state);

/* Tells a state that is no answer, before a request is made. */
int request_say_failure(const struct post *post, enum post_state state);

#endif
