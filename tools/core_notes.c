/* SPDX-License-Identifier: MIT */
#include "core_notes.h"

#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/user.h>

#include "memory.h"

/* ---- process and threads ----------------------------------------------------------------------------------------- */

/* On other machines the kernel has a note of its own for it, which is not read. */
static uint64_t thread_pointer(const struct elf_prstatus *status)
{
#ifdef __x86_64__
    struct user_regs_struct registers;

    _Static_assert(sizeof registers == sizeof status->pr_reg, "as the kernel has them");
    memcpy(&registers, status->pr_reg, sizeof registers);
    return registers.fs_base;
#else
    (void)status;
    return 0;
#endif
}

static void read_thread(struct core_file *core, const char *contents, size_t bytes)
{
    struct elf_prstatus status;

    if (bytes != sizeof status)
        return;
    memcpy(&status, contents, sizeof status);
    core->threads = memory_room(core->threads, core->thread_count, &core->thread_room, sizeof *core->threads);
    core->threads[core->thread_count++] = (struct core_thread){status.pr_pid, thread_pointer(&status)};
}

static void read_process(struct core_file *core, const char *contents, size_t bytes)
{
    struct elf_prpsinfo process;

    if (bytes != sizeof process)
        return;
    memcpy(&process, contents, sizeof process);
    core->number = process.pr_pid;
    snprintf(core->name, sizeof core->name, "%.*s", (int)sizeof process.pr_fname, process.pr_fname);
}

static void read_start(struct core_file *core, const char *contents, size_t bytes)
{
    ElfW(auxv_t) entry;

    for (size_t at = 0; at + sizeof entry <= bytes; at += sizeof entry) {
        memcpy(&entry, contents + at, sizeof entry);
        if (entry.a_type == AT_EXECFN)
            core->arguments = entry.a_un.a_val;
        else if (entry.a_type == AT_SYSINFO_EHDR)
            core->vdso = entry.a_un.a_val;
    }
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static size_t source_of(struct core_file *core, const char *path)
{
    for (size_t i = core->source_count; i--;) {
        if (!strcmp(core->sources[i].path, path))
            return i;
    }
    core->sources = memory_room(core->sources, core->source_count, &core->source_room, sizeof *core->sources);
    core->sources[core->source_count] = (struct core_source){.path = memory_copy(path, strlen(path)), .fd = -1};
    return core->source_count++;
}

/* How many there are, the unit of offsets; of each start, end and offset; then the paths. */
static void read_files(struct core_file *core, const char *contents, size_t bytes)
{
    uint64_t head[2], entry[3];
    const char *path, *end = contents + bytes;

    if (bytes < sizeof head)
        return;
    memcpy(head, contents, sizeof head);
    if (head[0] > (bytes - sizeof head) / sizeof entry)
        return;
    path = contents + sizeof head + head[0] * sizeof entry;
    for (size_t i = 0; i < head[0] && path < end && memchr(path, '\0', (size_t)(end - path)); i++, path += strlen(path) + 1) {
        struct core_map *map;

        memcpy(entry, contents + sizeof head + i * sizeof entry, sizeof entry);
        core->maps = memory_room(core->maps, core->map_count, &core->map_room, sizeof *map);
        map = &core->maps[core->map_count++];
        *map = (struct core_map){entry[0], entry[1], entry[2] * head[1], source_of(core, path)};
        if (map->offset == 0 && !core->sources[map->source].start)
            core->sources[map->source].start = map->start;
    }
}

void core_note_read(struct core_file *core, unsigned type, const char *contents, size_t bytes)
{
    switch (type) {
    case NT_PRSTATUS: read_thread(core, contents, bytes); break;
    case NT_PRPSINFO: read_process(core, contents, bytes); break;
    case NT_AUXV: read_start(core, contents, bytes); break;
    case NT_FILE: read_files(core, contents, bytes); break;
    default: break;
    }
}
