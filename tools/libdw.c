/* SPDX-License-Identifier: MIT */
#include "libdw.h"

#include "dynamic.h"

bool libdw_load(struct libdw *library)
{
#define LIBDW_FUNCTION(result, name, arguments) {#name, &library->name},
    const struct dynamic_function functions[] = {LIBDW_FUNCTIONS(LIBDW_FUNCTION)
        {"dwfl_build_id_find_elf", &library->find_elf}, {"dwfl_standard_find_debuginfo", &library->find_debuginfo}};

    return dynamic_load(LIBDW_NAME, functions, sizeof functions / sizeof *functions);
}
