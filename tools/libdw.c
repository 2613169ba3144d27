/* SPDX-License-Identifier: MIT */
#include "libdw.h"

#include <dlfcn.h>

static bool find(void *handle, const char *name, void *function)
{
    *(void **)function = dlsym(handle, name);
    return *(void **)function != NULL;
}

bool libdw_load(struct libdw *library)
{
    void *handle = dlopen(LIBDW_NAME, RTLD_NOW | RTLD_LOCAL);

    if (!handle)
        return false;
#define LIBDW_FIND(result, name, arguments) && find(handle, #name, &library->name)
    return find(handle, "dwfl_build_id_find_elf", &library->find_elf) &&
           find(handle, "dwfl_standard_find_debuginfo", &library->find_debuginfo)
           LIBDW_FUNCTIONS(LIBDW_FIND);
}
