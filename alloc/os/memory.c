/* SPDX-License-Identifier: MIT */
/*
 * Address space and memory. MAP_NORESERVE is used only for what is reserved: memory that is handed out is charged as usual,
 * so that a system that does not overcommit refuses the call instead of killing the program later.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/os.h"
#include "os/os_fault.h"

/* From headers of the kernel, which need not be there. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#define FENCE_PAGES 64

static void *map(void *addr, size_t bytes, int protection, int flags) {
    int saved = errno;
    void *mapped = mmap(addr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    errno = saved;
    return mapped == MAP_FAILED ? NULL : mapped;
}

static bool advise(void *addr, size_t bytes, int advice) {
    int saved = errno;
    int failed = madvise(addr, bytes, advice);
    errno = saved;
    return failed == 0;
}

static bool protect(void *addr, size_t bytes, int protection) {
    int saved = errno;
    int failed = mprotect(addr, bytes, protection);
    errno = saved;
    return failed == 0;
}

/* ---- the break and mappings -------------------------------------------------------------------------------------- */

void *os_sbrk(intptr_t delta) {
    if ((delta > 0 && os_fault(sbrk)) || (delta < 0 && os_fault(shrink)))
        return NULL;
    int saved = errno;
    void *old = sbrk(delta);
    errno = saved;
    return old == (void *)-1 ? NULL : old;
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
    int saved = errno;
    int failed = munmap(addr, bytes);
    errno = saved;
    return failed == 0;
}

void *os_remap(void *addr, size_t old_bytes, size_t new_bytes, bool may_move) {
    if ((new_bytes > old_bytes && os_fault(remap)) || (new_bytes < old_bytes && os_fault(cut)))
        return NULL;
    int saved = errno;
    void *moved = mremap(addr, old_bytes, new_bytes, may_move ? MREMAP_MAYMOVE : 0);
    errno = saved;
    return moved == MAP_FAILED ? NULL : moved;
}

void *os_steal(void *addr, size_t bytes) {
    if (os_fault(steal))
        return NULL;
    int saved = errno;
    /* With this flag the kernel looks at the new address, a hint, which glibc passes on as it finds it. */
    void *moved = mremap(addr, bytes, bytes, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    errno = saved;
    return moved == MAP_FAILED ? NULL : moved;
}

void os_put_back(void *moved, void *addr, size_t bytes) {
    int saved = errno;
    if (os_fault(put_back) ||
        mremap(moved, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, addr) == MAP_FAILED) {
        memcpy(addr, moved, bytes);
        munmap(moved, bytes);
    }
    errno = saved;
}

/* Before Linux 4.17 the kernel takes the address for a wish and may map elsewhere. */
void os_fence_below(const void *p) {
    if (os_fault(fence))
        return;
    int saved = errno;
    char *page = (char *)align_down((uintptr_t)p, OS_PAGE);
    for (int i = 0; i < FENCE_PAGES; i++) {
        page -= OS_PAGE;
        void *got = map(page, OS_PAGE, PROT_NONE, MAP_FIXED_NOREPLACE);
        if (got == page)
            break;
        if (got != NULL)
            munmap(got, OS_PAGE);
    }
    errno = saved;
}

/* ---- reserve, commit, decommit ----------------------------------------------------------------------------------- */

static void *reserve(size_t bytes, int protection) {
    void *addr = map(NULL, bytes, protection, MAP_NORESERVE);
    if (addr != NULL)
        advise(addr, bytes, MADV_DONTDUMP);
    return addr;
}

void *os_reserve(size_t bytes) {
    return os_fault(reserve) ? NULL : reserve(bytes, PROT_NONE);
}

void *os_reserve_zeros(size_t bytes) {
    return os_fault(reserve_zeros) ? NULL : reserve(bytes, PROT_READ);
}

bool os_commit(void *addr, size_t bytes) {
    if (os_fault(commit) || !protect(addr, bytes, PROT_READ | PROT_WRITE))
        return false;
    advise(addr, bytes, MADV_DODUMP);
    return true;
}

/* A new mapping in its place, because mprotect would leave the memory charged where the system does not overcommit; made as
 * os_reserve makes it, so that the kernel joins it to the reserved pages beside it. */
bool os_decommit(void *addr, size_t bytes) {
    if (os_fault(decommit) || map(addr, bytes, PROT_NONE, MAP_NORESERVE | MAP_FIXED) == NULL)
        return false;
    advise(addr, bytes, MADV_DONTDUMP);
    return true;
}

bool os_purge(void *addr, size_t bytes) {
    return !os_fault(purge) && advise(addr, bytes, MADV_DONTNEED);
}

bool os_readonly(void *addr, size_t bytes) {
    return !os_fault(readonly) && protect(addr, bytes, PROT_READ);
}

bool os_guard_install(void *addr, size_t bytes) {
    return !os_fault(guard_install) && advise(addr, bytes, MADV_GUARD_INSTALL);
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

void os_no_hugepage(void *addr, size_t bytes) {
    advise(addr, bytes, MADV_NOHUGEPAGE);
}

bool os_read_memory(const void *from, void *out, size_t bytes) {
    if (os_fault(read_memory))
        return false;
    int saved = errno;
    struct iovec source = {(void *)(uintptr_t)from, bytes}, target = {out, bytes};
    ssize_t got = process_vm_readv(getpid(), &target, 1, &source, 1, 0);
    errno = saved;
    return got >= 0 && (size_t)got == bytes;
}
