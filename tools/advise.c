/* SPDX-License-Identifier: MIT */
/* `myalloc advise [OPTIONS] FILE` and `myalloc advise [OPTIONS] -- PROGRAM [ARGUMENTS]`: records the program first, if there is
   one, and has the harness in bench/ replay the recording under one set of options after the other. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "memory.h"
#include "message.h"
#include "program.h"
#include "replaying.h"

#define OWN "/proc/self/exe"

extern char **environ;

/* The path of the longest recording in the folder, and how many there are; NULL if there is none. */
static char *find_longest(const char *folder, unsigned *count)
{
    DIR *listing = opendir(folder);
    char *longest = NULL;
    off_t most = -1;

    *count = 0;
    for (struct dirent *entry; listing && (entry = readdir(listing));) {
        char *path = memory_format("%s/%s", folder, entry->d_name);
        struct stat status;

        if (!stat(path, &status) && S_ISREG(status.st_mode)) {
            ++*count;
            if (status.st_size > most) {
                char *shorter = longest;

                most = status.st_size;
                longest = path;
                path = shorter;
            }
        }
        free(path);
    }
    if (listing)
        closedir(listing);
    return longest;
}

/* With the files in it. */
static void remove_folder(const char *folder)
{
    DIR *listing = opendir(folder);

    for (struct dirent *entry; listing && (entry = readdir(listing));)
        unlinkat(dirfd(listing), entry->d_name, 0); /* refuses . and .. */
    if (listing)
        closedir(listing);
    rmdir(folder);
}

/* `myalloc record --out FILE -- PROGRAM...`; its wait status, or -1. Signals from the terminal are for the program: what was
   recorded before it ended serves. */
static int record(char *file, char **program)
{
    static char name[] = "myalloc", command[] = "record", out[] = "--out", ends[] = "--";
    char *const first[] = {name, command, out, file, ends};
    enum { FIRST = sizeof first / sizeof *first };
    struct sigaction ignored = {.sa_handler = SIG_IGN}, interrupt, quit;
    posix_spawnattr_t attributes;
    size_t count = 0;
    sigset_t restored;
    char **words;
    pid_t pid;
    int status;

    while (program[count])
        count++;
    words = memory_new((FIRST + count + 1) * sizeof *words);
    memcpy(words, first, sizeof first);
    memcpy(words + FIRST, program, count * sizeof *words);
    sigaction(SIGINT, &ignored, &interrupt);
    sigaction(SIGQUIT, &ignored, &quit);
    sigemptyset(&restored);
    if (interrupt.sa_handler != SIG_IGN)
        sigaddset(&restored, SIGINT);
    if (quit.sa_handler != SIG_IGN)
        sigaddset(&restored, SIGQUIT);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &restored);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    errno = posix_spawn(&pid, OWN, NULL, &attributes, words, environ);
    posix_spawnattr_destroy(&attributes);
    if (errno || waitpid(pid, &status, 0) != pid)
        status = -1;
    sigaction(SIGINT, &interrupt, NULL);
    sigaction(SIGQUIT, &quit, NULL);
    free(words);
    return status;
}

/* How the program ended, if that is worth a word. */
static void tell_end(const char *program, int status)
{
    if (WIFSIGNALED(status))
        fail_in(0, "advise", "%s was ended by signal %d; what was recorded until then is replayed", program, WTERMSIG(status));
    else if (WEXITSTATUS(status))
        fail_in(0, "advise", "%s ended with status %d; what was recorded is replayed all the same", program,
                WEXITSTATUS(status));
}

/* Makes the plan of the longest recording in the folder. */
static int plan_longest(const char *folder, const char *program, char *const *options)
{
    unsigned count;
    char *longest = find_longest(folder, &count);
    int status;

    if (!longest)
        return fail_in(EXIT_FAILURE, "advise", "%s has left no recording; 'myalloc record' may tell more", program);
    if (count > 1)
        fail_in(0, "advise", "%s was several processes: of %u recordings the longest is replayed", program, count);
    status = replaying_make_plan("advise", longest, options);
    free(longest);
    return status;
}

static int plan_program(char **program, char *const *options)
{
    char *folder = replaying_temporary("myalloc-advise"), *file;
    int ended, status;

    if (!mkdtemp(folder))
        return fail_in(EXIT_FAILURE, "advise", "cannot make a folder in $TMPDIR or /tmp: %s", strerror(errno));
    file = memory_format("%s/recording", folder);
    ended = record(file, program);
    if (ended == -1)
        status = fail_in(STATUS_CANNOT_PRELOAD, "advise", "cannot start 'myalloc record': %s", strerror(errno));
    else if (access(file, F_OK) && WIFEXITED(ended) && WEXITSTATUS(ended) >= STATUS_CANNOT_PRELOAD)
        status = WEXITSTATUS(ended); /* it has been told */
    else {
        tell_end(program[0], ended);
        status = plan_longest(folder, program[0], options);
    }
    remove_folder(folder);
    free(file);
    free(folder);
    return status;
}

static const struct command_option own_options[] = {{"--alloc", "NAMES"}, {"--runs", "N"}, {"--minutes", "N"}, {"--pace", NULL},
    {"--no-pace", NULL}, {"--touch", "WHAT"}, {"--json", "FILE"}, {"--html", "FILE"}, {"--seed", "N"}, {NULL, NULL}};

static int run(int argc, char **argv)
{
    int at = program_at(argc, argv), own = at ? at - 1 : argc, words = own, status;
    char **kept = memory_new((size_t)(own + 2) * sizeof *kept), *file = NULL;
    struct replaying parts;

    memcpy(kept, argv, (size_t)own * sizeof *kept);
    if (replaying_take_files(own_options, &words, kept, &file) != (at ? 0 : 1))
        return fail_in(STATUS_USAGE, "advise", "it needs the file of one recording, or '--' and the program to record; see "
                       "'myalloc help advise'");
    status = replaying_find("advise", &parts); /* before a program runs for nothing */
    if (!status)
        status = at ? plan_program(argv + at, kept) : replaying_make_plan("advise", file, kept);
    if (status)
        return status;
    kept[words] = at ? argv[at] : file;
    return replaying_become_harness("advise", &parts, kept);
}

const struct command command_advise = {
    .name = "advise",
    .arguments = "[OPTIONS] FILE|-- PROGRAM...",
    .summary = "Look for the options of the library that suit a program best",
    .details = "The calls of one process, as 'myalloc record' wrote them, or of a program that is recorded first, are\n"
               "replayed under one option of the library after the other (decay_ms, background, hugepages, cache_limit,\n"
               "thresholds, limit and others), in turn and in random order, beside the library as it is, once more as it is\n"
               "(what differs between these two is noise), and other allocators. What wins is tried together, and all of that\n"
               "is measured anew. Told are those sets of options of which none other is both faster and smaller, the line of\n"
               "MYALLOC_OPTIONS to set and how sure that is; or that nothing is better than the library as it is.\n"
               "\n"
               "  --alloc NAMES     the other allocators, as for 'myalloc compare': else all that there are\n"
               "  --runs N          at least so many rounds at the end (5); more until the intervals are narrow\n"
               "  --minutes N       what all may take (5); the rounds of --runs are made in any case\n"
               "  --pace            keep the gaps between calls; else they are kept if there is time for it. Without gaps\n"
               "                    nothing is told of what depends on time\n"
               "  --no-pace         let calls follow each other at once\n"
               "  --touch WHAT      all: write to each page of each block (if it is not given); recorded: of those of 128 KiB and\n"
               "                    more to as many pages as had memory in the program; none: to no block\n"
               "  --json FILE       every sample\n"
               "  --html FILE       a report with pictures\n"
               "  --seed N          of the order of runs\n"
               "\n"
               "What MYALLOC_OPTIONS says stays as it is in all runs, but for the option that is tried. A program of several\n"
               "processes is judged by the one that calls most. Ctrl-C while it is recorded ends the program, and what was\n"
               "recorded is replayed; later it ends the measuring, and of what was chosen gives what there is so far.\n"
               "\n"
               "The exit status is 0, or\n"
               "  1    the recording cannot be read, or a run failed under the library as it is\n"
               "  2    the command line is wrong\n"
               "  125  the program cannot be recorded, or a part of the command is missing\n"
               "  126  the program was found but cannot be executed\n"
               "  127  the program, or the interpreter or loader that it names, was not found\n",
    .options = own_options,
    .run = run,
};
