/* SPDX-License-Identifier: MIT */
/*
 * A finding: a report of several lines that reaches its reader whole. It is gathered in a buffer and leaves in one write, so
 * the lines of other processes and threads that write to the same file do not come between:
 *
 *     ==4711== program: myalloc: free(0x55dcadd4c010): block freed twice
 *       called from, thread 4711 (program)
 *         #0 ...
 *     SUMMARY: myalloc: ...
 *
 * A finding is written when the heap is broken, from signal handlers too. So it allocates nothing and waits for nobody: of the
 * buffers, each is taken by one atomic exchange, and a finding that meets none free leaves in pieces, through a small one of
 * its own. What is longer than a buffer is cut behind a line, and another says so; the summary stands behind it all the same.
 *
 * With a symbolizer, a process of its own names functions and lines and writes it; where that fails it goes as it is.
 *
 * It goes to the file that the option `log` names, else to standard error; where the program has closed that, to the descriptor
 * that was kept of it. A log that cannot be opened is told, and standard error takes its place.
 */
#ifndef MYALLOC_FINDING_H
#define MYALLOC_FINDING_H

#include "base/base.h"

/* The longest real report is of a guarded page: three stacks of 32 frames and 8 events of two lines, 120 lines. Those of frames
 * have 500 characters at most (callers/backtrace.c), which makes 60,000. */
#define FINDING_ROOM (64 * KIB)
#define FINDING_OWN 512

struct finding {
    char *out;
    size_t room, length;
    int buffer;  /* the number of the shared buffer; -1: its own */
    bool colour; /* it goes to a terminal */
    bool cut;
    char own[FINDING_OWN];
};

/* Begins one without a first line: the end of what others have begun. */
void finding_open(struct finding *finding);

/* Begins one, and adds the first line: "==PID== program: myalloc: TEXT". */
void finding_begin(struct finding *finding, const char *format, ...);

/* The first line of a further one behind it, in the same write if there is room. */
void finding_next(struct finding *finding, const char *format, ...);

/* A line of at most 1023 characters; what would end or change it on a terminal is shown as a question mark. */
void finding_line(struct finding *finding, const char *format, ...);

/* The line that says all of it once more, for those who search a log: "SUMMARY: myalloc: TEXT". */
void finding_summary(struct finding *finding, const char *format, ...);

/* Writes it. */
void finding_end(struct finding *finding);

/* "thread 4711 (name)", the name as far as it is known (thread_names.h). Empty for life 0. Returns `out`. */
char *finding_thread(int life, char *out, size_t room);

/* Where findings go from now on (path_fill), and the command that they pass through; empty texts for standard error, and for
 * none. At the start; the texts must stay. */
void finding_set_place(const char *log, const char *symbolizer);

/* Passes lines of call stacks through the symbolizer, which adds functions and lines, here with the whole paths of source
 * files, and writes them to `out`. At most OS_FILTER_MOST bytes. False if there is no symbolizer, or it failed. */
bool finding_symbolize(const char *text, size_t bytes, int out);
bool finding_has_symbolizer(void);

/* Keeps a descriptor of standard error, for the case that the program closes its own: many do so as their last act, to see
 * whether all was written. At the start. */
void finding_keep(void);

/* The program begins to give up system calls: the log is opened now, and kept open. Standard error is not looked at any more:
 * if it is closed, what is written is lost. */
void finding_shut_in(void);

/* Writes to standard error, or to what was kept of it. Returns 0, or the error's number. */
int finding_write(const char *text, size_t bytes);

/* In the child of a fork: the buffers that other threads were at are free. */
void finding_forked(void);

#endif
