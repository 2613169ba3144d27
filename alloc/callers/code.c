/* SPDX-License-Identifier: MIT */
#include "callers/code.h"

#include <elf.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>

#include "base/glibc.h"
#include "os/os.h"
#include "kit/modes.h"
#include "callers/objects.h"

#define SEGMENTS_MOST 64 /* of a module; usual are 4 to 13 */

extern HIDDEN const char __ehdr_start[], _end[]; /* of the program or library that this is linked into, named by the linker */

static _Atomic uint32_t generation;

/* True if libc says without a lock what is loaded. */
#if MYALLOC_FINDS_OBJECTS
#pragma weak _dl_find_object
static bool asks_loader(void) {
    return _dl_find_object != NULL;
}
#else
static bool asks_loader(void) {
    return false;
}
#endif

bool code_is_seen_to_change(void) {
    return modes_has(MODE_CHECK | MODE_LEAKS | MODE_TRACE | MODE_HARDENED);
}

bool code_is_worth_keeping(void) {
    return code_is_seen_to_change() || modes_has(MODE_PROFILE);
}

/* ---- what was there at the start --------------------------------------------------------------------------------- */

#if MYALLOC_FINDS_OBJECTS
/* The last module of those. The loader puts what comes later behind it, so what lies before it never changes. */
static const struct link_map *last_at_start;

AT_START void code_started(void) {
    struct dl_find_object own;
    if (MYALLOC_STATIC || !asks_loader() || _dl_find_object((void *)(uintptr_t)__ehdr_start, &own) != 0)
        return;
    const struct link_map *map = own.dlfo_link_map;
    while (map->l_next != NULL)
        map = map->l_next;
    last_at_start = map;
}

static bool was_there_at_start(const struct link_map *module) {
    const struct link_map *map = last_at_start;
    while (map != NULL && map != module)
        map = map->l_prev;
    return map != NULL;
}
#else
AT_START void code_started(void) {}
#endif

/* ---- changes ----------------------------------------------------------------------------------------------------- */

uint32_t code_generation(void) {
    return atomic_load_explicit(&generation, memory_order_acquire);
}

void code_changes(void) {
    atomic_fetch_add(&generation, 1);
    if (!asks_loader())
        objects_opens();
}

/* ---- what a module says of itself -------------------------------------------------------------------------------- */

/* The segments of a module that lies at `base` as its file does; NULL if there is no such thing. */
static const Elf64_Phdr *segments_of(uintptr_t base, unsigned *count) {
    const Elf64_Ehdr *header = (const void *)base;
    if (base % sizeof(uint64_t) != 0 || !os_can_read(header) || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phoff > OS_PAGE_MIN / 2)
        return NULL;
    *count = header->e_phnum;
    return *count <= SEGMENTS_MOST ? (const void *)(base + header->e_phoff) : NULL;
}

/* How far a module has been moved from where it was linked to. */
static uintptr_t bias_of(uintptr_t base, const Elf64_Phdr *segments, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        if (segments[i].p_type == PT_LOAD && segments[i].p_offset < OS_PAGE_MIN)
            return base - (segments[i].p_vaddr - segments[i].p_offset);
    return base;
}

/* The segment that `table` lies in is what can be read. */
static bool bound(const uint8_t *table, uintptr_t bias, const Elf64_Phdr *segments, unsigned count, struct code *code) {
    for (unsigned i = 0; i < count; i++) {
        uintptr_t start = bias + segments[i].p_vaddr;
        if (segments[i].p_type == PT_LOAD && segments[i].p_flags & PF_R &&
            (uintptr_t)table - start < segments[i].p_filesz) {
            code->start = (const uint8_t *)start;
            code->end = code->start + segments[i].p_filesz;
            return true;
        }
    }
    return false;
}

static bool covers(uintptr_t address, uintptr_t bias, const Elf64_Phdr *segments, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        if (segments[i].p_type == PT_LOAD && address - bias - segments[i].p_vaddr < segments[i].p_memsz)
            return true;
    return false;
}

static const uint8_t *header_of(uintptr_t bias, const Elf64_Phdr *segments, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        if (segments[i].p_type == PT_GNU_EH_FRAME)
            return (const uint8_t *)(bias + segments[i].p_vaddr);
    return NULL;
}

/* ---- a static program -------------------------------------------------------------------------------------------- */

#define NOT_THERE ((uintptr_t)-1)

#if MYALLOC_STATIC
/* Programs that are linked with -static have no .eh_frame_hdr, and no segment that names .eh_frame: the file is asked for that
 * section, once. Returns its address before the program is moved; 0 if it has none. */
static uintptr_t frames_in_file(void) {
    Elf64_Ehdr header;
    Elf64_Shdr names, section;
    char name[sizeof ".eh_frame"];
    uintptr_t found = 0;
    int fd = os_open_read("/proc/self/exe");
    if (fd < 0)
        return 0;
    bool readable = os_read_at(fd, &header, sizeof header, 0) == sizeof header && header.e_shentsize == sizeof section &&
                    os_read_at(fd, &names, sizeof names, header.e_shoff + header.e_shstrndx * sizeof names) == sizeof names;
    for (unsigned i = 0; readable && found == 0 && i < header.e_shnum; i++)
        if (os_read_at(fd, &section, sizeof section, header.e_shoff + i * sizeof section) == sizeof section &&
            os_read_at(fd, name, sizeof name, names.sh_offset + section.sh_name) == sizeof name &&
            memcmp(name, ".eh_frame", sizeof name) == 0)
            found = section.sh_addr;
    os_close(fd);
    return found;
}

static uintptr_t frames_of_program(void) {
    static _Atomic uintptr_t known;
    uintptr_t frames = atomic_load_explicit(&known, memory_order_relaxed);
    if (frames == 0) {
        frames = frames_in_file();
        frames = frames != 0 ? frames : NOT_THERE;
        atomic_store_explicit(&known, frames, memory_order_relaxed);
    }
    return frames;
}
#else
static uintptr_t frames_of_program(void) {
    return NOT_THERE;
}
#endif

/* ---- what the loader may not know: that program, and the vdso ----------------------------------------------------- */

/* A module whose header lies at `base`, if it covers the address. `own`: it is this very program. */
static bool find_at(uintptr_t base, uintptr_t address, bool own, struct code *code) {
    unsigned count = 0;
    const Elf64_Phdr *segments = base != 0 ? segments_of(base, &count) : NULL;
    uintptr_t bias = segments != NULL ? bias_of(base, segments, count) : 0;
    if (segments == NULL || !covers(address, bias, segments, count))
        return false;
    *code = (struct code){.header = header_of(bias, segments, count), .module = base, .stays = true};
    if (code->header == NULL && own && frames_of_program() != NOT_THERE)
        code->frames = (const uint8_t *)(bias + frames_of_program());
    return bound(code->header != NULL ? code->header : code->frames, bias, segments, count, code);
}

/* ---- the loader -------------------------------------------------------------------------------------------------- */

/* For a libc that does not say it. */
static bool find_in_objects(uintptr_t address, struct code *code) {
    struct object object;
    if (!objects_find(address, &object) || object.tables_start == 0)
        return false;
    *code = (struct code){.start = (const uint8_t *)object.tables_start, .end = (const uint8_t *)object.tables_end,
                          .header = (const uint8_t *)object.header, .module = object.module,
                          .stays = !MYALLOC_STATIC && code_is_seen_to_change()};
    return true;
}

#if MYALLOC_FINDS_OBJECTS
static bool find_by_loader(uintptr_t address, struct code *code) {
    struct dl_find_object object;
    unsigned count;
    if (!asks_loader())
        return find_in_objects(address, code);
    if (_dl_find_object((void *)address, &object) != 0)
        return false;
    uintptr_t base = (uintptr_t)object.dlfo_map_start;
    const Elf64_Phdr *segments = segments_of(base, &count);
    *code = (struct code){.header = object.dlfo_eh_frame, .module = base};
    code->stays = !MYALLOC_STATIC && (code_is_seen_to_change() || was_there_at_start(object.dlfo_link_map));
    return segments != NULL && bound(code->header, bias_of(base, segments, count), segments, count, code);
}
#else
static bool find_by_loader(uintptr_t address, struct code *code) {
    return find_in_objects(address, code);
}
#endif

bool code_may_come(void) {
    return !asks_loader() && objects_may_come();
}

#if !MYALLOC_FINDS_OBJECTS
void code_closes(void) {
    objects_closes();
}

void code_closed(void) {
    code_changes();
    objects_closed();
}
#endif

void code_prepare(void) {
    frames_of_program();
    if (!asks_loader())
        objects_update();
}

bool code_find(uintptr_t address, struct code *code) {
    if (MYALLOC_STATIC && address - (uintptr_t)__ehdr_start < (uintptr_t)(_end - __ehdr_start))
        return find_at((uintptr_t)__ehdr_start, address, true, code);
    return find_by_loader(address, code) || find_at(os_given(AT_SYSINFO_EHDR), address, false, code);
}

/* Where the loader's own code is. One that was started as a command, with the program as its argument, is what the kernel has
 * started. */
static void find_loader(uintptr_t *start, uintptr_t *end) {
    uintptr_t base = os_given(AT_BASE), inside = base != 0 ? base : os_given(AT_ENTRY);
    struct code code;
    unsigned count;
    if (base == 0 && find_by_loader(inside, &code))
        base = code.module;
    const Elf64_Phdr *segments = base != 0 ? segments_of(base, &count) : NULL;
    *start = *end = base;
    for (unsigned i = 0; segments != NULL && i < count; i++)
        if (segments[i].p_type == PT_LOAD)
            *end = base + segments[i].p_vaddr + segments[i].p_memsz;
}

bool code_is_loader(uintptr_t address) {
    static _Atomic uintptr_t known_start, known_end;
    uintptr_t end = atomic_load_explicit(&known_end, memory_order_acquire), start;
    if (MYALLOC_STATIC)
        return false;
    if (UNLIKELY(end == 0)) {
        find_loader(&start, &end);
        atomic_store_explicit(&known_start, start, memory_order_relaxed);
        atomic_store_explicit(&known_end, end, memory_order_release);
    }
    start = atomic_load_explicit(&known_start, memory_order_relaxed);
    return address - start < end - start;
}
