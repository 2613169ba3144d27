/* SPDX-License-Identifier: MIT */
/* A core file: what it says of the process, and the process's memory. The kernel leaves out what files hold that were mapped
   and not written to, as code and constants: that is read from these files, if they are still those that were mapped, by their
   build-ids. Its headers are read by elfutils' libelf. */
#ifndef TOOLS_CORE_FILE_H
#define TOOLS_CORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core_notes.h"

/* Opens it. Returns 0; or says what is wrong and what would help, and returns the exit status. */
int core_file_open(const char *path, struct core_file *core);
void core_file_close(struct core_file *core);

/* Copies memory. Returns 0 or errno: EFAULT if neither the core file nor a file that fits has it. */
int core_file_memory(struct core_file *core, uintptr_t from, void *out, size_t bytes);

/* Whether the core file itself has all of it. */
bool core_file_holds(const struct core_file *core, uintptr_t from, size_t bytes);

/* The mapping of a file at an address, or NULL. */
const struct core_map *core_file_map(const struct core_file *core, uint64_t address);

/* The nth file, and whether it is still there. */
const struct core_source *core_file_source(struct core_file *core, size_t n);

#endif
