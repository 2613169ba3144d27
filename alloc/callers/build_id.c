/* SPDX-License-Identifier: MIT */
#include "callers/build_id.h"

#include <link.h>
#include <string.h>

#define NAME_MOST 64 /* bytes of a note's name; that of the one that is looked for has 4 */

bool build_id_copy(const void *from, void *out, size_t bytes) {
    memcpy(out, from, bytes);
    return true;
}

static void put_digits(const unsigned char *id, size_t length, char *digits) {
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        digits[2 * i] = hex[id[i] >> 4];
        digits[2 * i + 1] = hex[id[i] & 15];
    }
    digits[2 * length] = '\0';
}

/* True if one of the notes in [at, at + bytes) is the build-id. */
static bool find_in_notes(const char *at, size_t bytes, build_id_reader *read, char *digits) {
    Elf64_Nhdr note;
    unsigned char id[BUILD_ID_MOST];
    char owner[4];
    while (bytes >= sizeof note && read(at, &note, sizeof note)) {
        size_t name = align_up(note.n_namesz, 4), whole = sizeof note + name + align_up(note.n_descsz, 4);
        size_t length = min_size(note.n_descsz, sizeof id);
        if (whole > bytes || name > NAME_MOST)
            return false;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof owner && read(at + sizeof note, owner, sizeof owner) &&
            memcmp(owner, "GNU", sizeof owner) == 0 && read(at + sizeof note + name, id, length)) {
            put_digits(id, length, digits);
            return length > 0;
        }
        at += whole;
        bytes -= whole;
    }
    return false;
}

void build_id_find(const void *start, build_id_reader *read, char digits[BUILD_ID_ROOM]) {
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    uintptr_t base = 0;
    bool based = false;
    digits[0] = '\0';
    if (!read(start, &header, sizeof header) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_phentsize != sizeof segment)
        return;
    const char *segments = (const char *)start + header.e_phoff;
    for (unsigned i = 0; !based && i < header.e_phnum && read(segments + i * sizeof segment, &segment, sizeof segment); i++) {
        based = segment.p_type == PT_LOAD && segment.p_offset == 0;
        base = (uintptr_t)start - segment.p_vaddr;
    }
    for (unsigned i = 0; based && i < header.e_phnum && read(segments + i * sizeof segment, &segment, sizeof segment); i++)
        if (segment.p_type == PT_NOTE && find_in_notes((const char *)base + segment.p_vaddr, segment.p_memsz, read, digits))
            return;
}
