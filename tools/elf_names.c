/* SPDX-License-Identifier: MIT */
#include "elf_names.h"

#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

void elf_names_open(int fd, struct elf_names *names)
{
    struct stat status;
    void *map = MAP_FAILED;

    if (!fstat(fd, &status) && (size_t)status.st_size >= sizeof(ElfW(Ehdr)))
        map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    names->bytes = map == MAP_FAILED ? NULL : map;
    names->size = map == MAP_FAILED ? 0 : (size_t)status.st_size;
}

void elf_names_close(const struct elf_names *names)
{
    if (names->bytes)
        munmap((void *)names->bytes, names->size);
}

/* Copies `room` bytes from `offset`; false beyond the end. */
static bool copy(const struct elf_names *names, size_t offset, void *out, size_t room)
{
    if (offset > names->size || names->size - offset < room)
        return false;
    memcpy(out, names->bytes + offset, room);
    return true;
}

static bool read_section(const struct elf_names *names, size_t index, ElfW(Shdr) *section)
{
    ElfW(Ehdr) header;

    return names->bytes && copy(names, 0, &header, sizeof header) && header.e_shentsize == sizeof *section &&
           index < header.e_shnum && copy(names, header.e_shoff + index * sizeof *section, section, sizeof *section);
}

/* The first section of a type, and the strings that belong to it. */
static bool find_section(const struct elf_names *names, ElfW(Word) type, ElfW(Shdr) *section, ElfW(Shdr) *strings)
{
    for (size_t i = 0; read_section(names, i, section); i++) {
        if (section->sh_type == type)
            return read_section(names, section->sh_link, strings);
    }
    return false;
}

/* Whether the string at `at` begins with `start`, and ends there if it must be the `whole` of it. */
static bool string_is(const struct elf_names *names, const ElfW(Shdr) *strings, size_t at, const char *start, bool whole)
{
    char text[64];
    size_t length = strlen(start) + whole;

    return length <= sizeof text && at < strings->sh_size && copy(names, strings->sh_offset + at, text, length) &&
           !memcmp(text, start, length);
}

bool elf_needs(const struct elf_names *names, const char *library)
{
    ElfW(Shdr) section, strings;
    ElfW(Dyn) entry;

    if (!find_section(names, SHT_DYNAMIC, &section, &strings))
        return false;
    for (size_t at = 0; at < section.sh_size && copy(names, section.sh_offset + at, &entry, sizeof entry); at += sizeof entry) {
        if (entry.d_tag == DT_NEEDED && string_is(names, &strings, entry.d_un.d_val, library, false))
            return true;
    }
    return false;
}

bool elf_defines(const struct elf_names *names, const char *function)
{
    ElfW(Shdr) section, strings;
    ElfW(Sym) symbol;

    if (!find_section(names, SHT_DYNSYM, &section, &strings))
        return false;
    for (size_t at = 0; at < section.sh_size && copy(names, section.sh_offset + at, &symbol, sizeof symbol);
         at += sizeof symbol) {
        if (symbol.st_shndx != SHN_UNDEF && string_is(names, &strings, symbol.st_name, function, true))
            return true;
    }
    return false;
}

bool elf_has_section(const struct elf_names *names, const char *name)
{
    ElfW(Shdr) section, strings;
    ElfW(Ehdr) header;

    if (!names->bytes || !copy(names, 0, &header, sizeof header) || !read_section(names, header.e_shstrndx, &strings))
        return false;
    for (size_t i = 0; read_section(names, i, &section); i++) {
        if (string_is(names, &strings, section.sh_name, name, true))
            return true;
    }
    return false;
}
