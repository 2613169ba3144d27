/* SPDX-License-Identifier: MIT */
/* Waiting, clocks, randomness, and what the process is: its number, its limits, its signals, its modules. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "base/arch_call.h"
#include "base/arch_fault.h"
#include "base/glibc.h"
#include "os/kernel.h"
#include "os/os.h"
#include "os/os_fault.h"

/* ---- the processor ------------------------------------------------------------------------------------------------ */

extern const ptrdiff_t __rseq_offset __attribute__((weak, visibility("default")));

unsigned os_processor(void) {
    if (UNLIKELY(&__rseq_offset == NULL))
        return 0;
    return *(volatile const unsigned *)((char *)__builtin_thread_pointer() + __rseq_offset); /* cpu_id_start */
}

/* From headers of the kernel, which need not be there. */
#ifndef FUTEX_WAIT_PRIVATE
#define FUTEX_WAIT_PRIVATE (0 | 128)
#define FUTEX_WAKE_PRIVATE (1 | 128)
#endif

#define ABORTED 127 /* exit status of a process that does not end by SIGABRT, as the first of a container does not */

#if ARCH_PAGE_VARIES
size_t os_page_bytes(void) {
    static _Atomic size_t bytes;
    size_t known = atomic_load_explicit(&bytes, memory_order_relaxed);
    if (UNLIKELY(known == 0)) {
        known = kernel_given(AT_PAGESZ);
        atomic_store_explicit(&bytes, known, memory_order_relaxed);
    }
    return known;
}
#endif

#define WAIT_MS 50 /* a thread that is not woken, because the kernel refuses that by now, looks by itself after so long */

/* Where the kernel refuses to let it sleep, the thread lets others run. EAGAIN is no refusal: it tells that the word has
 * changed, and a filter of system calls that lets futex(2) through need not know sched_yield(2). */
void os_futex_wait(_Atomic uint32_t *word, uint32_t value) {
    struct timespec most = {0, WAIT_MS * 1000000};
    int error = kernel_error(kernel(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &most));
    if (error != 0 && error != ETIMEDOUT && error != EINTR && error != EAGAIN)
        kernel(SYS_sched_yield);
}

bool os_futex_sleep(_Atomic uint32_t *word, uint32_t value, uint64_t ms) {
    if (os_fault(futex_sleep))
        return false;
    struct timespec most = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    int error = kernel_error(kernel(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &most));
    return error == 0 || error == ETIMEDOUT || error == EINTR || error == EAGAIN;
}

void os_futex_wake(_Atomic uint32_t *word) {
    kernel(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1);
}

static uint64_t in_units_of(clockid_t clock, uint64_t ns) {
    struct timespec now;
    kernel_time(clock, &now);
    return (uint64_t)now.tv_sec * (1000000000 / ns) + (uint64_t)now.tv_nsec / ns;
}

uint64_t os_clock_ms(void) {
    return in_units_of(CLOCK_MONOTONIC_COARSE, 1000000);
}

uint64_t os_clock_us(void) {
    return in_units_of(CLOCK_MONOTONIC, 1000);
}

uint64_t os_process_ms(void) {
    return in_units_of(CLOCK_PROCESS_CPUTIME_ID, 1000000);
}

uint64_t os_thread_us(void) {
    return in_units_of(CLOCK_THREAD_CPUTIME_ID, 1000);
}

/* What the process was given at its start, the time, and where this call stands: hard to guess, and new at each call. */
static void random_without_kernel(unsigned char *out, size_t bytes) {
    static _Atomic uint64_t calls;
    const unsigned char *given = (const unsigned char *)kernel_given(AT_RANDOM);
    uint64_t seed[2] = {0, 0};
    struct timespec now;
    if (given != NULL)
        memcpy(seed, given, sizeof seed);
    for (size_t i = 0; i < bytes; i++) {
        kernel_time(CLOCK_MONOTONIC, &now);
        uint64_t mixed = seed[i % 2] ^ ((uint64_t)now.tv_nsec << 32) ^ (uint64_t)now.tv_sec ^ (uintptr_t)&now ^
                         ((uint64_t)os_process_id() << 16) ^ ++calls;
        mixed = (mixed ^ mixed >> 31) * UINT64_C(0x9e3779b97f4a7c15);
        mixed = (mixed ^ mixed >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
        seed[i % 2] += mixed;
        out[i] ^= (unsigned char)(mixed >> 56);
    }
}

/* Early in a system's life the kernel may not be ready; nobody may wait for that in malloc. */
void os_random(void *out, size_t bytes) {
    size_t done = 0;
    memset(out, 0, bytes);
    while (done < bytes) {
        long got = os_fault(random) ? 0 : kernel(SYS_getrandom, (char *)out + done, bytes - done, GRND_NONBLOCK);
        if (got == -EINTR)
            continue;
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    if (done < bytes)
        random_without_kernel(out, bytes);
}

bool os_is_secure(void) {
    return kernel_given(AT_SECURE) != 0;
}

size_t os_address_limit(void) {
    struct rlimit limit;
    bool refused = kernel_refused(kernel(SYS_prlimit64, 0, RLIMIT_AS, NULL, &limit));
    return refused || limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : (size_t)limit.rlim_cur;
}

uintptr_t os_given(unsigned long type) {
    return kernel_given(type);
}

/* "/proc/self/task/4711/comm"; `out` has room for it. */
static void comm_path(int thread, char *out) {
    char digits[12];
    size_t count = 0, at = sizeof "/proc/self/task/" - 1;
    memcpy(out, "/proc/self/task/", at);
    for (unsigned number = (unsigned)thread; number > 0 || count == 0; number /= 10)
        digits[count++] = (char)('0' + number % 10);
    while (count > 0)
        out[at++] = digits[--count];
    memcpy(out + at, "/comm", sizeof "/comm");
}

/* /proc may not be there: the calling thread can say its own name without. */
void os_thread_name(int thread, char *out, size_t room) {
    char path[48], name[17] = ""; /* the kernel's names have at most 15 characters; the file has a newline behind */
    if (os_is_shut_in()) {
        /* whoever kept it says it */
    } else if (thread == os_thread_id()) {
        os_prctl(PR_GET_NAME, (unsigned long)name, 0, 0, 0);
    } else {
        comm_path(thread, path);
        os_read_file(path, name, sizeof name - 1);
    }
    size_t length = min_size(strcspn(name, "\n"), room - 1);
    memcpy(out, name, length);
    out[length] = '\0';
}

#if ARCH_CALLS
/* What the kernel's sigaction(2) takes; libc's structure has room for more signals. */
struct kernel_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};
#define RETURN_GIVEN 0x04000000ul /* SA_RESTORER of the kernel's <asm/signal.h> */

void os_signal(int number, const struct sigaction *action, struct sigaction *old) {
    struct kernel_action ours = {0}, before = {0};
    if (action != NULL) {
        ours.handler = action->sa_handler;
        ours.flags = (unsigned)action->sa_flags | (kernel_signal_return != NULL ? RETURN_GIVEN : 0);
        ours.restorer = kernel_signal_return;
        memcpy(&ours.mask, &action->sa_mask, sizeof ours.mask);
    }
    bool refused = kernel_refused(kernel(SYS_rt_sigaction, number, action != NULL ? &ours : NULL, &before, sizeof ours.mask));
    if (old == NULL)
        return;
    *old = (struct sigaction){.sa_handler = refused ? SIG_DFL : before.handler};
    old->sa_flags = (int)(before.flags & ~RETURN_GIVEN);
    memcpy(&old->sa_mask, &before.mask, sizeof before.mask);
}
#else
void os_signal(int number, const struct sigaction *action, struct sigaction *old) {
    int saved = errno;
    if (sigaction(number, action, old) != 0 && old != NULL)
        *old = (struct sigaction){.sa_handler = SIG_DFL};
    errno = saved;
}
#endif

void os_raise(int number) {
    kernel(SYS_tgkill, kernel(SYS_getpid), kernel(SYS_gettid), number);
}

/* Not every kernel and emulator tells that it was an instruction that could not be read. */
enum arch_access os_access(const void *context, const void *p) {
    return (uintptr_t)p == arch_instruction(context) ? ARCH_EXECUTE : arch_access(context);
}

bool os_access_is_known(const void *context) {
    return arch_address_known(context);
}

uintptr_t os_access_stack(const void *context) {
    return arch_stack_pointer(context);
}

/* The page that the processor runs in is there, but may be one that can only be run. */
static size_t can_read(uintptr_t at, size_t most) {
    size_t here = min_size(most, align_down(at, OS_PAGE) + OS_PAGE - at);
    if (!os_can_read((const void *)align_down(at, OS_PAGE)))
        return 0;
    return here < most && os_can_read((const void *)(at + here)) ? most : here;
}

size_t os_access_bytes(const void *context, const void *p) {
    uint8_t code[ARCH_INSTRUCTION_MOST];
    uintptr_t at = arch_instruction(context);
    size_t length = can_read(at, sizeof code);
    memcpy(code, (const void *)at, length);
    return arch_access_bytes(context, code, length, (uintptr_t)p);
}

static bool has(const struct dl_phdr_info *object, uintptr_t inside) {
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &object->dlpi_phdr[i];
        if (header->p_type == PT_LOAD && inside - object->dlpi_addr - header->p_vaddr < header->p_memsz)
            return true;
    }
    return false;
}

/* As the loader rounds: the page behind RELRO that is shared with other data stays writable. */
static int seal_if_here(struct dl_phdr_info *object, size_t size, void *inside) {
    (void)size;
    if (!has(object, (uintptr_t)inside))
        return 0;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &object->dlpi_phdr[i];
        bool fixed = header->p_type == PT_LOAD && (header->p_flags & PF_W) == 0;
        uintptr_t start = object->dlpi_addr + header->p_vaddr, end = start + header->p_memsz;
        end = fixed ? align_up(end, OS_PAGE) : align_down(end, OS_PAGE);
        start = align_down(start, OS_PAGE);
        if ((fixed || header->p_type == PT_GNU_RELRO) && end > start)
            os_seal((void *)start, end - start);
    }
    return 1;
}

void os_seal_object(const void *inside) {
    dl_iterate_phdr(seal_if_here, (void *)(uintptr_t)inside);
}

const char *os_error_text(int error) {
    const char *text = error_description(error);
    return text ? text : "unknown error";
}

static _Atomic bool aborting;

bool os_is_aborting(void) {
    return aborting;
}

/* As libc's abort, which takes a lock and which a program may have defined: a handler is called once; if it returns, or if the
 * signal is ignored, the process ends all the same. */
_Noreturn void os_abort(void) {
    aborting = true;
    const uint64_t only_abort = UINT64_C(1) << (SIGABRT - 1);
    kernel(SYS_rt_sigprocmask, SIG_UNBLOCK, &only_abort, NULL, sizeof only_abort);
    os_raise(SIGABRT);
    os_signal(SIGABRT, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    os_raise(SIGABRT);
    kernel(SYS_exit_group, ABORTED);
    __builtin_trap();
}
