/* SPDX-License-Identifier: MIT */
/* `myalloc record [OPTIONS] [--] PROGRAM [ARGUMENTS]`: becomes the program, with the library in recorder/ first in LD_PRELOAD
   and the name of the file in MYALLOC_RECORD. `myalloc record PID` is record_process.c. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "from_heaptrack.h"
#include "from_mtrace.h"
#include "installed.h"
#include "launch.h"
#include "library.h"
#include "memory.h"
#include "message.h"
#include "process.h"
#include "program.h"
#include "record_process.h"
#include "recording_format.h"
#include "spelling.h"

#define RECORDER "libmyalloc-record.so"
#define VARIABLE "MYALLOC_RECORD"

/* A recording, or nothing yet: what else is there would be lost. A device or a pipe is written to. */
static int check_old(const char *path)
{
    char start[sizeof RECORDING_MAGIC_START] = "";
    struct stat status;
    ssize_t length;
    int fd;

    if (stat(path, &status))
        return 0;
    if (S_ISDIR(status.st_mode))
        return fail_in(STATUS_CANNOT_PRELOAD, "record", "cannot write '%s': %s; name a file", path, strerror(EISDIR));
    if (!S_ISREG(status.st_mode) || !status.st_size)
        return 0;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    length = fd < 0 ? -1 : read(fd, start, sizeof start - 1);
    if (fd >= 0)
        close(fd);
    if (length < 0)
        return fail_in(STATUS_CANNOT_PRELOAD, "record", "cannot read '%s': %s; name another file", path, strerror(errno));
    if (strcmp(start, RECORDING_MAGIC_START))
        return fail_in(STATUS_CANNOT_PRELOAD, "record", "'%s' is no recording, and would be lost; name another file", path);
    return 0;
}

/* Makes room for the file: the program's first process finds none there, and makes it. */
static int clear(const char *path)
{
    struct stat status;
    int fd;

    if (check_old(path))
        return STATUS_CANNOT_PRELOAD;
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    if (fd < 0)
        return fail_in(STATUS_CANNOT_PRELOAD, "record", "cannot write '%s': %s; name another file", path, strerror(errno));
    close(fd);
    if (!stat(path, &status) && S_ISREG(status.st_mode) && unlink(path))
        return fail_in(STATUS_CANNOT_PRELOAD, "record", "cannot replace '%s': %s; name another file", path, strerror(errno));
    return 0;
}

/* From /: the program may be in another folder when it writes. */
static char *absolute(const char *path)
{
    char *folder = getcwd(NULL, 0), *whole;

    if (path[0] == '/' || !folder)
        whole = memory_copy(path, strlen(path));
    else
        whole = memory_format("%s/%s", folder, path);
    free(folder);
    return whole;
}

/* One of others, by its name; NULL, and it has been told, if it is not there. */
static const char *installed_library(const struct installed *allocator)
{
    char path[PATH_MAX];

    if (installed_path(allocator, path))
        return memory_copy(path, strlen(path));
    fail_in(0, "record", "--alloc %s: %s is not installed; apt-get install %s", allocator->name, allocator->name,
            allocator->package);
    return NULL;
}

static void tell_unknown(const char *named)
{
    struct spelling spelling = spelling_start(named);
    char *names = memory_format("glibc, myalloc");

    spelling_offer(&spelling, "glibc");
    spelling_offer(&spelling, "myalloc");
    for (size_t i = 0; i < installed_count; i++) {
        char *longer = memory_format("%s, %s", names, installed_all[i].name);

        spelling_offer(&spelling, installed_all[i].name);
        free(names);
        names = longer;
    }
    fail_in(0, "record", "--alloc %s: not one of %s, nor /path/to/library.so; %s", named, names,
            spelling_hint(&spelling, "see 'myalloc help record'"));
    free(names);
}

/* The library of an allocator by what --alloc says; NULL, and it has been told, if there is none. "" is the program's own. */
static const char *allocator_library(const char *named, const char *myalloc)
{
    const char *equals = strchr(named, '='), *path = equals ? equals + 1 : named;
    const struct installed *other = installed_find(named);

    if (!strcmp(named, "glibc"))
        return "";
    if (!strcmp(named, "myalloc"))
        return myalloc;
    if (other)
        return installed_library(other);
    if (!strchr(path, '/')) {
        tell_unknown(named);
        return NULL;
    }
    if (access(path, R_OK) || strpbrk(path, " :")) {
        fail_in(0, "record", "--alloc %s: %s", named, strpbrk(path, " :") ? "LD_PRELOAD cannot hold a path with a space or a "
                                                                            "colon; use a link to it" : strerror(errno));
        return NULL;
    }
    return absolute(path);
}

static int set_environment(const char *out, const char *allocator, const char *myalloc)
{
    char recorder[PATH_MAX];
    const char *preload = "";
    int status;

    if (!library_find_private(RECORDER, recorder))
        return fail_in(STATUS_CANNOT_PRELOAD, "record", "cannot find " RECORDER " beside this command, in ../lib/myalloc or in "
                       MYALLOC_LIBDIR "/myalloc; it is built where libzstd-dev is installed");
    if (strpbrk(recorder, " :"))
        return fail_in(STATUS_CANNOT_PRELOAD, "record",
                       "cannot preload '%s': LD_PRELOAD cannot hold a path with a space or a colon", recorder);
    if (allocator)
        preload = allocator_library(allocator, myalloc);
    if (!preload)
        return STATUS_CANNOT_PRELOAD;
    status = clear(out);
    if (status)
        return status;
    if ((*preload && launch_set_preload(preload)) || launch_set_preload(recorder) || launch_reserve_tls() ||
        setenv(VARIABLE, out, 1))
        return fail_in(STATUS_CANNOT_PRELOAD, "record", "cannot set the environment: %s", strerror(errno));
    return 0;
}

static int start(char **argv, const char *out, const char *allocator)
{
    char path[PATH_MAX], *named = out ? absolute(out) : NULL, *copy = memory_copy(argv[0], strlen(argv[0]));
    struct library library;
    int status = library_find(&library); /* a program that takes none of its kind takes no recorder */

    if (!named) {
        char *own = memory_format("%s.%d.recording", basename(copy), getpid());

        named = absolute(own);
        free(own);
    }
    free(copy);
    if (!status)
        status = program_find(argv[0], path);
    if (!status)
        status = program_check(argv[0], path, &library.elf);
    if (!status)
        status = set_environment(named, allocator, library.path);
    return status ? status : launch_execute(path, argv);
}

/* Makes a recording of what another tool has written. */
static int convert(const char *option, const char *from, const char *out)
{
    char *copy = memory_copy(from, strlen(from)), *own = out ? NULL : memory_format("%s.recording", basename(copy));
    char *to = absolute(out ? out : own);
    int status = check_old(to);

    if (!status)
        status = !strcmp(option, "--from-mtrace") ? from_mtrace(from, to) : from_heaptrack(from, to);
    free(to);
    free(own);
    free(copy);
    return status;
}

/* Of a process that runs. */
static int attach(int argc, char **argv)
{
    struct record_order order;
    struct process process = {0};
    int status = record_process_parse(argc, argv, &order);
    char *own, *to;

    if (status)
        return status;
    process_read(order.number, &process);
    for (char *at = process.name; *at; at++)
        *at = *at == '/' ? '_' : *at;
    own = memory_format("%s.%d.recording", process.name, order.number);
    to = absolute(order.out ? order.out : own);
    status = check_old(to) ? EXIT_FAILURE : record_process(&order, to);
    free(to);
    free(own);
    return status;
}

/* Whether the word behind the options is the number of a process. */
static bool is_attaching(int argc, char **argv)
{
    int at = 1;

    while (at + 1 < argc && argv[at][0] == '-' && strcmp(argv[at], "--"))
        at += 2;
    return at < argc && process_is_number(argv[at]);
}

static int run(int argc, char **argv)
{
    const char *out = NULL, *allocator = NULL, *option = NULL, *from = NULL;
    int at = 1;

    if (is_attaching(argc, argv))
        return attach(argc, argv);
    for (; at + 1 < argc && argv[at][0] == '-' && strcmp(argv[at], "--"); at += 2) {
        if (!strcmp(argv[at], "--for") || !strcmp(argv[at], "--wait"))
            return fail_in(STATUS_CANNOT_PRELOAD, "record", "%s goes with the number of a process, not with a program",
                           argv[at]);
        if (!strcmp(argv[at], "--alloc")) {
            allocator = argv[at + 1];
        } else if (!strncmp(argv[at], "--from-", strlen("--from-"))) {
            if (option)
                return fail_in(STATUS_CANNOT_PRELOAD, "record", "%s %s: one file becomes a recording, %s has named '%s'",
                               argv[at], argv[at + 1], option, from);
            option = argv[at];
            from = argv[at + 1];
        } else {
            out = argv[at + 1];
        }
    }
    if (at < argc && !strcmp(argv[at], "--"))
        at++;
    if (option && (at < argc || allocator))
        return fail_in(STATUS_CANNOT_PRELOAD, "record", "%s %s: no program is run then; leave out '%s'", option, from,
                       at < argc ? argv[at] : "--alloc");
    if (option)
        return convert(option, from, out);
    if (at >= argc)
        return fail_in(STATUS_CANNOT_PRELOAD, "record", "it needs the program to start; see 'myalloc help record'");
    return start(argv + at, out, allocator);
}

static const struct command_option own_options[] = {{"--out", "FILE"}, {"-o", "FILE"}, {"--alloc", "NAME"},
    {"--from-mtrace", "FILE"}, {"--from-heaptrack", "FILE"}, {"--for", "SECONDS"}, {"--wait", "SECONDS"}, {NULL, NULL}};

const struct command command_record = {
    .name = "record",
    .arguments = "[OPTIONS] PROGRAM...|PID",
    .summary = "Record each call that a program or process makes of its allocator",
    .details = "The program runs on whatever allocator it has, with a library before it that writes down each call of malloc,\n"
               "free and their kin: its size and alignment, which block it frees, who, and when. Neither addresses nor\n"
               "contents are kept. 'myalloc show' tells what there is.\n"
               "\n"
               "  --out FILE        where to write: NAME.PID.recording in this folder; -o is the same\n"
               "  --alloc NAME      the allocator, as for 'myalloc compare': glibc, myalloc, jemalloc, mimalloc, tcmalloc or\n"
               "                    tbbmalloc, or /path/to/library.so; else what the program has, with what LD_PRELOAD names\n"
               "  --from-mtrace FILE     make a recording of a log of mtrace(3), and run no program\n"
               "  --from-heaptrack FILE  ... of a file of heaptrack, raw or interpreted, compressed or not\n"
               "\n"
               "A recording that is made of another file is FILE.recording in this folder without --out. All calls in it are\n"
               "one thread's; a log of mtrace has no times. Lines that are none of the other tool's are told and left out.\n"
               "\n"
               "The first process writes FILE. Each that it forks, and each program that it or one of these begins, writes a\n"
               "file of its own, FILE.PID, FILE.PID.2 and so on. A program that is killed leaves a file without what each of\n"
               "its threads recorded since its last block of events: less than a second's, if it goes on to allocate.\n"
               "\n"
               "'myalloc record PID' records a process that runs on this library already, as 'myalloc ctl' reaches it, until\n"
               "Ctrl-C or its end, into NAME.PID.recording without --out. Its calls are slower meanwhile. Blocks from before\n"
               "are unknown.\n"
               "\n"
               "  --for SECONDS     for so long\n"
               "  --wait SECONDS    how long to wait for each answer: 2\n"
               "\n"
               "Exit status for a process: 0 done, also if it has ended; 1 it cannot be, 2 wrong usage, 4 pending, 5 busy, as\n"
               "of 'myalloc ctl'; 6 calls are missing in the file, as the process made them too fast.\n"
               "\n"
               "Else the exit status is the program's, or\n"
               "  125  it cannot be recorded (the message says why), or the command line is wrong\n"
               "  126  the program was found but cannot be executed\n"
               "  127  the program, or the interpreter or loader that it names, was not found\n",
    .options = own_options,
    .is_program = process_is_no_number,
    .wrong_status = STATUS_CANNOT_PRELOAD,
    .run = run,
};
