/* SPDX-License-Identifier: MIT */
/* Another process, looked at without its help: by /proc and process_vm_readv(2). It is not stopped, and changed by
   process_write alone. */
#ifndef TOOLS_PROCESS_H
#define TOOLS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the kernel says of it. */
struct process {
    int number;
    char name[64];
    char state;                 /* its letter, as in proc(5) */
    bool is_kernel;             /* a thread of the kernel, which has no memory of its own */
    unsigned long long started; /* in ticks since the machine's start: tells a process from a later one of its number */
    unsigned long long image;   /* changes when it begins another program; 0 for who may not read the process */
    unsigned long long minor_faults, major_faults, threads, resident; /* resident: bytes */
};

/* A number as a process may have it, from 1 on; 0 if the text is none. */
int process_number(const char *text);

/* True if the word is meant as the number of a process. */
bool process_is_number(const char *word);

/* The opposite, for commands that take either a process or a program. */
bool process_is_no_number(const char *word);

/* False if there is no such process. */
bool process_read(int number, struct process *process);

/* Whether it has ended and only waits for its parent to ask how. */
bool process_has_ended(const struct process *process);

/* A line of its status by its name, as "VmHWM": the number on it, without its unit; 0 if there is none. */
unsigned long long process_status(int number, const char *name);

/* The last number on such a line: of "NSpid" what the process itself takes for its number. */
unsigned long long process_status_last(int number, const char *name);

/* Whether it has more rights than who started it (AT_SECURE). False if that may not be read. */
bool process_is_privileged(int number);

/* Copies memory of it, any address. Returns 0 or errno: EPERM if one may not, ESRCH if it has ended, EFAULT if it has no such
   memory. */
int process_memory(int number, uintptr_t from, void *out, size_t bytes);

/* The same the other way: writes memory of it. */
int process_write(int number, uintptr_t to, const void *from, size_t bytes);

/* Calls `see` with the start of each mapping that begins at the start of a file, until that returns true. False if the list
   cannot be read; errno says why. */
bool process_each_file(int number, bool (*see)(uintptr_t start, void *data), void *data);

#endif
