/* SPDX-License-Identifier: MIT */
#include "core_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libdw.h"
#include "library.h"
#include "memory.h"
#include "message.h"
#include "ranges.h"
#include "read_at.h"

/* ---- what it may be instead -------------------------------------------------------------------------------------- */

/* Programs that compress core files, as systemd and package maintainers have them. */
static const struct packer {
    const char *magic, *name, *command;
} packers[] = {
    {"\x28\xb5\x2f\xfd", "zstd", "zstd -d"}, {"\x04\x22\x4d\x18", "lz4", "lz4 -d"}, {"\xfd" "7zXZ", "xz", "xz -dk"},
    {"\x1f\x8b", "gzip", "gzip -dk"},        {"BZh", "bzip2", "bzip2 -dk"},
};

static int refuse_other(const struct core_file *core)
{
    char start[8] = "";

    if (pread(core->fd, start, sizeof start, 0) == 0)
        return fail(EXIT_FAILURE, "'%s' is empty: no core was written; look at 'ulimit -c' and the disk's space", core->path);
    for (size_t i = 0; i < sizeof packers / sizeof *packers; i++) {
        if (!memcmp(start, packers[i].magic, strlen(packers[i].magic)))
            return fail(EXIT_FAILURE, "'%s' is compressed by %s: unpack it first, by '%s %s' ('coredumpctl dump' does so, too)",
                        core->path, packers[i].name, packers[i].command, core->path);
    }
    return fail(EXIT_FAILURE, "'%s' is no core file; give one, or the number of a process", core->path);
}

static int refuse_cut(const struct core_file *core, uint64_t size)
{
    return fail(EXIT_FAILURE, "'%s' is cut off at %" PRIu64 " bytes: have it written again, with 'ulimit -c unlimited' and "
                "room on the disk", core->path, size);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static void add_segment(struct core_file *core, const Elf64_Phdr *header)
{
    if (header->p_vaddr + header->p_memsz <= header->p_vaddr || header->p_filesz > header->p_memsz)
        return;
    core->segments = memory_room(core->segments, core->segment_count, &core->segment_room, sizeof *core->segments);
    core->segments[core->segment_count++] = (struct core_segment){
        .start = header->p_vaddr, .end = header->p_vaddr + header->p_memsz, .held = header->p_filesz,
        .offset = header->p_offset, .is_code = header->p_flags & PF_X, .is_writable = header->p_flags & PF_W,
    };
}

static void read_notes(struct core_file *core, const struct libdw *lib, Elf *elf, const Elf64_Phdr *header)
{
    Elf_Data *data = lib->elf_getdata_rawchunk(elf, (int64_t)header->p_offset, header->p_filesz, ELF_T_NHDR);
    size_t at = 0, name, contents;
    Elf64_Nhdr note;

    while (data && (at = lib->gelf_getnote(data, at, &note, &name, &contents)))
        core_note_read(core, note.n_type, (char *)data->d_buf + contents, note.n_descsz);
}

/* False if the file ends before all that its headers tell of. */
static bool read_headers(struct core_file *core, const struct libdw *lib, Elf *elf, const Elf64_Ehdr *header, uint64_t size)
{
    uint64_t table = header->e_phoff + (uint64_t)header->e_phnum * header->e_phentsize;
    size_t count = 0;

    if (table > size || (header->e_phnum == PN_XNUM && header->e_shoff + header->e_shentsize > size) ||
        lib->elf_getphdrnum(elf, &count))
        return false;
    for (size_t i = 0; i < count && i <= INT_MAX; i++) {
        Elf64_Phdr segment;

        if (!lib->gelf_getphdr(elf, (int)i, &segment) || segment.p_offset + segment.p_filesz < segment.p_offset ||
            (segment.p_filesz && segment.p_offset + segment.p_filesz > size))
            return false;
        if (segment.p_type == PT_NOTE)
            read_notes(core, lib, elf, &segment);
        else if (segment.p_type == PT_LOAD)
            add_segment(core, &segment);
    }
    if (core->segment_count)
        qsort(core->segments, core->segment_count, sizeof *core->segments, ranges_order);
    if (core->map_count)
        qsort(core->maps, core->map_count, sizeof *core->maps, ranges_order);
    return true;
}

static int read_elf(struct core_file *core, const struct libdw *lib, Elf *elf, uint64_t size)
{
    struct elf_file mine;
    Elf64_Ehdr header;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    bool is_known = fd >= 0 && elf_read(fd, &mine);

    if (fd >= 0)
        close(fd);
    if (!elf || lib->elf_kind(elf) != ELF_K_ELF)
        return refuse_other(core);
    if (!lib->gelf_getehdr(elf, &header))
        return refuse_cut(core, size);
    if (header.e_type != ET_CORE)
        return fail(EXIT_FAILURE, "'%s' is a program or a library, no core file of one; to run it: 'myalloc run'", core->path);
    if (is_known && (header.e_machine != mine.machine || header.e_ident[EI_CLASS] != mine.class))
        return fail(EXIT_FAILURE, "'%s' is of another kind of processor: use the command that came with the library there",
                    core->path);
    if (!read_headers(core, lib, elf, &header, size))
        return refuse_cut(core, size);
    return core->map_count ? 0 : fail(EXIT_FAILURE, "'%s' does not tell which files were mapped (NT_FILE): have it written by "
                                      "the kernel or by gdb's 'gcore'", core->path);
}

int core_file_open(const char *path, struct core_file *core)
{
    struct libdw lib;
    struct stat status;
    int result;
    Elf *elf;

    *core = (struct core_file){.path = path, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (core->fd < 0 || fstat(core->fd, &status))
        return fail(EXIT_FAILURE, "core file '%s' cannot be read: %s%s", path, strerror(errno),
                    errno == EACCES ? "; be its owner, or root (sudo)" : "");
    if (!S_ISREG(status.st_mode))
        return fail(EXIT_FAILURE, "'%s' is no file: give a core file, or the number of a process", path);
    if (!libdw_load(&lib))
        return fail(EXIT_FAILURE, "core files are read by " LIBDW_NAME " of elfutils; install the package " LIBDW_PACKAGE);
    lib.elf_version(EV_CURRENT);
    elf = lib.elf_begin(core->fd, ELF_C_READ, NULL);
    result = read_elf(core, &lib, elf, (uint64_t)status.st_size);
    lib.elf_end(elf);
    return result;
}

void core_file_close(struct core_file *core)
{
    for (size_t i = 0; i < core->source_count; i++) {
        if (core->sources[i].fd >= 0)
            close(core->sources[i].fd);
        free(core->sources[i].path);
    }
    if (core->fd >= 0)
        close(core->fd);
    free(core->sources);
    free(core->segments);
    free(core->maps);
    free(core->threads);
}

/* ---- memory that the core file has ------------------------------------------------------------------------------- */

static const struct core_segment *find_segment(const struct core_file *core, uint64_t address)
{
    return ranges_find(core->segments, core->segment_count, sizeof *core->segments, address);
}

/* How much of it lies in the core file behind an address, without a gap. */
static size_t held_at(const struct core_file *core, uint64_t address, const struct core_segment **segment)
{
    *segment = find_segment(core, address);
    return *segment && address - (*segment)->start < (*segment)->held ? (*segment)->start + (*segment)->held - address : 0;
}

bool core_file_holds(const struct core_file *core, uintptr_t from, size_t bytes)
{
    const struct core_segment *segment;
    size_t held = 1;

    while (bytes && (held = held_at(core, from, &segment))) {
        held = held < bytes ? held : bytes;
        from += held;
        bytes -= held;
    }
    return !bytes;
}

static int read_held(void *from, uintptr_t at, void *out, size_t bytes)
{
    struct core_file *core = from;
    const struct core_segment *segment;

    for (size_t held; bytes; bytes -= held) {
        int error;

        held = held_at(core, at, &segment);
        held = held < bytes ? held : bytes;
        if (!held)
            return EFAULT;
        error = read_at(core->fd, out, held, segment->offset + (at - segment->start));
        if (error)
            return error;
        at += held;
        out = (char *)out + held;
    }
    return 0;
}

/* ---- memory that files have -------------------------------------------------------------------------------------- */

const struct core_map *core_file_map(const struct core_file *core, uint64_t address)
{
    return ranges_find(core->maps, core->map_count, sizeof *core->maps, address);
}

static bool see_notes(const char *notes, size_t bytes, uintptr_t at, void *data)
{
    (void)at;
    return elf_build_id_of(notes, bytes, data);
}

/* Opens a file if it is the one that was mapped. `other`: the build-id of one that is not. */
static enum core_source_state try_file(struct core_source *source, const char *path, char other[ELF_BUILD_ID_ROOM])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return SOURCE_GONE;
    elf_build_id(fd, other);
    if (strcmp(other, source->build_id)) {
        close(fd);
        return SOURCE_OTHER;
    }
    source->fd = fd;
    return SOURCE_FITS;
}

/* The library of this command may be what ran, wherever it lay. */
const struct core_source *core_file_source(struct core_file *core, size_t n)
{
    struct core_source *source = &core->sources[n];
    struct elf_image image = {source->start, read_held, core};
    char path[PATH_MAX], other[ELF_BUILD_ID_ROOM];

    if (source->state != SOURCE_UNSEEN)
        return source;
    source->state = SOURCE_UNKNOWN;
    if (!source->start || elf_image_notes(&image, see_notes, source->build_id) || !*source->build_id)
        return source;
    source->state = try_file(source, source->path, source->other);
    if (source->state != SOURCE_FITS && library_path(path) && try_file(source, path, other) == SOURCE_FITS)
        source->state = SOURCE_FITS;
    return source;
}

/* What was written to is not what the file has. */
static int read_mapped(struct core_file *core, const struct core_segment *segment, uintptr_t at, void *out, size_t *bytes)
{
    const struct core_map *map = core_file_map(core, at);
    const struct core_source *source = map && !segment->is_writable ? core_file_source(core, map->source) : NULL;
    uint64_t end = map && map->end < segment->end ? map->end : segment->end;

    if (!source || source->state != SOURCE_FITS)
        return EFAULT;
    *bytes = *bytes < end - at ? *bytes : end - at;
    return read_at(source->fd, out, *bytes, map->offset + (at - map->start));
}

int core_file_memory(struct core_file *core, uintptr_t from, void *out, size_t bytes)
{
    for (size_t piece; bytes; bytes -= piece) {
        const struct core_segment *segment;
        size_t held = held_at(core, from, &segment);
        int error = EFAULT;

        piece = held && held < bytes ? held : bytes;
        if (held)
            error = read_held(core, from, out, piece);
        else if (segment)
            error = read_mapped(core, segment, from, out, &piece);
        if (error)
            return error;
        from += piece;
        out = (char *)out + piece;
    }
    return 0;
}
