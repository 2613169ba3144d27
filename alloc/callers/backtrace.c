/* SPDX-License-Identifier: MIT */
#include "callers/backtrace.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>

#include "os/os.h"
#include "kit/finding.h"
#include "kit/text.h"
#include "callers/build_id.h"
#include "callers/symtab.h"
#include "callers/unwind.h"

#define LINE_ROOM 960 /* of a line's 1023 characters, the frame's number and indentation apart */
#define PLACE_MOST 430 /* characters of function and module; with number and build-id 500, of which a report has room for all */
#define NAME_LEAST 64  /* characters of a function's name, however long its module's path is */
#define ID_ROOM 64     /* of a build-id and what stands around it */
#define NAME_ROOM 256 /* of a function's name that only a file knows */

#pragma weak dladdr1 /* a static program has no dynamic symbols to look up */

extern HIDDEN const char __ehdr_start[], _end[]; /* of the program or library that this is linked into, named by the linker */

/* A static program has no loader to ask: its own header says whether it lies where it was linked to. */
static void resolve_static(const char *call, struct backtrace_symbol *symbol) {
    const Elf64_Ehdr *header = (const void *)__ehdr_start;
    if (call < __ehdr_start || call >= _end)
        return;
    symbol->module = program_invocation_name;
    symbol->header = header;
    symbol->module_offset = (uintptr_t)call + 1 - (header->e_type == ET_DYN ? (uintptr_t)__ehdr_start : 0);
}

static void resolve_dynamic(const char *call, struct backtrace_symbol *symbol) {
    Dl_info info;
    struct link_map *map = NULL;
    if (dladdr1 == NULL || dladdr1(call, &info, (void **)&map, RTLD_DL_LINKMAP) == 0)
        return;
    symbol->module = info.dli_fname;
    symbol->header = info.dli_fbase;
    symbol->module_offset = (uintptr_t)call + 1 - (map ? map->l_addr : (uintptr_t)info.dli_fbase);
    symbol->function = info.dli_sname;
    if (info.dli_sname != NULL)
        symbol->offset = (uintptr_t)call + 1 - (uintptr_t)info.dli_saddr;
}

/* The loader names the program as it was called, which may be no path from here. */
static const char *file_of(const struct backtrace_symbol *symbol) {
    return strcmp(symbol->module, program_invocation_name) == 0 ? "/proc/self/exe" : symbol->module;
}

/* A program that was looked up in PATH has a first argument without a folder, as bash gives it. The kernel knows the path by
 * which it was executed, which is what addr2line(1) takes. For a script that path is the script's, but then the kernel has put
 * the interpreter's path in the place of the first argument. */
static const char *path_of(const char *module) {
    const char *executed = (const char *)os_given(AT_EXECFN);
    if (executed == NULL || module[0] == '\0' || strchr(module, '/') != NULL)
        return module;
    return strcmp(module, program_invocation_name) == 0 ? executed : module;
}

void backtrace_resolve(const void *address, struct backtrace_symbol *symbol, char *name, size_t room) {
    /* The call is in front of its return address, which may already belong to the next function. */
    const char *call = (const char *)address - 1;
    symbol->function = symbol->module = NULL;
    symbol->header = NULL;
    symbol->offset = symbol->module_offset = 0;
    resolve_dynamic(call, symbol);
    if (MYALLOC_STATIC && symbol->module == NULL)
        resolve_static(call, symbol);
    if (name != NULL && symbol->function == NULL && symbol->module != NULL && !os_is_shut_in() &&
        symtab_find(file_of(symbol), symbol->module_offset - 1, name, room, &symbol->offset)) {
        symbol->function = name;
        symbol->offset++;
    }
    if (symbol->module != NULL)
        symbol->module = path_of(symbol->module);
}

/* The start of a name that is longer than `most`. Returns the length. */
static size_t put_name(const char *name, size_t most, char *out) {
    size_t length = strlen(name);
    if (length <= most) {
        memcpy(out, name, length);
        return length;
    }
    memcpy(out, name, most - 3);
    memcpy(out + most - 3, "...", 3);
    return most;
}

/* Characters that a function's name may have, so that its module stands whole behind it: that is what a symbolizer needs. */
static size_t name_most(const struct backtrace_symbol *symbol, size_t room) {
    size_t module = 40 + (symbol->module != NULL ? strlen(symbol->module) : 0); /* and two offsets */
    return min_size(module + NAME_LEAST < PLACE_MOST ? PLACE_MOST - module : NAME_LEAST, room / 2);
}

/* "function+0x1a (/path/module+0x11a2)", as much of it as is known. */
static void describe(const void *address, struct backtrace_symbol *symbol, char *out, size_t room) {
    size_t length = 0;
    char name[NAME_ROOM];
    backtrace_resolve(address, symbol, name, sizeof name);
    if (symbol->function != NULL) {
        length = put_name(symbol->function, name_most(symbol, room), out);
        length += text_format(out + length, room - length, "+%p ", symbol->offset);
    }
    if (symbol->module != NULL)
        text_format(out + length, room - length, "(%s+%p)", symbol->module, symbol->module_offset - 1);
    else
        text_format(out + length, room - length, "%p", (const char *)address - 1);
}

char *backtrace_place(const void *address, char *out, size_t room) {
    struct backtrace_symbol symbol;
    describe(address, &symbol, out, room);
    return out;
}

/* " (BuildId: 5f3a...)", or nothing. */
static void add_build_id(const void *header, char *out, size_t room) {
    char digits[BUILD_ID_ROOM] = "";
    *out = '\0';
    if (header != NULL)
        build_id_find(header, build_id_copy, digits);
    if (digits[0] != '\0')
        text_format(out, room, " (BuildId: %s)", digits);
}

void backtrace_module(const void *address, char *out, size_t room) {
    struct backtrace_symbol symbol;
    char id[ID_ROOM];
    *out = '\0';
    backtrace_resolve(address, &symbol, NULL, 0);
    if (symbol.module == NULL)
        return;
    add_build_id(symbol.header, id, sizeof id);
    text_format(out, room, "(%s+%p)%s", symbol.module, symbol.module_offset - 1, id);
}

void backtrace_print(struct finding *finding, void *const *frames, unsigned count) {
    struct backtrace_symbol symbol;
    char place[LINE_ROOM - ID_ROOM], id[ID_ROOM];
    for (unsigned i = 0; i < count && i < UNWIND_MOST; i++) {
        describe(frames[i], &symbol, place, sizeof place);
        add_build_id(symbol.header, id, sizeof id);
        finding_line(finding, "    #%d %s%s", (int)i, place, id);
    }
}
