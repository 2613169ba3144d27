/* SPDX-License-Identifier: MIT */
#include "callers/backtrace.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>

#include "base/glibc.h"
#include "os/os.h"
#include "kit/report.h"
#include "kit/text.h"
#include "callers/symtab.h"

#define OWN_MOST 16 /* frames of ours that may lie between the program's call and a capture */

#pragma weak dladdr1 /* a static program has no dynamic symbols to look up */

/* Where our own code lies. Shared: the whole library. Static: the section that libmyalloc.a's code is put in; the linker
 * names its bounds. The attribute on backtrace_capture makes it exist in every build. */
#define OWN_SECTION "myalloc_text"
extern HIDDEN const char __ehdr_start[], _end[], __start_myalloc_text[], __stop_myalloc_text[];

extern int __cxa_atexit(void (*function)(void *), void *argument, void *dso);

/* The unwinder's own look-up, there in static programs. */
extern const void *_Unwind_Find_FDE(void *code, void *bases) __attribute__((weak));

static _Atomic bool asked, ready;
static THREAD_LOCAL bool busy;
THREAD_LOCAL const void *backtrace_caller;
static uintptr_t unwinder_start, unwinder_end; /* libgcc_s in memory, once it is loaded */

static bool is_own(const void *address) {
    uintptr_t a = (uintptr_t)address;
    if (MYALLOC_STATIC)
        return a > (uintptr_t)__start_myalloc_text && a <= (uintptr_t)__stop_myalloc_text;
    return a > (uintptr_t)__ehdr_start && a <= (uintptr_t)_end;
}

static unsigned unwind(void **frames, unsigned most) {
    int saved = errno;
    busy = true;
    int count = backtrace(frames, (int)most);
    busy = false;
    errno = saved;
    return count > 0 ? (unsigned)count : 0;
}

static void stop(void *unused) {
    (void)unused;
    atomic_store(&asked, false);
    atomic_store(&ready, false);
}

/* The unwinder aborts where it finds no tables for its caller. A static program hands them over in a constructor that
 * comes after the first ones. */
static bool has_tables(void) {
    void *bases[3];
    if (!MYALLOC_STATIC || _Unwind_Find_FDE == NULL)
        return true;
    busy = true;
    bool found = _Unwind_Find_FDE((char *)(uintptr_t)backtrace + 1, bases) != NULL;
    busy = false;
    return found;
}

/* The loader's call for each module; not 0 ends them. */
static int note_unwinder(struct dl_phdr_info *module, size_t size, void *unused) {
    (void)size, (void)unused;
    const char *name = strrchr(module->dlpi_name, '/');
    if (name == NULL || strncmp(name, "/libgcc_s.so", 12) != 0)
        return 0;
    unwinder_start = module->dlpi_addr;
    for (unsigned i = 0; i < module->dlpi_phnum; i++) {
        const Elf64_Phdr *segment = &module->dlpi_phdr[i];
        if (segment->p_type == PT_LOAD)
            unwinder_end = module->dlpi_addr + segment->p_vaddr + segment->p_memsz;
    }
    return 1;
}

static bool get_ready_slow(void) {
    void *frame;
    if (!atomic_load(&asked) || !has_tables())
        return false;
    unwind(&frame, 1);
    dl_iterate_phdr(note_unwinder, NULL);
    /* At its very end a static program takes its tables back, under the unwinder's lock, and frees memory there. */
    if (MYALLOC_STATIC && !atomic_exchange(&ready, true))
        __cxa_atexit(stop, NULL, NULL);
    atomic_store(&ready, true);
    return true;
}

void backtrace_prepare(void) {
    atomic_store(&asked, true);
    if (!busy && !atomic_load(&ready))
        get_ready_slow();
}

/* Only a static program may get ready later: nothing is loaded there. */
static bool is_ready(void) {
    return LIKELY(atomic_load_explicit(&ready, memory_order_acquire)) || (MYALLOC_STATIC && get_ready_slow());
}

bool backtrace_inside(void) {
    return busy || (uintptr_t)backtrace_caller - unwinder_start < unwinder_end - unwinder_start;
}

__attribute__((section(OWN_SECTION))) NOINLINE unsigned backtrace_capture(void **frames, unsigned most, unsigned skip) {
    if (backtrace_inside() || !is_ready())
        return 0;
    void *all[BACKTRACE_MOST + OWN_MOST];
    most = most < BACKTRACE_MOST ? most : BACKTRACE_MOST;
    skip = skip < OWN_MOST ? skip : OWN_MOST;
    unsigned wanted = most + skip + OWN_MOST, first = 0, count = 0;
    unsigned found = unwind(all, wanted < BACKTRACE_MOST + OWN_MOST ? wanted : BACKTRACE_MOST + OWN_MOST);
    while (first < found && is_own(all[first]))
        first++;
    for (first += skip; first < found && count < most; first++)
        frames[count++] = all[first];
    return count;
}

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
    for (unsigned i = 0; i < count && i < BACKTRACE_MOST; i++)
        print_frame(fd, i, frames[i]);
}

/* A static program's unwinder has a lock of its own, which a thread that is gone may have held. */
void backtrace_fork_reset(void) {
    if (MYALLOC_STATIC)
        stop(NULL);
}
