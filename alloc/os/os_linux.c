/* SPDX-License-Identifier: MIT */
/* The OS layer on Linux. MAP_NORESERVE is used only for reservations: memory handed out is charged as usual, so that a
 * system that does not overcommit refuses the call instead of killing the program later. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/glibc.h"
#include "os/os_fault.h"

/* From headers of the kernel, which need not be there. */
#ifndef FUTEX_WAIT_PRIVATE
#define FUTEX_WAIT_PRIVATE (0 | 128)
#define FUTEX_WAKE_PRIVATE (1 | 128)
#endif
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
#define KEPT_FD_LEAST 100
#define FENCE_PAGES 64

#ifndef __x86_64__
size_t os_page_bytes(void) {
    static _Atomic size_t bytes;
    size_t known = atomic_load_explicit(&bytes, memory_order_relaxed);
    if (UNLIKELY(known == 0)) {
        known = getauxval(AT_PAGESZ);
        atomic_store_explicit(&bytes, known, memory_order_relaxed);
    }
    return known;
}
#endif

void *os_sbrk(intptr_t delta) {
    if ((delta > 0 && os_fault(sbrk)) || (delta < 0 && os_fault(shrink)))
        return NULL;
    int saved = errno;
    void *old = sbrk(delta);
    errno = saved;
    return old == (void *)-1 ? NULL : old;
}

static void *map(size_t bytes, int protection, int flags) {
    int saved = errno;
    void *addr = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    errno = saved;
    return addr == MAP_FAILED ? NULL : addr;
}

void *os_map(size_t bytes) {
    return os_fault(map) ? NULL : map(bytes, PROT_READ | PROT_WRITE, 0);
}

static bool advise(void *addr, size_t bytes, int advice) {
    int saved = errno;
    int failed = madvise(addr, bytes, advice);
    errno = saved;
    return failed == 0;
}

void *os_reserve(size_t bytes) {
    void *addr = os_fault(reserve) ? NULL : map(bytes, PROT_READ, MAP_NORESERVE);
    if (addr != NULL)
        advise(addr, bytes, MADV_DONTDUMP);
    return addr;
}

void *os_reserve_shut(size_t bytes) {
    void *addr = os_fault(reserve_shut) ? NULL : map(bytes, PROT_NONE, MAP_NORESERVE);
    if (addr != NULL)
        advise(addr, bytes, MADV_DONTDUMP);
    return addr;
}

static bool protect(void *addr, size_t bytes, int protection) {
    int saved = errno;
    int failed = mprotect(addr, bytes, protection);
    errno = saved;
    return failed == 0;
}

bool os_commit(void *addr, size_t bytes) {
    bool done = !os_fault(commit) && protect(addr, bytes, PROT_READ | PROT_WRITE);
    if (done)
        advise(addr, bytes, MADV_DODUMP);
    return done;
}

/* A new mapping in its place, because mprotect would leave the memory charged where the system does not overcommit; as
 * os_reserve_shut makes it, so that the kernel joins it to what is shut beside it. */
bool os_shut(void *addr, size_t bytes) {
    if (os_fault(shut))
        return false;
    int saved = errno;
    void *shut = mmap(addr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    errno = saved;
    if (shut != MAP_FAILED)
        advise(addr, bytes, MADV_DONTDUMP);
    return shut != MAP_FAILED;
}

bool os_seal(void *addr, size_t bytes) {
    return !os_fault(seal) && protect(addr, bytes, PROT_READ);
}

struct relro {
    uintptr_t inside, start, end;
};

static int look_for_relro(struct dl_phdr_info *module, size_t size, void *data) {
    struct relro *relro = data;
    (void)size;
    for (int i = 0; i < module->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &module->dlpi_phdr[i];
        uintptr_t start = module->dlpi_addr + header->p_vaddr;
        if (header->p_type != PT_GNU_RELRO || relro->inside - start >= header->p_memsz)
            continue;
        /* As the loader rounds: a page that is shared with other data stays writable. */
        relro->start = align_down(start, OS_PAGE);
        relro->end = align_down(start + header->p_memsz, OS_PAGE);
    }
    return relro->end != 0;
}

bool os_find_relro(const void *inside, void **start, size_t *bytes) {
    struct relro relro = {.inside = (uintptr_t)inside};
    dl_iterate_phdr(look_for_relro, &relro);
    *start = (void *)relro.start;
    *bytes = relro.end - relro.start;
    return relro.end > relro.inside;
}

bool os_protect(void *addr, size_t bytes, bool open) {
    if (os_fault(protect) || !protect(addr, bytes, open ? PROT_READ | PROT_WRITE : PROT_NONE))
        return false;
    advise(addr, bytes, open ? MADV_DODUMP : MADV_DONTDUMP);
    return true;
}

bool os_guard(void *addr, size_t bytes) {
    return !os_fault(guard) && advise(addr, bytes, MADV_GUARD_INSTALL);
}

bool os_unguard(void *addr, size_t bytes) {
    return !os_fault(unguard) && advise(addr, bytes, MADV_GUARD_REMOVE);
}

void os_fence_below(const void *p) {
    if (os_fault(fence))
        return;
    int saved = errno;
    char *page = (char *)align_down((uintptr_t)p, OS_PAGE);
    for (int i = 0; i < FENCE_PAGES; i++) {
        page -= OS_PAGE;
        void *got = mmap(page, OS_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (got == page)
            break;
        if (got != MAP_FAILED) /* before Linux 4.17 the address is but a wish */
            munmap(got, OS_PAGE);
    }
    errno = saved;
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

bool os_purge(void *addr, size_t bytes) {
    return !os_fault(purge) && advise(addr, bytes, MADV_DONTNEED);
}

bool os_populate(void *addr, size_t bytes) {
    return !os_fault(populate) && advise(addr, bytes, MADV_POPULATE_WRITE);
}

bool os_hugepage(void *addr, size_t bytes) {
    return !os_fault(hugepage) && advise(addr, bytes, MADV_HUGEPAGE);
}

void os_no_hugepage(void *addr, size_t bytes) {
    advise(addr, bytes, MADV_NOHUGEPAGE);
}

void os_futex_wait(_Atomic uint32_t *word, uint32_t value) {
    int saved = errno;
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
    errno = saved;
}

void os_futex_wake(_Atomic uint32_t *word) {
    int saved = errno;
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    errno = saved;
}

uint64_t os_clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t os_process_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t os_clock_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

size_t os_address_limit(void) {
    struct rlimit limit;
    int saved = errno;
    int failed = getrlimit(RLIMIT_AS, &limit);
    errno = saved;
    return failed != 0 || limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : (size_t)limit.rlim_cur;
}

/* What the process was given at its start, the time, and where this call stands: hard to guess, and new at each call. */
static void random_without_kernel(unsigned char *out, size_t bytes) {
    static _Atomic uint64_t calls;
    const unsigned char *given = (const unsigned char *)getauxval(AT_RANDOM);
    uint64_t seed[2] = {0, 0};
    struct timespec now;
    if (given != NULL)
        memcpy(seed, given, sizeof seed);
    for (size_t i = 0; i < bytes; i++) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        uint64_t mixed = seed[i % 2] ^ ((uint64_t)now.tv_nsec << 32) ^ (uint64_t)now.tv_sec ^ (uintptr_t)&now ^
                         ((uint64_t)getpid() << 16) ^ ++calls;
        mixed = (mixed ^ mixed >> 31) * UINT64_C(0x9e3779b97f4a7c15);
        mixed = (mixed ^ mixed >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
        seed[i % 2] += mixed;
        out[i] ^= (unsigned char)(mixed >> 56);
    }
}

/* Early in a system's life the kernel may not be ready; nobody may wait for that in malloc. */
void os_random(void *out, size_t bytes) {
    int saved = errno;
    size_t done = 0;
    memset(out, 0, bytes);
    while (done < bytes) {
        long got = os_fault(random) ? 0 : syscall(SYS_getrandom, (char *)out + done, bytes - done, GRND_NONBLOCK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    if (done < bytes)
        random_without_kernel(out, bytes);
    errno = saved;
}

bool os_is_secure(void) {
    return getauxval(AT_SECURE) != 0;
}

size_t os_read_file(const char *path, char *out, size_t room) {
    int saved = errno, fd = os_fault(read_file) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    size_t length = 0;
    ssize_t got = fd < 0 ? -1 : 1;
    while (got > 0 && length < room) {
        got = read(fd, out + length, room - length);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            length += (size_t)got;
    }
    if (fd >= 0)
        close(fd);
    errno = saved;
    return length;
}

int os_create(const char *path) {
    if (os_fault(create))
        return -1;
    int saved = errno, fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
    errno = saved;
    return fd;
}

void os_close(int fd) {
    int saved = errno;
    close(fd);
    errno = saved;
}

int os_process_id(void) {
    return (int)getpid();
}

int os_thread_id(void) {
    return (int)syscall(SYS_gettid);
}

void os_signal(int number, const struct sigaction *action, struct sigaction *old) {
    int saved = errno;
    sigaction(number, action, old);
    errno = saved;
}

void os_raise(int number) {
    int saved = errno;
    syscall(SYS_tgkill, getpid(), os_thread_id(), number);
    errno = saved;
}

#if defined(__x86_64__)
/* Bits of a page fault's error code. */
enum os_access os_access(const void *context) {
    greg_t error = ((const ucontext_t *)context)->uc_mcontext.gregs[REG_ERR];
    return error & 16 ? OS_EXECUTE : error & 2 ? OS_WRITE : OS_READ;
}
#elif defined(__aarch64__)
/* The kernel adds a record of the fault: its magic number and size, then the syndrome register. */
enum os_access os_access(const void *context) {
    const ucontext_t *user = context;
    const unsigned char *at = user->uc_mcontext.__reserved, *end = at + sizeof user->uc_mcontext.__reserved;
    for (uint32_t head[2]; at + 16 <= end; at += head[1]) {
        uint64_t syndrome;
        memcpy(head, at, sizeof head);
        memcpy(&syndrome, at + sizeof head, sizeof syndrome);
        if (head[0] == 0x45535201) /* classes 0x20 and 0x21 are instruction aborts, bit 6 tells a write */
            return (syndrome >> 26 & 0x3e) == 0x20 ? OS_EXECUTE : syndrome & 64 ? OS_WRITE : OS_READ;
        if (head[1] < sizeof head)
            break;
    }
    return OS_ACCESS;
}
#else
enum os_access os_access(const void *context) {
    (void)context;
    return OS_ACCESS;
}
#endif

static bool describe(int fd, uint64_t *device, uint64_t *inode) {
    struct stat status;
    if (fstat(fd, &status) != 0)
        return false;
    *device = status.st_dev;
    *inode = status.st_ino;
    return true;
}

static bool is_ours(const struct os_file *file) {
    uint64_t device, inode;
    return describe(file->fd, &device, &inode) && device == file->device && inode == file->inode;
}

int os_file_create(struct os_file *file, const char *path) {
    if (os_fault(file_create))
        return ENOMEM;
    int saved = errno, error = 0;
    do
        file->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
    while (file->fd < 0 && errno == EINTR);
    if (file->fd < 0 || !describe(file->fd, &file->device, &file->inode))
        error = errno;
    errno = saved;
    return error;
}

static int write_all(int fd, const char *text, size_t bytes) {
    while (bytes > 0) {
        ssize_t done = write(fd, text, bytes);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? errno : ENOSPC;
        text += done;
        bytes -= (size_t)done;
    }
    return 0;
}

int os_write(int fd, const char *text, size_t bytes) {
    if (os_fault(write))
        return ENOSPC;
    int saved = errno, error = write_all(fd, text, bytes);
    errno = saved;
    return error;
}

int os_file_write(const struct os_file *file, const char *text, size_t bytes) {
    if (os_fault(file_write))
        return ENOSPC;
    int saved = errno;
    int error = is_ours(file) ? write_all(file->fd, text, bytes) : EBADF;
    errno = saved;
    return error;
}

void os_file_close(const struct os_file *file) {
    int saved = errno;
    if (is_ours(file))
        close(file->fd);
    errno = saved;
}

void os_file_keep(struct os_file *kept, int fd) {
    int saved = errno;
    /* A number that programs do not count on. */
    kept->fd = fcntl(fd, F_DUPFD_CLOEXEC, KEPT_FD_LEAST);
    if (kept->fd >= 0)
        describe(kept->fd, &kept->device, &kept->inode);
    errno = saved;
}

void os_file_put_back(const struct os_file *kept, int fd) {
    int saved = errno;
    if (fcntl(fd, F_GETFD) < 0 && is_ours(kept))
        dup2(kept->fd, fd);
    errno = saved;
}

int os_open_read(const char *path) {
    if (os_fault(open_read))
        return -1;
    int saved = errno, fd;
    do
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    while (fd < 0 && errno == EINTR);
    errno = saved;
    return fd;
}

size_t os_read_at(int fd, void *out, size_t bytes, uint64_t offset) {
    if (os_fault(read_at))
        return 0;
    int saved = errno;
    size_t got = 0;
    while (got < bytes) {
        ssize_t some = pread(fd, (char *)out + got, bytes - got, (off_t)(offset + got));
        if (some < 0 && errno == EINTR)
            continue;
        if (some <= 0)
            break;
        got += (size_t)some;
    }
    errno = saved;
    return got;
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

const char *os_error_text(int error) {
    const char *text = error_description(error);
    return text ? text : "unknown error";
}

_Noreturn void os_abort(void) {
    abort();
}
