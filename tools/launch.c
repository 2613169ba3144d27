/* SPDX-License-Identifier: MIT */
#include "launch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "message.h"
#include "program.h"

int launch_set_preload(const char *library)
{
    const char *others = getenv("LD_PRELOAD");
    char *value;
    int failed;

    if (!others || !*others)
        return setenv("LD_PRELOAD", library, 1);
    if (asprintf(&value, "%s:%s", library, others) < 0)
        return -1;
    failed = setenv("LD_PRELOAD", value, 1);
    free(value);
    return failed;
}

/* Where LD_AUDIT is set, glibc counts the room for thread-local data before it has seen what is preloaded, and keeps only so
   much over. Asks it to keep as much again as the library and whatever else a program loads at its start are likely to need. */
int launch_reserve_tls(void)
{
    const char *audit = getenv("LD_AUDIT"), *others = getenv("GLIBC_TUNABLES");
    char *value;
    int failed;

    if (!audit || !*audit || (others && strstr(others, "glibc.rtld.optional_static_tls=")))
        return 0;
    if (asprintf(&value, "%s%sglibc.rtld.optional_static_tls=4096", others ? others : "", others && *others ? ":" : "") < 0)
        return -1;
    failed = setenv("GLIBC_TUNABLES", value, 1);
    free(value);
    return failed;
}

/* As execvp(3), which hands on to the shell what is in no format that the kernel knows, but for binary files. */
int launch_execute(const char *path, char **argv)
{
    execv(path, argv);
    if (errno == ENOEXEC && program_is_text(path))
        execvp(path, argv);
    if (errno == ENOMEM || errno == E2BIG)
        return fail(STATUS_CANNOT_PRELOAD, "%s: %s", argv[0], strerror(errno));
    return program_report(argv[0], path, errno);
}
