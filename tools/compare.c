/* SPDX-License-Identifier: MIT */
/* `myalloc compare [OPTIONS] -- PROGRAM [ARGUMENTS]`: hands over to the harness in bench/, after the checks that
   `myalloc run` makes as well: that the program is there, and that preloading can work in it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "harness.h"
#include "library.h"
#include "message.h"
#include "program.h"

#define HARNESS "bench/run"
#define SHELL "/bin/sh" /* of --shell, in bench/run as well */
#define SHELL_OPTION "--shell"

/* MYALLOC_BENCH, or the one that belongs to this command. */
static bool find_harness(char path[PATH_MAX])
{
    const char *named = getenv("MYALLOC_BENCH");

    return named && *named ? realpath(named, path) != NULL : harness_find("run", path);
}

static bool wants_shell(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
        if (!strcmp(argv[i], SHELL_OPTION))
            return true;
    }
    return false;
}

static int check_program(const char *name)
{
    struct library library;
    char path[PATH_MAX];
    int status = library_find(&library);

    if (!status)
        status = program_find(name, path);
    if (!status)
        status = program_check(name, path, &library.elf);
    if (!status)
        status = program_check_helpers(name, path);
    if (!status && (setenv("MYALLOC_LIBRARY", library.path, 1) || setenv("MYALLOC_BENCH_NAME", "myalloc compare", 1)))
        status = fail(STATUS_CANNOT_PRELOAD, "cannot set the environment: %s", strerror(errno));
    return status;
}

static int run(int argc, char **argv)
{
    char harness[PATH_MAX];
    int at = program_at(argc, argv), status;

    if (!at)
        return fail(STATUS_USAGE, "compare needs '--' and the program to start; see 'myalloc help compare'");
    if (!find_harness(harness))
        return fail(STATUS_CANNOT_PRELOAD, "cannot find " HARNESS " in .. or ../share/myalloc from this command; set "
                                           "MYALLOC_BENCH to its path");
    status = check_program(wants_shell(argc, argv) ? SHELL : argv[at]);
    if (status)
        return status;
    argv[0] = harness;
    execv(harness, argv);
    return fail(STATUS_CANNOT_PRELOAD, "%s: %s; it needs /usr/bin/python3", harness, strerror(errno));
}

static const struct command_option own_options[] = {{"--runs", "N"}, {"--minutes", "N"}, {"--alloc", "NAMES"},
    {"--stdin", "FILE"}, {SHELL_OPTION, NULL}, {"--allow-exit", "N"}, {"--explain", NULL}, {"--client", "COMMAND"},
    {"--ready", "READY"}, {"--stop", "SIGNAL"}, {"--limit", "SECONDS"}, {"--json", "FILE"}, {"--html", "FILE"},
    {"--fail-if", "COND"}, {"--seed", "N"}, {NULL, NULL}};

const struct command command_compare = {
    .name = "compare",
    .arguments = "[OPTIONS] -- PROGRAM [ARGUMENTS]",
    .summary = "Run a program under every allocator installed, and recommend one",
    .details = "The program runs many times with each allocator, in turn and in random order: glibc's, libmyalloc.so, a\n"
               "copy of it (what differs between these two is noise), and jemalloc, mimalloc, tcmalloc and tbbmalloc where\n"
               "Debian's packages of them are installed. Time, memory and page faults are printed with 95 % intervals, the\n"
               "allocators ranked, time and memory weighed against each other, and the best is named, or what each is\n"
               "better in.\n"
               "\n"
               "  --runs N          at least so many rounds (5); more until the intervals are narrow\n"
               "  --minutes N       what all may take (5); the rounds of --runs are made in any case\n"
               "  --alloc NAMES     the allocators, separated by commas; NAME=/path/lib.so adds one\n"
               "  --stdin FILE      each run's standard input; without it, what is redirected to this command, or /dev/null\n"
               "  --shell           behind -- stands one argument, a line that /bin/sh runs, such as 'zcat log.gz | sort'\n"
               "  --allow-exit N    this exit status is no failure; may come several times, then say 0 as well\n"
               "  --explain         one more run of each, not measured: what it says of its memory when the program ends\n"
               "  --client COMMAND  the program is a server, and this asks it, without the preload; what it takes is the time\n"
               "  --ready READY     a port of localhost, a command that succeeds, or text:TEXT in the server's output, by\n"
               "                    which it is known to be ready\n"
               "  --stop SIGNAL     what stops the server (SIGTERM)\n"
               "  --limit SECONDS   after which a run counts as hung (120)\n"
               "  --json FILE       every sample\n"
               "  --html FILE       a report with plots\n"
               "  --fail-if COND    such as 'myalloc.time > 1.05*glibc': then the exit status is 1\n"
               "  --seed N          of the order of runs\n"
               "\n"
               "What the program writes to its standard output is not kept; if a run fails, the last line that it wrote to\n"
               "its standard error is shown. It must be able to run many times in the same folder.\n"
               "\n"
               "Ctrl-C ends the measuring and gives what there is so far.\n"
               "\n"
               "A server must stay in the foreground. Its own CPU time is weighed beside the time of its client; CPU time,\n"
               "memory and faults are those of its whole run. It must be ready within a quarter of --limit, and stop within\n"
               "another.\n"
               "\n"
               "The exit status is 0, or\n"
               "  1    a run failed under some allocator, or a condition of --fail-if holds\n"
               "  2    the command line is wrong\n"
               "  125  preloading cannot work (the message says why)\n"
               "  126  the program was found but cannot be executed\n"
               "  127  the program, or the interpreter or loader that it names, was not found\n",
    .options = own_options,
    .hands_on = true,
    .run = run,
};
