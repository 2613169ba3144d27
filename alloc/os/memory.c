/* SPDX-License-Identifier: MIT */
/*
 * Address space and memory. MAP_NORESERVE is used only for what is reserved: memory that is handed out is charged as usual,
 * so that a system that does not overcommit refuses the call instead of killing the program later.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>

#include "base/glibc.h"
#include "os/kernel.h"
#include "os/os.h"
#include "os/os_fault.h"

/* From headers of the kernel, which need not be there. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#define FENCE_PAGES 64

static void *map(void *addr, size_t bytes, int protection, int flags) {
    long mapped = kernel(SYS_mmap, addr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    return kernel_refused(mapped) ? NULL : (void *)mapped;
}

static bool unmap(void *addr, size_t bytes) {
    return kernel(SYS_munmap, addr, bytes) == 0;
}

/* `to`: the new address, if the flags say that there is one. */
static void *remap(void *addr, size_t old_bytes, size_t new_bytes, int flags, void *to) {
    long moved = kernel(SYS_mremap, addr, old_bytes, new_bytes, flags, to);
    return kernel_refused(moved) ? NULL : (void *)moved;
}

static bool advise(void *addr, size_t bytes, int advice) {
    return kernel(SYS_madvise, addr, bytes, advice) == 0;
}

static bool protect(void *addr, size_t bytes, int protection) {
    return kernel(SYS_mprotect, addr, bytes, protection) == 0;
}

/* ---- the break and mappings -------------------------------------------------------------------------------------- */

/* libc's own sbrk goes by a copy of the break, which others see as __curbrk. It is kept right, so that callers of sbrk find
 * what we have taken; and each question goes to the kernel, so that we find what others have taken, by whatever way. (libc's
 * sbrk takes a refusal such as EPERM for an address, and may leave that in the copy.) musl has no such copy, and refuses to
 * move the break. */
#if IS_GLIBC
extern void *__curbrk;
#define LIBC_BREAK __curbrk
#else
static void *no_break;
#define LIBC_BREAK no_break
#endif

/* The break, NULL if the kernel does not tell it. */
static void *find_break(void) {
    long now = kernel(SYS_brk, 0);
    if (kernel_refused(now))
        return NULL;
    return LIBC_BREAK = (void *)now;
}

/* Whether this copy of the library may move the break: if its libc is the one that keeps the break for the process, and not
 * that of another namespace (dlmopen, LD_AUDIT), of whose break nobody hears. libc says from its start that there is one
 * thread, but in another namespace never. Asked late, where there are threads, this is false as well, and the heap does
 * without: so it is asked at the start (os_sbrk_prepare). */
static bool owns_break(void) {
    enum { UNKNOWN, YES, NO };
    static _Atomic int owns;
    int known = atomic_load_explicit(&owns, memory_order_relaxed);
    if (UNLIKELY(known == UNKNOWN)) {
        known = __libc_single_threaded ? YES : NO;
        atomic_store_explicit(&owns, known, memory_order_relaxed);
    }
    return known == YES;
}

AT_START void os_sbrk_prepare(void) {
    owns_break();
}

void *os_sbrk(intptr_t delta) {
    if ((delta > 0 && os_fault(sbrk)) || (delta < 0 && os_fault(shrink)) || !owns_break())
        return NULL;
    if (delta == 0)
        return find_break();
    uintptr_t old = (uintptr_t)LIBC_BREAK, wanted = old + (uintptr_t)delta;
    if ((delta > 0) != (wanted > old) || (uintptr_t)kernel(SYS_brk, wanted) != wanted)
        return NULL;
    LIBC_BREAK = (void *)wanted;
    return (void *)old;
}

/* The kernel aligns a mapping to a page and no further, so the mapping is made longer and its ends are cut off. */
void *os_map(size_t bytes, size_t align, bool (*cut)(void *addr, size_t bytes)) {
    size_t slack = align > OS_PAGE ? align : 0;
    if (os_fault(map) || bytes + slack < bytes)
        return NULL;
    char *raw = map(NULL, bytes + slack, PROT_READ | PROT_WRITE, 0);
    if (raw == NULL || slack == 0)
        return raw;
    char *start = (char *)align_up((uintptr_t)raw, align);
    if (start > raw)
        cut(raw, (size_t)(start - raw));
    if (raw + slack > start)
        cut(start + bytes, (size_t)(raw + slack - start));
    return start;
}

bool os_unmap(void *addr, size_t bytes) {
    if (os_fault(unmap))
        return false;
    return unmap(addr, bytes);
}

void *os_remap(void *addr, size_t old_bytes, size_t new_bytes, bool may_move) {
    if ((new_bytes > old_bytes && os_fault(remap)) || (new_bytes < old_bytes && os_fault(cut)))
        return NULL;
    return remap(addr, old_bytes, new_bytes, may_move ? MREMAP_MAYMOVE : 0, NULL);
}

/* Whether the kernel can read there. It looks at the set of signals before it finds that -1 is nothing to do with one. */
static bool is_readable(const void *word) {
    return kernel_error(kernel(SYS_rt_sigprocmask, -1, word, NULL, sizeof(uint64_t))) != EFAULT;
}

/* What an emulator of the kernel (qemu-user) does not know it may well answer with yes. Such an answer is looked into once. */
enum proof { UNPROVED, TRUE, FALSE };

static bool is_refuted(const _Atomic int *proof) {
    return atomic_load_explicit(proof, memory_order_relaxed) == FALSE;
}

/* Settles what is not settled yet. Returns whether it is true. */
static bool prove(_Atomic int *proof, bool holds) {
    int unproved = UNPROVED;
    atomic_compare_exchange_strong(proof, &unproved, holds ? TRUE : FALSE);
    return !is_refuted(proof);
}

/* Under qemu-user nothing is left behind in the emulator's eyes: reads by the program work, system calls with that memory fail,
 * and madvise passes over it. */
void *os_steal(void *addr, size_t bytes) {
    static _Atomic int leaves;
    if (os_fault(steal) || is_refuted(&leaves))
        return NULL;
    void *moved = remap(addr, bytes, bytes, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    if (moved == NULL || atomic_load_explicit(&leaves, memory_order_relaxed) == TRUE || prove(&leaves, is_readable(addr)))
        return moved;
    os_put_back(moved, addr, bytes);
    return NULL;
}

void os_put_back(void *moved, void *addr, size_t bytes) {
    if (!os_fault(put_back) && remap(moved, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, addr) != NULL)
        return;
    memcpy(addr, moved, bytes);
    unmap(moved, bytes);
}

/* Before Linux 4.17 the kernel takes the address for a wish and may map elsewhere. */
AT_START void os_fence_below(const void *p) {
    if (os_fault(fence))
        return;
    char *page = (char *)align_down((uintptr_t)p, OS_PAGE);
    for (int i = 0; i < FENCE_PAGES; i++) {
        page -= OS_PAGE;
        void *got = map(page, OS_PAGE, PROT_NONE, MAP_FIXED_NOREPLACE);
        if (got == page)
            break;
        if (got != NULL)
            unmap(got, OS_PAGE);
    }
}

/* ---- reserve, commit, decommit ----------------------------------------------------------------------------------- */

void *os_reserve(size_t bytes) {
    void *addr = os_fault(reserve) ? NULL : map(NULL, bytes, PROT_NONE, MAP_NORESERVE);
    if (addr != NULL)
        advise(addr, bytes, MADV_DONTDUMP);
    return addr;
}

/* Without MADV_DONTDUMP: what was never written is in no core dump. */
void *os_reserve_zeros(size_t bytes) {
    return os_fault(reserve_zeros) ? NULL : map(NULL, bytes, PROT_READ, MAP_NORESERVE);
}

/* A new mapping in its place, for a process that may not change the rights of one. A kernel that refuses that may have
 * unmapped what was there; a trial elsewhere shows that there is memory. */
static bool map_anew(void *addr, size_t bytes) {
    void *trial = map(NULL, bytes, PROT_READ | PROT_WRITE, 0);
    if (trial == NULL)
        return false;
    unmap(trial, bytes);
    return map(addr, bytes, PROT_READ | PROT_WRITE, MAP_FIXED) == addr;
}

bool os_commit(void *addr, size_t bytes) {
    if (os_fault(commit) || !(protect(addr, bytes, PROT_READ | PROT_WRITE) || map_anew(addr, bytes)))
        return false;
    advise(addr, bytes, MADV_DODUMP);
    return true;
}

static bool is_zero(const void *page) {
    const uint64_t *words = page;
    uint64_t any = 0;
    for (size_t i = 0; i < OS_PAGE / sizeof *words; i++)
        any |= words[i];
    return any == 0;
}

/* A page that holds something has been committed before. */
bool os_commit_zeros(void *addr, size_t bytes) {
    if (os_fault(commit_zeros))
        return false;
    bool done = protect(addr, bytes, PROT_READ | PROT_WRITE);
    for (char *page = addr; !done && page < (char *)addr + bytes; page += OS_PAGE)
        if (is_zero(page) && !map_anew(page, OS_PAGE))
            return false;
    return true;
}

bool os_writable(void *addr, size_t bytes) {
    return !os_fault(writable) && protect(addr, bytes, PROT_READ | PROT_WRITE);
}

/* A new mapping in its place, because mprotect would leave the memory charged where the system does not overcommit; made as
 * os_reserve makes it, so that the kernel joins it to the reserved pages beside it. */
bool os_decommit(void *addr, size_t bytes) {
    if (os_fault(decommit) || map(addr, bytes, PROT_NONE, MAP_NORESERVE | MAP_FIXED) == NULL)
        return false;
    advise(addr, bytes, MADV_DONTDUMP);
    return true;
}

/* Of the first page one word is written before, so that it can be seen whether the kernel has done what it says. Some kernels
 * have no page of zeros to show to who only looks, but take memory for it, and where huge pages were asked for, a huge one: so
 * once it was seen, the memory is given back again. */
bool os_purge(void *addr, size_t bytes) {
    _Atomic uint64_t *word = addr;
    if (os_fault(purge))
        return false;
    atomic_store_explicit(word, 1, memory_order_relaxed);
    if (!advise(addr, bytes, MADV_DONTNEED) || atomic_load_explicit(word, memory_order_relaxed) != 0)
        return false;
    advise(addr, bytes, MADV_DONTNEED);
    return true;
}

bool os_discard(void *addr, size_t bytes) {
    return !os_fault(discard) && advise(addr, bytes, MADV_DONTNEED);
}

bool os_readonly(void *addr, size_t bytes) {
    return !os_fault(readonly) && protect(addr, bytes, PROT_READ);
}

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

void os_seal(void *addr, size_t bytes) {
    kernel(SYS_mseal, addr, bytes, 0);
}

bool os_guard_install(void *addr, size_t bytes) {
    static _Atomic int guards;
    if (os_fault(guard_install) || is_refuted(&guards) || !advise(addr, bytes, MADV_GUARD_INSTALL))
        return false;
    return atomic_load_explicit(&guards, memory_order_relaxed) == TRUE || prove(&guards, !is_readable(addr));
}

bool os_guard_remove(void *addr, size_t bytes) {
    return !os_fault(guard_remove) && advise(addr, bytes, MADV_GUARD_REMOVE);
}

/* ---- how memory is backed ---------------------------------------------------------------------------------------- */

bool os_populate(void *addr, size_t bytes) {
    return !os_fault(populate) && advise(addr, bytes, MADV_POPULATE_WRITE);
}

bool os_hugepage(void *addr, size_t bytes) {
    return !os_fault(hugepage) && advise(addr, bytes, MADV_HUGEPAGE);
}

int os_collapse(void *addr, size_t bytes) {
    return os_fault(collapse) ? ENOMEM : kernel_error(kernel(SYS_madvise, addr, bytes, MADV_COLLAPSE));
}

/* 3 is an answer since Linux 6.18: none but where they are asked for, as they are here. */
bool os_huge_disabled(void) {
    return kernel(SYS_prctl, PR_GET_THP_DISABLE) == 1;
}

void os_no_hugepage(void *addr, size_t bytes) {
    advise(addr, bytes, MADV_NOHUGEPAGE);
}

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

void os_name_memory(void *addr, size_t bytes, const char *name) {
    kernel(SYS_prctl, PR_SET_VMA, PR_SET_VMA_ANON_NAME, addr, bytes, name);
}

bool os_can_read(const void *word) {
    return !os_fault(can_read) && kernel_error(kernel(SYS_rt_sigprocmask, -1, word, NULL, sizeof(uint64_t))) == EINVAL;
}

bool os_read_memory(const void *from, void *out, size_t bytes) {
    if (os_fault(read_memory))
        return false;
    struct iovec source = {(void *)(uintptr_t)from, bytes}, target = {out, bytes};
    long got = kernel(SYS_process_vm_readv, kernel(SYS_getpid), &target, 1, &source, 1, 0);
    return !kernel_refused(got) && (size_t)got == bytes;
}
