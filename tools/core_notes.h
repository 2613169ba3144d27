/* SPDX-License-Identifier: MIT */
/* What a core file has, and what its notes say of it: the process, its threads, the files that it had mapped. */
#ifndef TOOLS_CORE_NOTES_H
#define TOOLS_CORE_NOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf_file.h"

/* An area of the process's addresses. */
struct core_segment {
    uint64_t start, end;
    uint64_t held;   /* bytes of it, from its start, that the core file has; */
    uint64_t offset; /* where they lie */
    bool is_code, is_writable;
};

/* What became of a file that was mapped. */
enum core_source_state { SOURCE_UNSEEN, SOURCE_FITS, SOURCE_GONE, SOURCE_OTHER, SOURCE_UNKNOWN /* the core has no build-id */ };

struct core_source {
    char *path;
    uint64_t start; /* of the mapping that begins at its start; 0: there is none */
    enum core_source_state state;
    char build_id[ELF_BUILD_ID_ROOM], other[ELF_BUILD_ID_ROOM]; /* as it was mapped, "" if not known; of what is there now */
    int fd;         /* of SOURCE_FITS */
};

/* A part of a file, mapped. */
struct core_map {
    uint64_t start, end, offset;
    size_t source;
};

struct core_thread {
    int number;
    uint64_t pointer; /* its thread pointer, which lies in libc's structure of the thread; 0: not known */
};

struct core_file {
    const char *path;
    int fd;
    int number;    /* of the process */
    char name[64];
    uint64_t arguments, vdso; /* addresses in the main thread's stack and in the kernel's code; 0: not known */
    struct core_segment *segments; /* by address, as maps */
    struct core_map *maps;
    struct core_source *sources;
    struct core_thread *threads;
    size_t segment_count, segment_room, map_count, map_room, source_count, source_room, thread_count, thread_room;
};

/* Takes in a note's contents; what has another length than on this machine is left out. `type` is one of NT_PRSTATUS, ... */
void core_note_read(struct core_file *core, unsigned type, const char *contents, size_t bytes);

#endif
