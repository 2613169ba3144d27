/* SPDX-License-Identifier: MIT */
#include "system.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "announced.h"
#include "code.h"
#include "counts.h"
#include "directory.h"
#include "turns.h"

#define PICOSECONDS 1000000000000u

/* What all runs begin with as the time of day. */
enum { FIRST_SECOND = 1700000000 };

static uint64_t random_state;
static unsigned processors;
static void (*at_exit)(void);
static uintptr_t end_word;

void system_start(uint64_t seed, unsigned cpus, void (*call)(void)) {
    random_state = seed;
    processors = cpus;
    at_exit = call;
}

uintptr_t system_end_word(void) {
    return end_word;
}

/* ---- futexes --------------------------------------------------------------------------------------------------------- */

static bool is_wait(uint64_t operation) {
    uint64_t command = operation & FUTEX_CMD_MASK;
    return command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET;
}

static bool is_wake(uint64_t operation) {
    uint64_t command = operation & FUTEX_CMD_MASK;
    return command == FUTEX_WAKE || command == FUTEX_WAKE_BITSET || command == FUTEX_WAKE_OP;
}

/* Read-only memory, too. */
static void write_memory(uintptr_t to, const void *from, size_t size) {
    int memory = open("/proc/self/mem", O_WRONLY | O_CLOEXEC);
    if (memory < 0 || pwrite(memory, from, size, (off_t)to) != (ssize_t)size) {
        perror("cores: /proc/self/mem");
        _exit(1);
    }
    close(memory);
}

/* The machine's clock must not end a wait: the program's timeout is put off by far, or has passed if it has by the core's
 * clock, and is put back when the call returns. Returns when it ends by the core's clock, or 0. */
static uint64_t put_off(struct core *core) {
    static const struct timespec far = {.tv_sec = 4000000000}, passed;
    bool absolute = (core->arguments[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
    if (core->arguments[3] == 0)
        return 0;
    memcpy(&core->timeout, (const void *)core->arguments[3], sizeof core->timeout);
    int64_t seconds = core->timeout.tv_sec - (absolute ? FIRST_SECOND : 0);
    uint64_t time = (uint64_t)(seconds > 0 ? seconds : 0) * PICOSECONDS + (uint64_t)core->timeout.tv_nsec * 1000;
    uint64_t deadline = absolute ? time : core->clock + time;
    if (deadline > core->clock && turn_is_last(core, deadline))
        core->clock = deadline;
    write_memory(core->arguments[3], deadline > core->clock ? &far : &passed, sizeof far);
    return deadline > core->clock ? deadline : 0;
}

static void futex_called(struct core *core) {
    if (is_wait(core->arguments[1]))
        turn_sleep(core, core->arguments[0], put_off(core));
    else
        core->sleepers = turn_sleepers(core->arguments[0]);
}

static void futex_returned(struct core *core, int64_t result) {
    if (is_wait(core->arguments[1])) {
        if (core->arguments[3] != 0)
            write_memory(core->arguments[3], &core->timeout, sizeof core->timeout);
        turn_return(core, result == 0);
        counts.futex_waits[core->calls] += counting && result == 0;
    } else if (is_wake(core->arguments[1]) && result > 0) {
        unsigned woken = (unsigned)result < core->sleepers ? (unsigned)result : core->sleepers;
        turn_await(core->arguments[0], core->sleepers - woken);
        turn_review(core);
    }
}

/* ---- threads --------------------------------------------------------------------------------------------------------- */

__attribute__((noreturn)) static void refuse_fork(void) {
    fputs("cores: the program forks; only threads can be followed\n", stderr);
    _exit(1);
}

static void clone_called(const uint64_t arguments[6]) {
#if defined __x86_64__
    uint64_t clear = arguments[3];
#else
    uint64_t clear = arguments[4];
#endif
    if (!(arguments[0] & CLONE_THREAD))
        refuse_fork();
    end_word = arguments[0] & CLONE_CHILD_CLEARTID ? clear : 0;
}

__attribute__((noreturn)) static void end_program(uint64_t status) {
    at_exit();
    _exit((int)status);
}

/* ---- the allocator's calls ------------------------------------------------------------------------------------------- */

static void call_begins(struct core *core, struct announced_area *area) {
    area->first_processor = area->processor = area->concurrency = core->number;
    core->calls = true;
    core->call_began = core->clock;
    counts.operations += counting;
}

static void call_ends(struct core *core, uintptr_t block, size_t size) {
    counts.call_time += counting ? core->clock - core->call_began : 0;
    core->calls = false;
    lines_announce(block, size);
}

/* ---- answers --------------------------------------------------------------------------------------------------------- */

static void answer_time(const struct core *core, void *to, uint64_t unit) {
    struct timespec time = {(time_t)(FIRST_SECOND + core->clock / PICOSECONDS), (long)(core->clock % PICOSECONDS / unit)};
    if (to != NULL)
        memcpy(to, &time, sizeof time);
}

static void answer_random(unsigned char *to, size_t count) {
    for (size_t i = 0; i < count; i++) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        to[i] = (unsigned char)(random_state >> 56);
    }
}

static void answer_processors(unsigned char *to, size_t bytes) {
    memset(to, 0, bytes);
    for (unsigned i = 0; i < processors && i / 8 < bytes; i++)
        to[i / 8] |= (unsigned char)(1u << i % 8);
}

/* ---- all ------------------------------------------------------------------------------------------------------------- */

/* Calls that may take until another thread or process does something; regular files are always there. */
static bool may_sleep(int64_t number, uint64_t descriptor) {
    struct stat status;
    switch (number) {
    case SYS_read:
        return fstat((int)descriptor, &status) != 0 || !S_ISREG(status.st_mode);
    case SYS_pselect6:
    case SYS_ppoll:
    case SYS_epoll_pwait:
    case SYS_accept:
    case SYS_accept4:
    case SYS_connect:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_wait4:
    case SYS_waitid:
    case SYS_rt_sigsuspend:
    case SYS_rt_sigtimedwait:
#ifdef SYS_poll
    case SYS_poll:
    case SYS_select:
    case SYS_epoll_wait:
    case SYS_pause:
#endif
        return true;
    default:
        return false;
    }
}

/* The kernel has one lock for changes of an address space: these calls follow one another. */
static bool changes_mappings(int64_t number) {
    return number == SYS_mmap || number == SYS_munmap || number == SYS_mprotect || number == SYS_mremap || number == SYS_brk;
}

/* Calls that the kernel's vdso answers without entering the kernel; qemu 7.2 has none, so that they come here. */
static bool is_clock(int64_t number) {
#ifdef SYS_time
    if (number == SYS_time)
        return true;
#endif
    return number == SYS_clock_gettime || number == SYS_gettimeofday || number == SYS_getcpu;
}

static void pay_call(struct core *core, int64_t number) {
    static uint64_t mappings_ready;
    if (is_clock(number)) {
        core->clock += costs.clock;
        return;
    }
    core->clock += costs.system_call;
    if (changes_mappings(number)) {
        core->clock = (mappings_ready > core->clock ? mappings_ready : core->clock) + costs.mapping;
        mappings_ready = core->clock;
    }
    counts.system_calls[core->calls] += counting;
}

void system_called(struct core *core, int64_t number, const uint64_t arguments[6]) {
    core->system_call = number;
    memcpy(core->arguments, arguments, sizeof core->arguments);
    if (number == ANNOUNCED_BEGIN)
        return call_begins(core, (struct announced_area *)arguments[0]);
    if (number == ANNOUNCED_END)
        return call_ends(core, arguments[0], arguments[1]);
    pay_call(core, number);
#ifdef SYS_fork
    if (number == SYS_fork || number == SYS_vfork)
        refuse_fork();
#endif
    if (number == SYS_futex)
        futex_called(core);
    else if (number == SYS_clone)
        clone_called(arguments);
    else if (number == SYS_exit_group || (number == SYS_exit && cores_living() == 1))
        end_program(arguments[0]);
    else if (number == SYS_exit)
        turn_end(core);
    else if (may_sleep(number, arguments[0]))
        turn_sleep(core, 0, 0);
}

/* A sleep takes its time on the core's clock; the turn is kept meanwhile. */
static void slept(struct core *core, const struct timespec *time) {
    if (time != NULL)
        core->clock += (uint64_t)time->tv_sec * PICOSECONDS + (uint64_t)time->tv_nsec * 1000;
}

/* The kernel's fresh pages are in no core's cache. A moved block's lines count as fresh, too. */
static void memory_changed(struct core *core, int64_t number, uintptr_t result) {
    uintptr_t start = number == SYS_mmap ? result : core->arguments[0];
    code_mapped();
    if (number != SYS_madvise || core->arguments[2] == MADV_DONTNEED)
        lines_forget(start, core->arguments[1]);
}

void system_returned(struct core *core, int64_t number, int64_t result) {
    void *first = (void *)core->arguments[0], *second = (void *)core->arguments[1];
    if (number == SYS_futex)
        futex_returned(core, result);
    else if (core->state == CORE_ASLEEP)
        turn_return(core, false);
    else if (number == SYS_clone)
        turn_review(core);
    else if (number == SYS_nanosleep)
        slept(core, first);
    else if (number == SYS_clock_nanosleep)
        slept(core, (const struct timespec *)core->arguments[2]);
    else if (result < 0)
        return;
    else if (number == SYS_clock_gettime)
        answer_time(core, second, 1000);
    else if (number == SYS_gettimeofday)
        answer_time(core, first, 1000000);
    else if (number == SYS_getrandom)
        answer_random(first, (size_t)result);
    else if (number == SYS_sched_getaffinity)
        answer_processors((unsigned char *)core->arguments[2], (size_t)result);
    else if (number == SYS_getcpu && first != NULL)
        memcpy(first, &core->number, sizeof core->number);
    else if (number == SYS_munmap || number == SYS_madvise || number == SYS_mmap || number == SYS_mremap)
        memory_changed(core, number, (uintptr_t)result);
}
