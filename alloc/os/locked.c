/* SPDX-License-Identifier: MIT */
/* Memory that the program has locked (mlock, mlockall): the kernel does not take it back by MADV_DONTNEED. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/os.h"
#include "os/os_fault.h"

/* From headers of the kernel, which need not be there. */
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif

static bool lock_when_touched(void *addr, size_t bytes) {
    return syscall(SYS_mlock2, addr, bytes, MLOCK_ONFAULT) == 0;
}

/* Before Linux 5.18: unlocked meanwhile. First the pages become such that they are locked when they are touched, which gives
 * them a mapping of their own: if the kernel has no room for that, all stays as it is, and once it has, locking them again
 * needs no more room. Should it fail all the same, they are at least locked as the program wanted. */
static bool purge_unlocked(void *addr, size_t bytes) {
    if (!lock_when_touched(addr, bytes) || munlock(addr, bytes) != 0)
        return false;
    bool purged = madvise(addr, bytes, MADV_DONTNEED) == 0;
    if (!lock_when_touched(addr, bytes))
        mlock(addr, bytes);
    return purged;
}

bool os_purge_locked(void *addr, size_t bytes) {
    if (os_fault(purge_locked))
        return false;
    int saved = errno;
    bool purged = madvise(addr, bytes, MADV_DONTNEED_LOCKED) == 0;
    /* A kernel that does not know the word says EINVAL; and of MADV_DONTNEED it says so if the pages are locked. */
    if (!purged && errno == EINVAL && !(purged = madvise(addr, bytes, MADV_DONTNEED) == 0) && errno == EINVAL)
        purged = purge_unlocked(addr, bytes);
    errno = saved;
    return purged;
}
