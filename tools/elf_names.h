/* SPDX-License-Identifier: MIT */
/* The names in an ELF file of this machine's class: libraries that it needs, functions that it defines for others, sections.
   All are read by its section headers; a file without them has no names. */
#ifndef TOOLS_ELF_NAMES_H
#define TOOLS_ELF_NAMES_H

#include <stdbool.h>
#include <stddef.h>

struct elf_names {
    const unsigned char *bytes; /* the mapped file, NULL if it cannot be mapped */
    size_t size;
};

/* Maps the open file `fd`; elf_names_close undoes it. */
void elf_names_open(int fd, struct elf_names *names);
void elf_names_close(const struct elf_names *names);

/* Whether it needs a library whose name begins so. */
bool elf_needs(const struct elf_names *names, const char *library);

/* Whether it defines a function that the loader finds under this name. */
bool elf_defines(const struct elf_names *names, const char *function);

bool elf_has_section(const struct elf_names *names, const char *section);

#endif
