/* SPDX-License-Identifier: MIT */
/* `myalloc version` */
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "message.h"

static int run(int argc, char **argv)
{
    if (argc > 1)
        return fail(STATUS_USAGE, "version takes no argument, '%s' was given", argv[1]);
    puts("myalloc " MYALLOC_VERSION);
    return EXIT_SUCCESS;
}

const struct command command_version = {
    .name = "version",
    .arguments = "",
    .summary = "Print the version",
    .run = run,
};
