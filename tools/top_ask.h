/* SPDX-License-Identifier: MIT */
/* What a key of `myalloc top` has a process do: a command for its mailbox, one at a time, and what comes of it as a line. */
#ifndef TOOLS_TOP_ASK_H
#define TOOLS_TOP_ASK_H

#include "post.h"
#include "watch.h"

enum { ASK_TEXT = MAILBOX_TEXT + 256 };

struct ask {
    struct post post;
    const char *words;   /* of the command */
    bool waits;          /* for an answer that may still come; */
    bool lost;           /* the last look did not find the letter */
    double since;        /* seconds of the monotonic clock when it was sent */
    char text[ASK_TEXT]; /* the line; empty: there is none */
};

/* Has the process do what the key stands for. False if it stands for nothing. */
bool ask_key(struct ask *ask, const struct watched *watched, int key);

/* Looks for the answer, if one is waited for. */
void ask_look(struct ask *ask);

/* Seconds until the next look is due; more than any round takes where nothing is waited for. */
double ask_due(const struct ask *ask);

#endif
