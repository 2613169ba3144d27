/* SPDX-License-Identifier: MIT */
#include "callers/symtab.h"

#include <elf.h>
#include <string.h>

#include "os/os.h"

#define CHUNK 32 /* symbols read at a time: 768 bytes of stack, which may be that of a signal handler */

static bool read_all(int fd, void *out, size_t bytes, uint64_t at) {
    return os_read_at(fd, out, bytes, at) == bytes;
}

static bool read_header(int fd, Elf64_Ehdr *header) {
    return read_all(fd, header, sizeof *header, 0) && memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
           header->e_ident[EI_CLASS] == ELFCLASS64 && header->e_shentsize == sizeof(Elf64_Shdr);
}

static bool read_section(int fd, const Elf64_Ehdr *header, size_t index, Elf64_Shdr *section) {
    return index < header->e_shnum && read_all(fd, section, sizeof *section, header->e_shoff + index * sizeof *section);
}

/* The symbol table and the strings that belong to it. */
static bool find_tables(int fd, Elf64_Shdr *symbols, Elf64_Shdr *strings) {
    Elf64_Ehdr header;
    if (!read_header(fd, &header))
        return false;
    for (size_t i = 0; read_section(fd, &header, i, symbols); i++)
        if (symbols->sh_type == SHT_SYMTAB && symbols->sh_entsize == sizeof(Elf64_Sym))
            return read_section(fd, &header, symbols->sh_link, strings);
    return false;
}

static bool covers(const Elf64_Sym *symbol, uintptr_t address) {
    return ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && symbol->st_shndx != SHN_UNDEF &&
           address - symbol->st_value < symbol->st_size;
}

static bool find_symbol(int fd, const Elf64_Shdr *table, uintptr_t address, Elf64_Sym *found) {
    Elf64_Sym chunk[CHUNK];
    size_t count = table->sh_size / sizeof *chunk;
    for (size_t at = 0; at < count; at += CHUNK) {
        size_t some = min_size(CHUNK, count - at);
        if (!read_all(fd, chunk, some * sizeof *chunk, table->sh_offset + at * sizeof *chunk))
            return false;
        for (size_t i = 0; i < some; i++)
            if (covers(&chunk[i], address)) {
                *found = chunk[i];
                return true;
            }
    }
    return false;
}

bool symtab_find(const char *path, uintptr_t address, char *out, size_t room, size_t *offset) {
    Elf64_Shdr symbols, strings;
    Elf64_Sym symbol;
    *out = '\0';
    int fd = os_open_read(path);
    if (fd < 0)
        return false;
    if (find_tables(fd, &symbols, &strings) && find_symbol(fd, &symbols, address, &symbol) &&
        symbol.st_name < strings.sh_size) {
        size_t length = os_read_at(fd, out, min_size(room - 1, strings.sh_size - symbol.st_name),
                                   strings.sh_offset + symbol.st_name);
        out[length] = '\0';
        *offset = address - symbol.st_value;
    }
    os_close(fd);
    return *out != '\0';
}
