/* SPDX-License-Identifier: MIT */
/*
 * The command that reports pass through, which names functions and lines (option `symbolizer`): a process of its own, started
 * anew for each report. It may be anything, and a report must not be lost by it, nor the program wait for ever. So what it
 * writes comes back here, and takes the report's place only if the command has ended by status 0, in its time, and the
 * summaries of the report are in it. Else the report goes as it is, and one line says why; of a kind of failure the first is
 * told.
 *
 * Allocates nothing: the answer lies in a mapping of its own for as long as it is needed. No locks.
 */
#ifndef MYALLOC_SYMBOLIZER_H
#define MYALLOC_SYMBOLIZER_H

#include "base/base.h"

#define SYMBOLIZER_REPORT (1 * MIB) /* the longest report with names, as `myalloc symbolize` gathers it */

struct symbolized {
    char *text; /* NULL if it failed */
    size_t length, room;
    char failure[512]; /* what is to be told of it; may be empty */
};

/* The command, NULL or empty for none, and how many seconds it may take. At the start; the text must stay. */
void symbolizer_set(const char *command, unsigned seconds);

bool symbolizer_is_set(void);

/* Passes a text of at most OS_FILTER_MOST bytes through the command, with an option or NULL. Fails without a word if there is
 * no command. The answer has `room` bytes at most. */
bool symbolizer_ask(const char *option, const char *text, size_t bytes, size_t room, struct symbolized *answer);

/* Gives the memory of an answer back. */
void symbolizer_drop(struct symbolized *answer);

#endif
