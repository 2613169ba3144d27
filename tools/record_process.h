/* SPDX-License-Identifier: MIT */
/* `myalloc record PID`: the calls of a process that runs already, by its mailbox and the events that it writes. */
#ifndef TOOLS_RECORD_PROCESS_H
#define TOOLS_RECORD_PROCESS_H

struct record_order {
    int number;
    const char *out;     /* NULL: NAME.PID.recording */
    double during, wait; /* during: below 0 without an end of its own */
};

/* Reads the command line, of which one word is the process. Returns 0, or the exit status. */
int record_process_parse(int argc, char **argv, struct record_order *order);

/* Records it, into the file `out`, and returns the exit status. */
int record_process(const struct record_order *order, const char *out);

#endif
