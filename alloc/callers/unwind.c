/* SPDX-License-Identifier: MIT */
#include "callers/unwind.h"

#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>

#include "base/glibc.h"

#define OWN_MOST 16 /* frames of ours between the program and the unwinder at most; a checked malloc has 9 */

/* Where our own code lies: in the shared library, all of it; in a static program, the section that the Makefile puts the code
 * of libmyalloc.a in. The linker names the bounds of both. The shared library has that section, too, because unwind_capture is
 * put there by name; otherwise the linker would not know the names of its bounds. */
#define OWN_SECTION "myalloc_text"
extern HIDDEN const char __ehdr_start[], _end[], __start_myalloc_text[], __stop_myalloc_text[];

extern int __cxa_atexit(void (*function)(void *), void *argument, void *dso);

/* The unwinder's own look-up of the unwind tables for an address. Static programs have it. */
extern const void *_Unwind_Find_FDE(void *code, void *bases) __attribute__((weak));

static _Atomic bool wanted;            /* unwind_prepare has been called */
static _Atomic bool ready;             /* the unwinder is loaded and has its tables */
THREAD_LOCAL const void *unwind_caller;
static THREAD_LOCAL bool unwinding;    /* this thread is in the unwinder, by a call of ours (I1) */
static uintptr_t unwinder_start, unwinder_end; /* libgcc_s in memory, once it is loaded */

static bool is_own(const void *address) {
    uintptr_t a = (uintptr_t)address;
    if (MYALLOC_STATIC)
        return a > (uintptr_t)__start_myalloc_text && a <= (uintptr_t)__stop_myalloc_text;
    return a > (uintptr_t)__ehdr_start && a <= (uintptr_t)_end;
}

static unsigned run_unwinder(void **frames, unsigned most) {
    int saved = errno;
    unwinding = true;
    int count = backtrace(frames, (int)most);
    unwinding = false;
    errno = saved;
    return count > 0 ? (unsigned)count : 0;
}

static void stop_capturing(void *unused) {
    (void)unused;
    atomic_store(&wanted, false);
    atomic_store(&ready, false);
}

/* The unwinder aborts where it finds no tables for the code that calls it. A static program hands the tables over in a
 * constructor, before which other constructors run. */
static bool has_tables(void) {
    void *bases[3];
    if (!MYALLOC_STATIC || _Unwind_Find_FDE == NULL)
        return true;
    unwinding = true;
    bool found = _Unwind_Find_FDE((char *)(uintptr_t)backtrace + 1, bases) != NULL;
    unwinding = false;
    return found;
}

/* dl_iterate_phdr calls this for each module, until it returns something else than 0. */
static int find_unwinder(struct dl_phdr_info *module, size_t size, void *unused) {
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

static bool prepare_slow(void) {
    void *frame;
    if (!atomic_load(&wanted) || !has_tables())
        return false;
    run_unwinder(&frame, 1);
    dl_iterate_phdr(find_unwinder, NULL);
    /* At its very end a static program takes its tables back, and calls free while it holds the unwinder's lock: a capture in
     * that free would wait for this very thread. */
    if (MYALLOC_STATIC && !atomic_exchange(&ready, true))
        __cxa_atexit(stop_capturing, NULL, NULL);
    atomic_store(&ready, true);
    return true;
}

void unwind_prepare(void) {
    atomic_store(&wanted, true);
    if (!unwinding && !atomic_load(&ready))
        prepare_slow();
}

/* A shared library is ready after unwind_prepare or never: to load libgcc_s here might be inside the loader's malloc. A static
 * program loads nothing, and may get its tables later. */
static bool is_ready(void) {
    return LIKELY(atomic_load_explicit(&ready, memory_order_acquire)) || (MYALLOC_STATIC && prepare_slow());
}

bool unwind_inside(void) {
    return unwinding || (uintptr_t)unwind_caller - unwinder_start < unwinder_end - unwinder_start;
}

__attribute__((section(OWN_SECTION))) NOINLINE unsigned unwind_capture(void **frames, unsigned most, unsigned skip) {
    if (unwind_inside() || !is_ready())
        return 0;
    void *all[UNWIND_MOST + OWN_MOST];
    most = (unsigned)min_size(most, UNWIND_MOST);
    skip = (unsigned)min_size(skip, OWN_MOST);
    unsigned first = 0, count = 0;
    unsigned found = run_unwinder(all, (unsigned)min_size(most + skip + OWN_MOST, UNWIND_MOST + OWN_MOST));
    while (first < found && is_own(all[first]))
        first++;
    for (first += skip; first < found && count < most; first++)
        frames[count++] = all[first];
    return count;
}

void unwind_fork_reset(void) {
    if (MYALLOC_STATIC)
        stop_capturing(NULL);
}
