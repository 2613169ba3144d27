/* SPDX-License-Identifier: MIT */
/* The few facts about an ELF file that decide whether a library can be preloaded into it, and whether it is what ran. */
#ifndef TOOLS_ELF_FILE_H
#define TOOLS_ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_file {
    unsigned char class; /* ELFCLASS32 or ELFCLASS64 */
    unsigned short machine;
    bool has_loader; /* it names a dynamic loader; taken as true where the headers cannot be read */
    char loader[256];
};

/* Reads the headers from the open file `fd`. False when it is no ELF file. */
bool elf_read(int fd, struct elf_file *file);

/* The address, as its symbols have it, of what lies at `offset` in a file of this machine's class. False if nothing of it is
   loaded from there. */
bool elf_address(int fd, uint64_t offset, uint64_t *address);

/* The file's build-id in hexadecimal digits; "" if it has none. */
#define ELF_BUILD_ID_ROOM 65
void elf_build_id(int fd, char digits[ELF_BUILD_ID_ROOM]);

/* The same of its notes. False if none of them is the build-id. */
bool elf_build_id_of(const void *notes, size_t bytes, char digits[ELF_BUILD_ID_ROOM]);

/* An ELF file as it lies in some process's memory from `start` on, which `read` copies; it returns 0 or errno. Calls `see` with
   each group of its notes and their address, until that returns true. Returns 0; or errno if there is no memory at `start`. */
struct elf_image {
    uintptr_t start;
    int (*read)(void *from, uintptr_t at, void *out, size_t bytes);
    void *from; /* for `read` */
};
int elf_image_notes(const struct elf_image *image, bool (*see)(const char *notes, size_t bytes, uintptr_t at, void *data),
                    void *data);

#endif
