/* SPDX-License-Identifier: MIT */
/* `myalloc run [--] PROGRAM [ARGUMENTS]`: becomes the program, with libmyalloc.so first in LD_PRELOAD. Being
   replaced by exec, it passes exit status, signals and terminal through without doing anything for it. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "kit/environment.h"
#include "kit/tunables.h"
#include "launch.h"
#include "library.h"
#include "message.h"
#include "program.h"

/* Whether there will be guarded pages, as the user's options have it. */
static bool has_guarded_pages(void)
{
    struct tunables asked = tunables;

    environment_apply(environ, &asked, NULL);
    return asked.protect == LEVEL_SAMPLE || asked.protect == LEVEL_PARANOID;
}

/* Puts options of ours before those of the user, which count more: reports name functions and lines by this very command, and a
   fault on a guarded page is told. */
static int set_options(void)
{
    const char *others = getenv("MYALLOC_OPTIONS"), *told = has_guarded_pages() ? "fault_report:on," : "", *quote;
    char self[256], *value;
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    int failed;

    if (length < 0 || length == sizeof self - 1 || (memchr(self, '"', (size_t)length) && memchr(self, '\'', (size_t)length)))
        length = 0;
    self[length] = '\0';
    quote = strchr(self, '"') ? "'" : strpbrk(self, ",'") ? "\"" : ""; /* for commas in it */
    if (asprintf(&value, "%s%s%s%s%s%s%s", length ? "symbolizer:" : "", quote, self, quote, length ? "," : "", told,
                 others ? others : "") < 0)
        return -1;
    failed = setenv("MYALLOC_OPTIONS", value, 1);
    free(value);
    return failed;
}

static int start(char **argv)
{
    struct library library;
    char path[PATH_MAX];
    int status = library_find(&library);

    if (!status)
        status = program_find(argv[0], path);
    if (!status)
        status = program_check(argv[0], path, &library.elf);
    if (status)
        return status;
    if (launch_set_preload(library.path) || launch_reserve_tls() || set_options())
        return fail(STATUS_CANNOT_PRELOAD, "cannot set LD_PRELOAD, GLIBC_TUNABLES or MYALLOC_OPTIONS: %s", strerror(errno));
    return launch_execute(path, argv);
}

static int run(int argc, char **argv)
{
    int first = 1;

    if (argc > 1 && !strcmp(argv[1], "--"))
        first = 2;
    if (first >= argc)
        return fail(STATUS_CANNOT_PRELOAD, "run needs the program to start; see 'myalloc help run'");
    return start(argv + first);
}

const struct command command_run = {
    .name = "run",
    .arguments = "[--] PROGRAM [ARGUMENTS]",
    .summary = "Run a program with libmyalloc.so as its malloc",
    .details = "The program is looked up as a shell does and gets libmyalloc.so in front of whatever LD_PRELOAD\n"
               "names already. Programs that it starts inherit it. Where LD_AUDIT is set, GLIBC_TUNABLES gets room for\n"
               "thread-local data (glibc.rtld.optional_static_tls), unless it says so itself.\n"
               "\n"
               "MYALLOC_OPTIONS gets symbolizer: with the path of this command, so that reports name functions and\n"
               "lines, and where protect:sample or paranoid is set, fault_report:on; what is there counts more.\n"
               "\n"
               "The library is the one named by MYALLOC_LIBRARY, else " MYALLOC_SONAME " or, without it,\n"
               "libmyalloc.so, beside this command, in ../lib from there, or in " MYALLOC_LIBDIR ".\n"
               "\n"
               "The exit status is the program's, or\n"
               "  125  preloading cannot work (the message says why), or the command line is wrong\n"
               "  126  the program was found but cannot be executed\n"
               "  127  the program, or the interpreter or loader that it names, was not found\n",
    .is_program = command_any_program,
    .wrong_status = STATUS_CANNOT_PRELOAD,
    .run = run,
};
