/* SPDX-License-Identifier: MIT */
#include "dynamic.h"

#include <dlfcn.h>

bool dynamic_load(const char *library, const struct dynamic_function *functions, size_t count)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);

    for (size_t i = 0; handle && i < count; i++) {
        void *found = dlsym(handle, functions[i].name);

        if (!found)
            return false;
        *(void **)functions[i].place = found;
    }
    return handle != NULL;
}
