/* SPDX-License-Identifier: MIT */
#include "harness.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool harness_find(const char *name, char path[PATH_MAX])
{
    static const char *const places[] = {"%s/../bench/%s", "%s/../share/myalloc/bench/%s"};
    char own[PATH_MAX], candidate[2 * PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    const char *folder;

    if (length < 0)
        return false;
    own[length] = '\0';
    folder = dirname(own);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        snprintf(candidate, sizeof candidate, i ? places[1] : places[0], folder, name);
        if (realpath(candidate, path))
            return true;
    }
    return false;
}
