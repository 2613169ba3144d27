/* SPDX-License-Identifier: MIT */
#include "elf_file.h"

#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SEGMENTS = 64, NOTES = 4096 }; /* more than files have: what is behind these is not looked at */

static const unsigned char NATIVE_CLASS = __ELF_NATIVE_CLASS == 64 ? ELFCLASS64 : ELFCLASS32;

static void read_loader_name(int fd, const ElfW(Phdr) *segment, struct elf_file *file)
{
    size_t length = segment->p_filesz < sizeof file->loader ? segment->p_filesz : sizeof file->loader - 1;
    ssize_t got = pread(fd, file->loader, length, (off_t)segment->p_offset);

    file->loader[got < 0 ? 0 : got] = '\0';
}

/* Looks for the segment that names the dynamic loader. */
static void read_segments(int fd, const ElfW(Ehdr) *header, struct elf_file *file)
{
    ElfW(Phdr) segment;

    file->has_loader = false;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        off_t offset = (off_t)(header->e_phoff + (size_t)i * header->e_phentsize);

        if (pread(fd, &segment, sizeof segment, offset) != (ssize_t)sizeof segment)
            return;
        if (segment.p_type == PT_INTERP) {
            file->has_loader = true;
            read_loader_name(fd, &segment, file);
        }
    }
}

bool elf_read(int fd, struct elf_file *file)
{
    ElfW(Ehdr) header = {0};
    ssize_t got = pread(fd, &header, sizeof header, 0);

    if (got < (ssize_t)sizeof(Elf32_Ehdr) || memcmp(header.e_ident, ELFMAG, SELFMAG))
        return false;
    file->class = header.e_ident[EI_CLASS];
    file->machine = header.e_machine; /* the same place in both classes */
    file->has_loader = true;
    file->loader[0] = '\0';
    if (file->class == NATIVE_CLASS)
        read_segments(fd, &header, file);
    return true;
}

bool elf_address(int fd, uint64_t offset, uint64_t *address)
{
    ElfW(Ehdr) header;
    ElfW(Phdr) segment;

    if (pread(fd, &header, sizeof header, 0) != (ssize_t)sizeof header || memcmp(header.e_ident, ELFMAG, SELFMAG) ||
        header.e_ident[EI_CLASS] != NATIVE_CLASS)
        return false;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        off_t at = (off_t)(header.e_phoff + (size_t)i * header.e_phentsize);

        if (pread(fd, &segment, sizeof segment, at) != (ssize_t)sizeof segment)
            return false;
        if (segment.p_type == PT_LOAD && offset >= segment.p_offset && offset - segment.p_offset < segment.p_filesz) {
            *address = offset - segment.p_offset + segment.p_vaddr;
            return true;
        }
    }
    return false;
}

bool elf_build_id_of(const void *all, size_t bytes, char digits[ELF_BUILD_ID_ROOM])
{
    const unsigned char *notes = all;
    ElfW(Nhdr) note;

    for (size_t at = 0; at + sizeof note <= bytes;) {
        size_t name = at + sizeof note, id, end;

        memcpy(&note, notes + at, sizeof note);
        id = name + ((size_t)note.n_namesz + 3) / 4 * 4;
        end = id + note.n_descsz;
        if (end > bytes)
            return false;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && !memcmp(notes + name, "GNU", 4) &&
            note.n_descsz * 2 < ELF_BUILD_ID_ROOM) {
            for (size_t i = 0; i < note.n_descsz; i++)
                snprintf(digits + 2 * i, 3, "%02x", notes[id + i]);
            return note.n_descsz > 0;
        }
        at = (end + 3) / 4 * 4;
    }
    return false;
}

void elf_build_id(int fd, char digits[ELF_BUILD_ID_ROOM])
{
    ElfW(Ehdr) header;
    ElfW(Phdr) segment;
    unsigned char notes[NOTES];

    *digits = '\0';
    if (pread(fd, &header, sizeof header, 0) != (ssize_t)sizeof header || memcmp(header.e_ident, ELFMAG, SELFMAG) ||
        header.e_ident[EI_CLASS] != NATIVE_CLASS)
        return;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        off_t at = (off_t)(header.e_phoff + (size_t)i * header.e_phentsize);
        ssize_t got;

        if (pread(fd, &segment, sizeof segment, at) != (ssize_t)sizeof segment)
            return;
        if (segment.p_type != PT_NOTE)
            continue;
        got = pread(fd, notes, segment.p_filesz < sizeof notes ? segment.p_filesz : sizeof notes, (off_t)segment.p_offset);
        if (got > 0 && elf_build_id_of(notes, (size_t)got, digits))
            return;
    }
}

int elf_image_notes(const struct elf_image *image, bool (*see)(const char *notes, size_t bytes, uintptr_t at, void *data),
                    void *data)
{
    ElfW(Ehdr) header;
    ElfW(Phdr) segments[SEGMENTS];
    uintptr_t base = image->start;
    int error = image->read(image->from, image->start, &header, sizeof header);
    bool seen = false;

    if (error)
        return error;
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_phentsize != sizeof *segments || header.e_phnum > SEGMENTS ||
        image->read(image->from, image->start + header.e_phoff, segments, header.e_phnum * sizeof *segments))
        return 0;
    for (size_t i = 0; i < header.e_phnum; i++) {
        if (segments[i].p_type == PT_LOAD && segments[i].p_offset == 0)
            base = image->start - segments[i].p_vaddr;
    }
    for (size_t i = 0; i < header.e_phnum && !seen; i++) {
        uintptr_t at = base + segments[i].p_vaddr;
        char notes[NOTES];

        if (segments[i].p_type == PT_NOTE && segments[i].p_filesz <= sizeof notes &&
            !image->read(image->from, at, notes, segments[i].p_filesz))
            seen = see(notes, segments[i].p_filesz, at, data);
    }
    return 0;
}
