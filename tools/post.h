/* SPDX-License-Identifier: MIT */
/* Commands for another process, by its mailbox (observe/mailbox.h). */
#ifndef TOOLS_POST_H
#define TOOLS_POST_H

#include "counts.h"
#include "observe/mailbox.h"

enum post_state {
    POST_SENT,
    POST_ANSWERED,
    POST_WAITING,  /* the letter is there, or taken */
    POST_BUSY,     /* another tool's command waits: `other` */
    POST_LOST,     /* another tool's letter, or none, is in the place of ours, which was not taken */
    POST_SEALED,   /* the process looks at no command: control:off */
    POST_SECURE,   /* ... as it has more rights than who started it */
    POST_VERSION,  /* its mailbox is of another version */
    POST_FAILED,   /* see `failure`: as a look at its numbers */
};

struct post {
    struct counts counts; /* of which only the process and `detail` are set */
    enum counts_result failure;
    uintptr_t mailbox, knock, control;
    uint64_t inner;                /* what the process takes for its number */
    struct mailbox_letter letter;  /* ours */
    struct mailbox_answer answer;
    struct mailbox_letter other;   /* of who is before us */
    char text[MAILBOX_TEXT];       /* of the answer, printable */
};

/* Finds the mailbox. POST_SENT if it is there. */
enum post_state post_open(int number, struct post *post);

/* Writes a letter, unless another one waits there. */
enum post_state post_send(struct post *post, enum mailbox_command command, uint64_t argument);

/* Looks for its answer; knocks again if it still waits. */
enum post_state post_look(struct post *post);

/* Takes the letter back that waits there, whoever wrote it: `other`. POST_LOST if none waits, POST_WAITING if the process
   has begun to do it. */
enum post_state post_withdraw(struct post *post);

/* For what is agreed upon by letters: copies the process's memory, and writes to it while it still is the process, and runs the
   program, in which the mailbox was found. Return 0 or errno. */
int post_read(const struct post *post, uintptr_t from, void *out, size_t bytes);
int post_write(const struct post *post, uintptr_t to, const void *from, size_t bytes);

/* Whether it is: 0; ESRCH if it has ended, EFAULT if it has begun another program. */
int post_still(const struct post *post);

#endif
