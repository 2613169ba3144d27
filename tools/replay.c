/* SPDX-License-Identifier: MIT */
/* `myalloc replay [OPTIONS] FILE`: has the harness in bench/ run the replayer with the recording under each allocator. */
#include <stdlib.h>

#include "message.h"
#include "replaying.h"

static const struct command_option own_options[] = {{"--alloc", "NAMES"}, {"--runs", "N"}, {"--pace", NULL},
    {"--touch", "WHAT"}, {"--json", "FILE"}, {NULL, NULL}};

static int run(int argc, char **argv)
{
    struct replaying parts;
    char *file = NULL;
    int status;

    if (replaying_take_files(own_options, &argc, argv, &file) != 1)
        return fail_in(STATUS_USAGE, "replay", "it needs the file of one recording; see 'myalloc help replay'");
    status = replaying_find("replay", &parts);
    if (!status)
        status = replaying_make_plan("replay", file, argv);
    if (status)
        return status;
    argv[argc] = file;
    return replaying_become_harness("replay", &parts, argv);
}

const struct command command_replay = {
    .name = "replay",
    .arguments = "[OPTIONS] FILE",
    .summary = "Make a recording's calls under every allocator",
    .details = "The calls of one process, as 'myalloc record' wrote them, by as many threads, under each allocator, in turn.\n"
               "Calls of different threads keep their order where one gives back what another has got. Told are the time in\n"
               "the allocator, with the faults of pages that it has touched for the first time; resident memory at its peak\n"
               "and on average, without what the replay itself needs; and the average over the bytes that were live.\n"
               "\n"
               "  --alloc NAMES     as for 'myalloc compare': names separated by commas, NAME=/path/lib.so; else all that\n"
               "                    there are\n"
               "  --runs N          runs under each allocator (3), of which the medians are told\n"
               "  --pace            keep the gaps between calls; else calls follow each other at once\n"
               "  --touch WHAT      all: write to each page of each block (if it is not given); recorded: of those of 128 KiB and\n"
               "                    more to as many pages as had memory in the program; none: to no block\n"
               "  --json FILE       every run, with memory over time\n"
               "\n"
               "The exit status is 0, 1 if the recording cannot be read or a run failed, 2 if the command line is wrong, 125\n"
               "if a part of the command is missing.\n",
    .options = own_options,
    .run = run,
};
