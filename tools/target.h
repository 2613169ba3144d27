/* SPDX-License-Identifier: MIT */
/* What is looked at: a process that runs, or one as a core file has it. */
#ifndef TOOLS_TARGET_H
#define TOOLS_TARGET_H

#include "core_file.h"
#include "process.h"

struct target {
    int number;
    struct core_file *core; /* NULL: the process runs */
};

/* What is known of it. False if there is no such process. Of a core file it is its number and its name alone. */
bool target_read(const struct target *target, struct process *process);

/* As process_memory and process_each_file. */
int target_memory(const struct target *target, uintptr_t from, void *out, size_t bytes);
bool target_each_file(const struct target *target, bool (*see)(uintptr_t start, void *data), void *data);

#endif
