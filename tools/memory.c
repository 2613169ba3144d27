/* SPDX-License-Identifier: MIT */
#include "memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

void memory_fail(void)
{
    exit(fail(EXIT_FAILURE, "there is not enough memory; raise its limit ('ulimit -v'), or end other programs"));
}

static void *got(void *memory)
{
    if (!memory)
        memory_fail();
    return memory;
}

void *memory_new(size_t bytes)
{
    return got(calloc(1, bytes ? bytes : 1));
}

char *memory_copy(const char *text, size_t length)
{
    char *copy = memory_new(length + 1);

    memcpy(copy, text, length);
    return copy;
}

void *memory_room(void *array, size_t count, size_t *room, size_t element)
{
    if (count < *room)
        return array;
    *room = *room ? 2 * *room : 16;
    return got(reallocarray(array, *room, element));
}

char *memory_format(const char *format, ...)
{
    va_list arguments;
    char *text;
    int length;

    va_start(arguments, format);
    length = vasprintf(&text, format, arguments);
    va_end(arguments);
    return got(length < 0 ? NULL : text);
}
