/* SPDX-License-Identifier: MIT */
#include "callers/backtrace.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>

#include "os/os.h"
#include "kit/report.h"
#include "kit/text.h"
#include "callers/symtab.h"
#include "callers/unwind.h"

#pragma weak dladdr1 /* a static program has no dynamic symbols to look up */

extern HIDDEN const char __ehdr_start[], _end[]; /* of the program or library that this is linked into, named by the linker */

/* A static program has no loader to ask: its own header says whether it lies where it was linked to. */
static void resolve_static(const char *call, struct backtrace_symbol *symbol) {
    const Elf64_Ehdr *header = (const void *)__ehdr_start;
    if (call < __ehdr_start || call >= _end)
        return;
    symbol->module = program_invocation_name;
    symbol->module_offset = (uintptr_t)call + 1 - (header->e_type == ET_DYN ? (uintptr_t)__ehdr_start : 0);
}

static void resolve_dynamic(const char *call, struct backtrace_symbol *symbol) {
    Dl_info info;
    struct link_map *map = NULL;
    if (dladdr1 == NULL || dladdr1(call, &info, (void **)&map, RTLD_DL_LINKMAP) == 0)
        return;
    symbol->module = info.dli_fname;
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
    const char *executed = os_executed_path();
    if (executed == NULL || module[0] == '\0' || strchr(module, '/') != NULL)
        return module;
    return strcmp(module, program_invocation_name) == 0 ? executed : module;
}

void backtrace_resolve(const void *address, struct backtrace_symbol *symbol, bool thorough) {
    /* The call is in front of its return address, which may already belong to the next function. */
    const char *call = (const char *)address - 1;
    symbol->function = symbol->module = NULL;
    symbol->offset = symbol->module_offset = 0;
    resolve_dynamic(call, symbol);
    if (MYALLOC_STATIC && symbol->module == NULL)
        resolve_static(call, symbol);
    if (thorough && symbol->function == NULL && symbol->module != NULL &&
        symtab_find(file_of(symbol), symbol->module_offset - 1, symbol->name, sizeof symbol->name, &symbol->offset)) {
        symbol->function = symbol->name;
        symbol->offset++;
    }
    if (symbol->module != NULL)
        symbol->module = path_of(symbol->module);
}

static void print_frame(int fd, unsigned number, const void *address) {
    struct backtrace_symbol symbol;
    char line[1024];
    size_t length = text_format(line, sizeof line - 1, "    #%d ", (int)number);
    backtrace_resolve(address, &symbol, true);
    if (symbol.function != NULL)
        length += text_format(line + length, sizeof line - 1 - length, "%s+%p ", symbol.function, symbol.offset);
    if (symbol.module != NULL)
        length +=
            text_format(line + length, sizeof line - 1 - length, "(%s+%p)", symbol.module, symbol.module_offset - 1);
    else
        length += text_format(line + length, sizeof line - 1 - length, "%p", (const char *)address - 1);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] < ' ') /* a path may hold anything; a frame stays one line */
            line[i] = '?';
    line[length++] = '\n';
    os_write(fd, line, length);
}

void backtrace_print(int fd, void *const *frames, unsigned count) {
    for (unsigned i = 0; i < count && i < UNWIND_MOST; i++)
        print_frame(fd, i, frames[i]);
}
