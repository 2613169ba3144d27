/* SPDX-License-Identifier: MIT */
/* What the tool says when something is wrong, and the exit statuses it uses. */
#ifndef TOOLS_MESSAGE_H
#define TOOLS_MESSAGE_H

enum {
    STATUS_USAGE = 2,            /* a command line that the tool does not understand */
    STATUS_CANNOT_SYMBOLIZE = 3,
    STATUS_PENDING = 4, /* a command for another process that it has not answered yet; that is busy with another one */
    STATUS_BUSY = 5,
    STATUS_MISSING = 6, /* a recording is there, and calls are missing in it */
    STATUS_CANNOT_PRELOAD = 125, /* these three as in env(1), nohup(1) and timeout(1) */
    STATUS_NOT_EXECUTABLE = 126,
    STATUS_NOT_FOUND = 127,
};

/* Writes "myalloc: <the formatted text>\n" to stderr and returns `status`. */
int fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same behind "myalloc COMMAND: ". */
int fail_in(int status, const char *command, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
