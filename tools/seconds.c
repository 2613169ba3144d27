/* SPDX-License-Identifier: MIT */
#include "seconds.h"

#include <stdlib.h>
#include <time.h>

#include "message.h"

int seconds_parse(const char *command, const char *option, const char *text, double *seconds)
{
    char *end;

    *seconds = strtod(text, &end);
    if (end != text && !*end && *seconds >= 0 && *seconds <= SECONDS_MOST)
        return 0;
    return fail(STATUS_USAGE, "%s: %s needs seconds from 0 to %.0f, not '%s'", command, option, SECONDS_MOST, text);
}

double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void seconds_sleep(double seconds)
{
    time_t whole = (time_t)seconds;

    nanosleep(&(struct timespec){whole, (long)((seconds - (double)whole) * 1e9)}, NULL);
}
