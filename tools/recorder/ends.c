/* SPDX-License-Identifier: MIT */
/* A process that ends without its handlers, or whose place another program takes: what was recorded is written before. */
#include <dlfcn.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include "recorder.h"

extern char **environ;

/* The next definition of the function that `place` is to point to. */
static void find(const char *name, void *place)
{
    *(void **)place = dlsym(RTLD_NEXT, name);
}

EXPORTED _Noreturn void _exit(int status)
{
    void (*real)(int);

    process_end(true);
    find("_exit", &real);
    real(status);
    __builtin_unreachable();
}

EXPORTED _Noreturn void _Exit(int status)
{
    _exit(status);
}

EXPORTED int execve(const char *path, char *const *arguments, char *const *environment)
{
    int (*real)(const char *, char *const *, char *const *);

    process_end(false);
    find("execve", &real);
    return real(path, arguments, environment);
}

EXPORTED int execv(const char *path, char *const *arguments)
{
    return execve(path, arguments, environ);
}

EXPORTED int execvpe(const char *name, char *const *arguments, char *const *environment)
{
    int (*real)(const char *, char *const *, char *const *);

    process_end(false);
    find("execvpe", &real);
    return real(name, arguments, environment);
}

EXPORTED int execvp(const char *name, char *const *arguments)
{
    return execvpe(name, arguments, environ);
}

EXPORTED int fexecve(int fd, char *const *arguments, char *const *environment)
{
    int (*real)(int, char *const *, char *const *);

    process_end(false);
    find("fexecve", &real);
    return real(fd, arguments, environment);
}

/* How many arguments there are, with the first, to the NULL behind them. */
static size_t count_arguments(va_list list)
{
    size_t count = 1;

    while (va_arg(list, char *))
        count++;
    return count;
}

static void take_arguments(char **arguments, const char *first, size_t count, va_list list)
{
    *(const char **)arguments = first;
    for (size_t i = 1; i <= count; i++)
        arguments[i] = va_arg(list, char *);
}

/* Those of the variadic function it stands in, on its stack. What stands behind their NULL can be taken from `list` then. */
#define ARGUMENTS(first)                                                                                                    \
    va_list list;                                                                                                           \
    va_start(list, first);                                                                                                  \
    const size_t count = count_arguments(list);                                                                             \
    va_end(list);                                                                                                           \
    char *arguments[count + 1];                                                                                             \
    va_start(list, first);                                                                                                  \
    take_arguments(arguments, first, count, list)

EXPORTED int execl(const char *path, const char *first, ...)
{
    ARGUMENTS(first);
    va_end(list);
    return execve(path, arguments, environ);
}

EXPORTED int execlp(const char *name, const char *first, ...)
{
    ARGUMENTS(first);
    va_end(list);
    return execvpe(name, arguments, environ);
}

EXPORTED int execle(const char *path, const char *first, ...)
{
    ARGUMENTS(first);
    char *const *environment = va_arg(list, char *const *);
    va_end(list);
    return execve(path, arguments, environment);
}
