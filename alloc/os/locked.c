/* SPDX-License-Identifier: MIT */
/* Memory that the program has locked (mlock, mlockall): the kernel does not take it back by MADV_DONTNEED. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "os/kernel.h"
#include "os/os.h"
#include "os/os_fault.h"

/* From headers of the kernel, which need not be there. */
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif

static int advise(void *addr, size_t bytes, int advice) {
    return kernel_error(kernel(SYS_madvise, addr, bytes, advice));
}

static bool lock_when_touched(void *addr, size_t bytes) {
    return kernel(SYS_mlock2, addr, bytes, MLOCK_ONFAULT) == 0;
}

/* Before Linux 5.18: unlocked meanwhile. First the pages become such that they are locked when they are touched, which gives
 * them a mapping of their own: if the kernel has no room for that, all stays as it is, and once it has, locking them again
 * needs no more room. Should it fail all the same, they are at least locked as the program wanted. */
static bool purge_unlocked(void *addr, size_t bytes) {
    if (!lock_when_touched(addr, bytes) || kernel(SYS_munlock, addr, bytes) != 0)
        return false;
    bool purged = advise(addr, bytes, MADV_DONTNEED) == 0;
    if (!lock_when_touched(addr, bytes))
        kernel(SYS_mlock, addr, bytes);
    return purged;
}

/* A kernel that does not know MADV_DONTNEED_LOCKED says EINVAL; and of MADV_DONTNEED it says so if the pages are locked. */
static bool purge(void *addr, size_t bytes) {
    int error = advise(addr, bytes, MADV_DONTNEED_LOCKED);
    if (error == EINVAL)
        error = advise(addr, bytes, MADV_DONTNEED);
    return error == 0 || (error == EINVAL && purge_unlocked(addr, bytes));
}

/* As os_purge (memory.c). */
bool os_purge_locked(void *addr, size_t bytes) {
    _Atomic uint64_t *word = addr;
    if (os_fault(purge_locked))
        return false;
    uint64_t old = atomic_load_explicit(word, memory_order_relaxed);
    atomic_store_explicit(word, 1, memory_order_relaxed);
    if (purge(addr, bytes) && atomic_load_explicit(word, memory_order_relaxed) == 0) {
        purge(addr, bytes);
        return true;
    }
    atomic_store_explicit(word, old, memory_order_relaxed);
    return false;
}
