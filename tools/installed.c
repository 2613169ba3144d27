/* SPDX-License-Identifier: MIT */
#include "installed.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

const struct installed installed_all[] = {
    {"jemalloc", "libjemalloc.so.2", "libjemalloc2"},
    {"mimalloc", "libmimalloc.so.2.0", "libmimalloc2.0"},
    {"tcmalloc", "libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"},
    {"tbbmalloc", "libtbbmalloc_proxy.so.2", "libtbbmalloc2"},
};

const size_t installed_count = sizeof installed_all / sizeof installed_all[0];

const struct installed *installed_find(const char *name)
{
    for (size_t i = 0; i < installed_count; i++) {
        if (!strcmp(installed_all[i].name, name))
            return &installed_all[i];
    }
    return NULL;
}

bool installed_path(const struct installed *allocator, char path[PATH_MAX])
{
    struct utsname system;

    snprintf(path, PATH_MAX, "/usr/lib/%s-linux-gnu/%s", uname(&system) ? "" : system.machine, allocator->file);
    return !access(path, R_OK);
}
