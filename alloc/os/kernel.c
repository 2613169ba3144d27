/* SPDX-License-Identifier: MIT */
#include "os/kernel.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/arch_call.h"

AT_START long kernel_ask(long number, long a, long b, long c, long d, long e, long f) {
    return arch_call(number, a, b, c, d, e, f);
}

/* libc's function sets errno where there is nothing of the type. */
uintptr_t kernel_given(unsigned long type) {
    int saved = errno;
    uintptr_t given = getauxval(type);
    errno = saved;
    return given;
}

/* ---- clocks ------------------------------------------------------------------------------------------------------ */

/* The kernel maps a small library into every process (vdso(7)), whose functions read the clock without entering the kernel: 20
 * to 60 ns instead of 100 and more. libc calls the same functions, but through a name that libfaketime and others define. */
typedef int clock_function(clockid_t clock, struct timespec *now);
static const char clock_name[] =
#if defined(__aarch64__)
    "__kernel_clock_gettime";
#else
    "__vdso_clock_gettime";
#endif

#define VDSO_MOST (64 * KIB)     /* it has two or three pages; an offset beyond this would be an address of another kind */
#define LOOKED_FOR ((uintptr_t)1) /* and not found */
static _Atomic uintptr_t clock_found; /* 0: not looked for yet */

struct symbols {
    const ElfW(Sym) *first;
    const char *names;
    size_t names_bytes;
};

/* The symbols of a library that lies at `base` as its file does, by its segment of dynamic entries. */
static struct symbols find_symbols(uintptr_t base) {
    const ElfW(Ehdr) *header = (const void *)base;
    const ElfW(Phdr) *segments = (const void *)(base + header->e_phoff);
    const ElfW(Dyn) *entry = NULL;
    struct symbols symbols = {NULL, NULL, 0};
    for (int i = 0; i < header->e_phnum; i++)
        if (segments[i].p_type == PT_DYNAMIC)
            entry = (const void *)(base + segments[i].p_offset);
    for (; entry != NULL && entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_SYMTAB)
            symbols.first = (const void *)(base + entry->d_un.d_ptr);
        else if (entry->d_tag == DT_STRTAB)
            symbols.names = (const void *)(base + entry->d_un.d_ptr);
        else if (entry->d_tag == DT_STRSZ)
            symbols.names_bytes = entry->d_un.d_val;
    }
    return symbols;
}

/* Linkers put the names of symbols right behind the symbols. Where that is not so, none is found. */
static uintptr_t find_clock(uintptr_t base) {
    struct symbols symbols = find_symbols(base);
    uintptr_t at = (uintptr_t)symbols.first, end = (uintptr_t)symbols.names;
    if (at < base || end < at || end - base > VDSO_MOST)
        return 0;
    for (const ElfW(Sym) *symbol = symbols.first; (uintptr_t)(symbol + 1) <= end; symbol++)
        if (symbol->st_value - 1 < VDSO_MOST && symbol->st_name + sizeof clock_name <= symbols.names_bytes &&
            memcmp(symbols.names + symbol->st_name, clock_name, sizeof clock_name) == 0)
            return base + symbol->st_value;
    return 0;
}

static COLD uintptr_t find_clock_slow(void) {
    uintptr_t base = kernel_given(AT_SYSINFO_EHDR), found = base != 0 ? find_clock(base) : 0;
    found = found != 0 ? found : LOOKED_FOR;
    atomic_store_explicit(&clock_found, found, memory_order_relaxed);
    return found;
}

void kernel_time(clockid_t clock, struct timespec *now) {
    uintptr_t found = atomic_load_explicit(&clock_found, memory_order_relaxed);
    if (UNLIKELY(found == 0))
        found = find_clock_slow();
    *now = (struct timespec){0, 0};
    if (LIKELY(found != LOOKED_FOR) && ((clock_function *)found)(clock, now) == 0)
        return;
    if (kernel_refused(kernel(SYS_clock_gettime, clock, now)))
        *now = (struct timespec){0, 0};
}

/* ---- signals ----------------------------------------------------------------------------------------------------- */

ARCH_SIGNAL_RETURN(kernel_return_from_signal)
#if ARCH_HAS_SIGNAL_RETURN
HIDDEN void kernel_return_from_signal(void);
void (*const kernel_signal_return)(void) = kernel_return_from_signal;
#else
void (*const kernel_signal_return)(void) = NULL;
#endif
