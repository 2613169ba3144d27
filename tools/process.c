/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { KERNEL_THREAD = 0x00200000 }; /* PF_KTHREAD of the flags in its stat */

/* A file of /proc/NUMBER. */
static FILE *open_file(int number, const char *name)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/%s", number, name);
    return fopen(path, "re");
}

bool process_is_number(const char *word)
{
    return *word && !word[strspn(word, "0123456789")];
}

bool process_is_no_number(const char *word)
{
    return !process_is_number(word);
}

int process_number(const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);

    return *text < '0' || *text > '9' || *end || number <= 0 || number > INT_MAX ? 0 : (int)number;
}

bool process_read(int number, struct process *process)
{
    FILE *file = open_file(number, "stat");
    char line[1024], *open, *close;
    unsigned long long pages = 0, flags = 0, code = 0, stack = 0;
    size_t length;
    int found;

    if (!file)
        return false;
    length = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[length] = '\0';
    open = strchr(line, '(');
    close = strrchr(line, ')'); /* the name may have any character, also this one */
    if (!open || !close)
        return false;
    *process = (struct process){.number = number};
    snprintf(process->name, sizeof process->name, "%.*s", (int)(close - open - 1), open + 1);
    /* proc(5): from the third field on, the state. */
    found = sscanf(close + 1, " %c %*s %*s %*s %*s %*s %llu %llu %*s %llu %*s %*s %*s %*s %*s %*s %*s %llu %*s %llu %*s %llu"
                   " %*s %llu %*s %llu", &process->state, &flags, &process->minor_faults, &process->major_faults,
                   &process->threads, &process->started, &pages, &code, &stack);
    process->is_kernel = flags & KERNEL_THREAD;
    process->image = code + stack * 31;
    process->resident = pages * (unsigned long long)sysconf(_SC_PAGESIZE);
    return found == 9;
}

bool process_has_ended(const struct process *process)
{
    return process->state == 'Z' || process->state == 'X';
}

/* The rest of a line of its status behind the name and the colon; empty if there is none. */
static void read_status(int number, const char *name, char *out, size_t room)
{
    FILE *file = open_file(number, "status");
    char line[256];
    size_t length = strlen(name);

    *out = '\0';
    while (file && fgets(line, sizeof line, file)) {
        if (!strncmp(line, name, length) && line[length] == ':')
            snprintf(out, room, "%s", line + length + 1);
    }
    if (file)
        fclose(file);
}

unsigned long long process_status(int number, const char *name)
{
    char line[256];

    read_status(number, name, line, sizeof line);
    return strtoull(line, NULL, 10);
}

unsigned long long process_status_last(int number, const char *name)
{
    char line[256], *last;

    read_status(number, name, line, sizeof line);
    line[strcspn(line, "\n")] = '\0';
    last = strrchr(line, '\t');
    return strtoull(last ? last : line, NULL, 10);
}

bool process_is_privileged(int number)
{
    FILE *file = open_file(number, "auxv");
    ElfW(auxv_t) entry;
    bool found = false;

    while (file && fread(&entry, sizeof entry, 1, file) == 1)
        found = found || (entry.a_type == AT_SECURE && entry.a_un.a_val);
    if (file)
        fclose(file);
    return found;
}

int process_memory(int number, uintptr_t from, void *out, size_t bytes)
{
    struct iovec here = {out, bytes}, there = {(void *)from, bytes};
    ssize_t got = process_vm_readv(number, &here, 1, &there, 1, 0);

    if (got < 0)
        return errno;
    return (size_t)got == bytes ? 0 : EFAULT;
}

int process_write(int number, uintptr_t to, const void *from, size_t bytes)
{
    struct iovec here = {(void *)(uintptr_t)from, bytes}, there = {(void *)to, bytes};
    ssize_t put = process_vm_writev(number, &here, 1, &there, 1, 0);

    if (put < 0)
        return errno;
    return (size_t)put == bytes ? 0 : EFAULT;
}

bool process_each_file(int number, bool (*see)(uintptr_t start, void *data), void *data)
{
    FILE *file = open_file(number, "maps");
    char *line = NULL;
    size_t room = 0;
    bool seen = false;

    if (!file)
        return false;
    while (!seen && getline(&line, &room, file) > 0) {
        unsigned long start, offset, inode;

        if (sscanf(line, "%lx-%*x r%*3s %lx %*s %lu", &start, &offset, &inode) == 3 && offset == 0 && inode != 0)
            seen = see(start, data);
    }
    free(line);
    fclose(file);
    return true;
}
