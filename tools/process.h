/* SPDX-License-Identifier: MIT */
/* Another process, looked at without its help: by /proc and process_vm_readv(2). It is neither stopped nor changed. */
#ifndef TOOLS_PROCESS_H
#define TOOLS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the kernel says of it. */
struct process {
    int number;
    char name[64];
    unsigned long long started; /* in ticks since the machine's start: tells a process from a later one of its number */
    unsigned long long minor_faults, major_faults, threads, resident; /* resident: bytes */
};

/* False if there is no such process. */
bool process_read(int number, struct process *process);

/* Copies memory of it, any address. Returns 0 or errno: EPERM if one may not, ESRCH if it has ended, EFAULT if it has no such
   memory. */
int process_memory(int number, uintptr_t from, void *out, size_t bytes);

/* Calls `see` with the start of each mapping that begins at the start of a file, until that returns true. False if the list
   cannot be read; errno says why. */
bool process_each_file(int number, bool (*see)(uintptr_t start, void *data), void *data);

#endif
