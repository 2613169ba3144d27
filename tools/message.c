/* SPDX-License-Identifier: MIT */
#include "message.h"

#include <stdarg.h>
#include <stdio.h>

int fail(int status, const char *format, ...)
{
    va_list arguments;

    fputs("myalloc: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return status;
}

int fail_in(int status, const char *command, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "myalloc %s: ", command);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return status;
}
