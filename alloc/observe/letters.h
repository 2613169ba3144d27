/* SPDX-License-Identifier: MIT */
/*
 * The process's own side of its mailbox (mailbox.h): letters taken out, answers put in. One thread at a time is at it, from
 * letters_read that is true until letters_leave or letters_answer; nobody waits for it. It is no thread's business what the
 * letter says before letters_read has looked at its sum, its ticket and whom it is for.
 */
#ifndef MYALLOC_LETTERS_H
#define MYALLOC_LETTERS_H

#include "base/base.h"
#include "kit/lock.h"
#include "observe/mailbox.h"

extern HIDDEN struct mailbox letters_mailbox;

/* Copies the letter that waits. False if there is none for this process that was not taken before, if another thread is at it,
 * or if commands are not looked at (control:off, a process with privileges). */
bool letters_read(struct mailbox_letter *letter);

/* It stays where it is, for who comes by next. */
void letters_leave(void);

/* It is taken: it will be answered, and is not read again. */
void letters_take(const struct mailbox_letter *letter);

/* The answer to it: its status and result, and a text, NULL for none, of which MAILBOX_TEXT - 1 bytes fit. */
void letters_answer(const struct mailbox_letter *letter, enum mailbox_status status, uint64_t result, const char *text);

extern HIDDEN const struct lock_set letters_locks;

#endif
