/* SPDX-License-Identifier: MIT */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

#include "library.h"

bool harness_find(const char *name, char path[PATH_MAX])
{
    static const char *const places[] = {"%s/../bench/%s", "%s/../share/myalloc/bench/%s"};
    char own[PATH_MAX], candidate[2 * PATH_MAX];

    if (!library_own_folder(own))
        return false;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        snprintf(candidate, sizeof candidate, i ? places[1] : places[0], own, name);
        if (realpath(candidate, path))
            return true;
    }
    return false;
}
