/* SPDX-License-Identifier: MIT */
/* How long a command is to wait: as its option tells it, and by a clock that is not set. */
#ifndef TOOLS_SECONDS_H
#define TOOLS_SECONDS_H

#define SECONDS_MOST 86400.0
#define SECONDS_WAIT 2.0 /* for an answer, if nothing else is told */

/* Reads what stands behind the option of a command: 0, or the exit status, and it has been told. */
int seconds_parse(const char *command, const char *option, const char *text, double *seconds);

/* Seconds of a monotonic clock. */
double seconds_now(void);

void seconds_sleep(double seconds); /* less if a signal comes */

#endif
