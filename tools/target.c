/* SPDX-License-Identifier: MIT */
#include "target.h"

#include <string.h>

bool target_read(const struct target *target, struct process *process)
{
    if (!target->core)
        return process_read(target->number, process);
    *process = (struct process){.number = target->core->number};
    memcpy(process->name, target->core->name, sizeof process->name);
    return true;
}

int target_memory(const struct target *target, uintptr_t from, void *out, size_t bytes)
{
    return target->core ? core_file_memory(target->core, from, out, bytes)
                        : process_memory(target->number, from, out, bytes);
}

bool target_each_file(const struct target *target, bool (*see)(uintptr_t start, void *data), void *data)
{
    bool seen = false;

    if (!target->core)
        return process_each_file(target->number, see, data);
    for (size_t i = 0; i < target->core->map_count && !seen; i++)
        seen = target->core->maps[i].offset == 0 && see(target->core->maps[i].start, data);
    return true;
}
