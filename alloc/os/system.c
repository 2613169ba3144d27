/* SPDX-License-Identifier: MIT */
/* Waiting, clocks, randomness, and what the process is: its number, its limits, its signals, its modules. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/arch_fault.h"
#include "base/glibc.h"
#include "os/os.h"
#include "os/os_fault.h"

/* From headers of the kernel, which need not be there. */
#ifndef FUTEX_WAIT_PRIVATE
#define FUTEX_WAIT_PRIVATE (0 | 128)
#define FUTEX_WAKE_PRIVATE (1 | 128)
#endif

#if ARCH_PAGE_VARIES
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

uint64_t os_clock_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t os_process_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
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

size_t os_address_limit(void) {
    struct rlimit limit;
    int saved = errno;
    int failed = getrlimit(RLIMIT_AS, &limit);
    errno = saved;
    return failed != 0 || limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : (size_t)limit.rlim_cur;
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

enum arch_access os_access(const void *context) {
    return arch_access(context);
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

const char *os_error_text(int error) {
    const char *text = error_description(error);
    return text ? text : "unknown error";
}

_Noreturn void os_abort(void) {
    abort();
}
