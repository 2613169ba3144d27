/* SPDX-License-Identifier: MIT */
/* The closed sandbox: see sandbox.h. It has the place of os/kernel.c: the allocator's calls to the kernel arrive at kernel_ask
 * here. redirect.txt names the functions that its calls to libc arrive at. */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE ((uintptr_t)4096)
#define GIB ((uintptr_t)1 << 30)
/* Far from where the kernel puts anything by itself. */
#define BREAK_FIRST ((uintptr_t)1 << 44)
#define BREAK_LAST (BREAK_FIRST + GIB / 2)
#define MAPS_FIRST (BREAK_FIRST + 1024 * GIB)
#define MAPS_LAST (BREAK_FIRST + 4096 * GIB)
#define WRITABLE_MOST (GIB / 4) /* of one mapping: more than this is refused, as the kernel would at some size */

const bool sandbox_closed = true;

char **sandbox_environ;
char sandbox_single_threaded;

static void must(bool holds, const char *what) {
    if (holds)
        return;
    if (write(STDERR_FILENO, what, strlen(what)) > 0 && write(STDERR_FILENO, ": the sandbox gives up\n", 23) > 0)
        abort();
    abort();
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* Mappings, in the order of their addresses; the heap is not among them. */
enum { RANGES = 8192 };
static struct range { uintptr_t start, end; } ranges[RANGES];
static size_t range_count;
static uintptr_t heap_end; /* the break */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic unsigned refuse_after, refuse_count, refused;
static size_t address_limit;

static uintptr_t page_up(uintptr_t n) {
    return (n + PAGE - 1) & ~(PAGE - 1);
}

/* True if this call is to be refused. */
static bool due(void) {
    pthread_mutex_lock(&lock);
    bool now = refuse_count > 0 && refuse_after == 0;
    if (now) {
        refuse_count--;
        refused++;
    } else if (refuse_count > 0) {
        refuse_after--;
    }
    pthread_mutex_unlock(&lock);
    return now;
}

static void insert_range(uintptr_t start, uintptr_t end) {
    size_t at = range_count;
    must(range_count < RANGES, "too many mappings");
    for (; at > 0 && ranges[at - 1].start > start; at--)
        ranges[at] = ranges[at - 1];
    ranges[at] = (struct range){start, end};
    range_count++;
}

static void remove_range(uintptr_t start, uintptr_t end) {
    for (size_t i = 0; i < range_count; i++) {
        struct range old = ranges[i];
        if (old.end <= start || old.start >= end)
            continue;
        memmove(&ranges[i], &ranges[i + 1], (--range_count - i) * sizeof *ranges);
        if (old.start < start)
            insert_range(old.start, start);
        if (old.end > end)
            insert_range(end, old.end);
        i = (size_t)-1; /* from the beginning: the order has changed */
    }
}

static bool is_free(uintptr_t start, uintptr_t end) {
    for (size_t i = 0; i < range_count; i++)
        if (ranges[i].start < end && ranges[i].end > start)
            return false;
    return end <= MAPS_LAST;
}

/* The lowest gap that is long enough. */
static uintptr_t find_gap(size_t bytes) {
    uintptr_t at = MAPS_FIRST;
    for (size_t i = 0; i < range_count && ranges[i].start - at < bytes; i++)
        at = ranges[i].end;
    must(at + bytes <= MAPS_LAST, "no address space");
    return at;
}

static void *map(void *addr, size_t bytes, int protection, int flags) {
    /* The fence below thread-local data, which is not the sandbox's. */
    if (flags & MAP_FIXED_NOREPLACE && protection == PROT_NONE && (flags & MAP_NORESERVE) == 0)
        return addr;
    must((addr == NULL || flags & (MAP_FIXED_NOREPLACE | MAP_FIXED)) && bytes > 0, "an unexpected mmap");
    if (due() || (bytes > WRITABLE_MOST && (flags & MAP_NORESERVE) == 0))
        return MAP_FAILED;
    if (flags & MAP_FIXED) /* in place of what is there */
        return mmap(addr, bytes, protection, flags, -1, 0);
    pthread_mutex_lock(&lock);
    bytes = page_up(bytes);
    uintptr_t at = addr != NULL ? (uintptr_t)addr : find_gap(bytes);
    /* What is asked for by address is refused where the break may go, and where something is. */
    void *got = addr != NULL && at < MAPS_FIRST ? MAP_FAILED
                                                : mmap((void *)at, bytes, protection, flags | MAP_FIXED_NOREPLACE, -1, 0);
    if (got != MAP_FAILED)
        insert_range(at, at + bytes);
    pthread_mutex_unlock(&lock);
    must(got == (void *)at || (addr != NULL && got == MAP_FAILED), "mmap");
    return got;
}

static int unmap(void *addr, size_t bytes) {
    uintptr_t at = (uintptr_t)addr;
    pthread_mutex_lock(&lock);
    must(at % PAGE == 0 && bytes > 0 && !is_free(at, page_up(at + bytes)), "munmap of what is not mapped");
    remove_range(at, page_up(at + bytes));
    int result = munmap(addr, bytes);
    pthread_mutex_unlock(&lock);
    return result;
}

/* In place if what lies behind is free, else to the lowest gap. */
static void *move_locked(uintptr_t old, size_t old_bytes, size_t bytes, int flags, uintptr_t to) {
    bool stays =
        (flags & MREMAP_DONTUNMAP) == 0 && to == 0 && (bytes <= old_bytes || is_free(old + old_bytes, old + bytes));
    if (!stays && (flags & MREMAP_MAYMOVE) == 0)
        return MAP_FAILED;
    if (!stays && to == 0)
        to = find_gap(bytes);
    void *result = stays ? mremap((void *)old, old_bytes, bytes, 0)
                         : mremap((void *)old, old_bytes, bytes, flags | MREMAP_FIXED, (void *)to);
    if (result == MAP_FAILED)
        return result;
    if ((flags & MREMAP_DONTUNMAP) == 0)
        remove_range(old, old + old_bytes);
    to = (uintptr_t)result;
    if (to < MAPS_FIRST) /* back into the heap */
        return result;
    remove_range(to, to + bytes);
    insert_range(to, to + bytes);
    return result;
}

static void *remap(void *addr, size_t old_bytes, size_t bytes, int flags, void *target) {
    uintptr_t to = flags & MREMAP_FIXED ? (uintptr_t)target : 0;
    if ((bytes > old_bytes || flags & (MREMAP_DONTUNMAP | MREMAP_FIXED)) && due())
        return MAP_FAILED;
    if (bytes > WRITABLE_MOST)
        return MAP_FAILED;
    pthread_mutex_lock(&lock);
    void *result = move_locked((uintptr_t)addr, page_up(old_bytes), page_up(bytes), flags, to);
    pthread_mutex_unlock(&lock);
    return result;
}

static void *move_break(intptr_t delta) {
    uintptr_t old = heap_end, fresh = old + (uintptr_t)delta, from = page_up(old), to = page_up(fresh);
    if (delta > 0 && fresh > BREAK_LAST)
        return (void *)-1;
    must(fresh >= BREAK_FIRST && fresh <= BREAK_LAST, "the break below its start");
    if (to > from)
        must(mmap((void *)from, to - from, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
                  -1, 0) == (void *)from,
             "brk");
    else if (to < from)
        must(munmap((void *)to, from - to) == 0, "brk");
    heap_end = fresh;
    return (void *)old;
}

void *sandbox_curbrk; /* what libc believes */

/* brk(2): returns where the break is then. */
static uintptr_t set_break(uintptr_t to) {
    if (to == 0 || (to > heap_end && due()))
        return heap_end;
    pthread_mutex_lock(&lock);
    move_break((intptr_t)(to - heap_end));
    uintptr_t now = heap_end;
    pthread_mutex_unlock(&lock);
    return now;
}

void sandbox_foreign_sbrk(intptr_t bytes) {
    pthread_mutex_lock(&lock);
    must(sandbox_curbrk == NULL || sandbox_curbrk == (void *)heap_end, "libc's copy of the break is wrong");
    move_break(bytes);
    sandbox_curbrk = (void *)heap_end;
    pthread_mutex_unlock(&lock);
}

static void tell_limit(struct rlimit *limit) {
    limit->rlim_cur = limit->rlim_max = address_limit == SIZE_MAX ? RLIM_INFINITY : address_limit;
}

void sandbox_refuse(unsigned after, unsigned count) {
    pthread_mutex_lock(&lock);
    refuse_after = after;
    refuse_count = count;
    pthread_mutex_unlock(&lock);
}

unsigned sandbox_refused(void) {
    return refused;
}

/* ---- time, environment, output ----------------------------------------------------------------------------------- */

static _Atomic uint64_t now_us;
static char said[16384];
static size_t said_length;
static unsigned said_lines;
static pthread_mutex_t said_lock = PTHREAD_MUTEX_INITIALIZER;
static bool files[1024];

void kernel_time(clockid_t clock, struct timespec *now);
void kernel_time(clockid_t clock, struct timespec *now) {
    uint64_t us = now_us;
    (void)clock;
    *now = (struct timespec){(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
}

void sandbox_clock_forward(unsigned milliseconds) {
    now_us += (uint64_t)milliseconds * 1000;
}

void sandbox_threaded(bool several) {
    sandbox_single_threaded = !several;
}

static ssize_t put(int fd, const void *text, size_t bytes) {
    if (fd != STDERR_FILENO)
        return write(fd, text, bytes);
    pthread_mutex_lock(&said_lock);
    size_t kept = bytes < sizeof said - 1 ? bytes : sizeof said - 1;
    if (kept > sizeof said - 1 - said_length)
        said_length = 0;
    memcpy(said + said_length, text, kept);
    said_length += kept;
    said[said_length] = '\0';
    for (size_t i = 0; i < bytes; i++)
        said_lines += ((const char *)text)[i] == '\n';
    pthread_mutex_unlock(&said_lock);
    return (ssize_t)bytes;
}

unsigned sandbox_lines(const char **text) {
    pthread_mutex_lock(&said_lock);
    unsigned lines = said_lines;
    *text = said;
    said_lines = 0;
    said_length = 0;
    pthread_mutex_unlock(&said_lock);
    return lines;
}

static _Noreturn void give_up(void) {
    if (said_length > 0 && write(STDERR_FILENO, said, said_length) < 0)
        _exit(3);
    abort();
}

/* ---- the kernel -------------------------------------------------------------------------------------------------- */

void (*const kernel_signal_return)(void) = NULL;

uintptr_t kernel_given(unsigned long type);
uintptr_t kernel_given(unsigned long type) {
    return getauxval(type);
}

static long result(long value) {
    return value == -1 ? -errno : value;
}

static long address(void *mapped) {
    return mapped == MAP_FAILED ? -ENOMEM : (long)mapped;
}

/* A descriptor of the allocator's, closed when its process is gone. */
static long keep_file(long fd) {
    must(fd < (long)(sizeof files / sizeof *files), "files");
    if (fd >= 0)
        files[fd] = true;
    return result(fd);
}

static long ask_other(long number, long a, long b, long c, long d, long e, long f) {
    switch (number) {
    case SYS_write:
        return result(put((int)a, (const void *)b, (size_t)c));
    case SYS_openat:
        return keep_file(syscall(number, a, b, c, 0600));
    case SYS_fcntl:
        return b == F_DUPFD_CLOEXEC ? keep_file(syscall(number, a, b, c)) : result(syscall(number, a, b, c));
    case SYS_prlimit64:
        must(b == RLIMIT_AS && c == 0, "an unexpected prlimit64");
        tell_limit((struct rlimit *)d);
        return 0;
    case SYS_tgkill:
        must(c == SIGABRT, "an unexpected signal");
        give_up();
    default:
        return result(syscall(number, a, b, c, d, e, f));
    }
}

static long ask(long number, long a, long b, long c, long d, long e, long f) {
    switch (number) {
    case SYS_mmap:
        must(e == -1 && f == 0, "a mapping of a file");
        return address(map((void *)a, (size_t)b, (int)c, (int)d));
    case SYS_munmap:
        return result(unmap((void *)a, (size_t)b));
    case SYS_mremap:
        return address(remap((void *)a, (size_t)b, (size_t)c, (int)d, (void *)e));
    case SYS_mprotect:
    case SYS_madvise:
        return due() ? -ENOMEM : result(syscall(number, a, b, c));
    case SYS_brk:
        return (long)set_break((uintptr_t)a);
    default:
        return ask_other(number, a, b, c, d, e, f);
    }
}

/* As the kernel's, it leaves errno alone. */
long kernel_ask(long number, long a, long b, long c, long d, long e, long f);
long kernel_ask(long number, long a, long b, long c, long d, long e, long f) {
    int saved = errno;
    long answer = ask(number, a, b, c, d, e, f);
    errno = saved;
    return answer;
}

/* ---- the life of a process --------------------------------------------------------------------------------------- */

enum { FUNCTIONS = 32 };
static void (*exits[FUNCTIONS])(void);
static struct {
    void (*function)(void *);
    void *argument;
} late_exits[FUNCTIONS];
static int exit_count, late_count;
static void (*forking)(void), (*parent)(void), (*child)(void);

int sandbox_atexit(void (*function)(void));
int sandbox_atexit(void (*function)(void)) {
    must(exit_count < FUNCTIONS, "atexit");
    exits[exit_count++] = function;
    return 0;
}

int sandbox_cxa_atexit(void (*function)(void *), void *argument, void *object);
int sandbox_cxa_atexit(void (*function)(void *), void *argument, void *object) {
    (void)object;
    must(late_count < FUNCTIONS, "atexit");
    late_exits[late_count].function = function;
    late_exits[late_count++].argument = argument;
    return 0;
}

void sandbox_exit(bool late) {
    while (exit_count > 0)
        exits[--exit_count]();
    while (late && late_count > 0) {
        late_count--;
        late_exits[late_count].function(late_exits[late_count].argument);
    }
}

/* The locks here are taken after the allocator's, and given back before. */
static void before_fork(void) {
    if (forking != NULL)
        forking();
    pthread_mutex_lock(&lock);
    pthread_mutex_lock(&said_lock);
}

static void unlock(void) {
    pthread_mutex_unlock(&said_lock);
    pthread_mutex_unlock(&lock);
}

static void after_fork_parent(void) {
    unlock();
    if (parent != NULL)
        parent();
}

static void after_fork_child(void) {
    unlock();
    if (child != NULL)
        child();
}

int sandbox_atfork(void (*prepare)(void), void (*in_parent)(void), void (*in_child)(void));
int sandbox_atfork(void (*prepare)(void), void (*in_parent)(void), void (*in_child)(void)) {
    static bool registered;
    forking = prepare;
    parent = in_parent;
    child = in_child;
    if (!registered)
        must(pthread_atfork(before_fork, after_fork_parent, after_fork_child) == 0, "pthread_atfork");
    registered = true;
    return 0;
}

/* There is a bounded number of keys: this one serves all processes. */
int sandbox_key_create(pthread_key_t *key, void (*destructor)(void *));
int sandbox_key_create(pthread_key_t *key, void (*destructor)(void *)) {
    static pthread_key_t once;
    static bool created;
    if (!created)
        must(pthread_key_create(&once, destructor) == 0, "pthread_key_create");
    created = true;
    *key = once;
    return 0;
}

/* All that the allocator's files define and may change; the Makefile gives the sections these names. */
extern char __start_subject_data[], __stop_subject_data[], __start_subject_bss[], __stop_subject_bss[];
extern void subject_start(void); /* the constructor in start.c */

static void put_back_state(void) {
    static char *initial;
    size_t bytes = (size_t)(__stop_subject_data - __start_subject_data);
    if (initial == NULL) {
        initial = malloc(bytes);
        must(initial != NULL, "malloc");
        memcpy(initial, __start_subject_data, bytes);
    }
    memcpy(__start_subject_data, initial, bytes);
    memset(__start_subject_bss, 0, (size_t)(__stop_subject_bss - __start_subject_bss));
}

void sandbox_begin(char **environment, size_t address_space) {
    put_back_state();
    sandbox_environ = environment;
    sandbox_single_threaded = 1;
    address_limit = address_space;
    heap_end = BREAK_FIRST + 0x1230; /* not a page's start, as the real one need not be */
    must(mmap((void *)BREAK_FIRST, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
              -1, 0) == (void *)BREAK_FIRST,
         "brk");
    now_us = 1000000;
    refused = 0;
    sandbox_curbrk = NULL;
    sandbox_refuse(0, 0);
    exit_count = late_count = 0;
    said_length = said_lines = 0;
}

void sandbox_start(void) {
    subject_start();
}

void sandbox_end(void) {
    must(munmap((void *)BREAK_FIRST, MAPS_LAST - BREAK_FIRST) == 0, "munmap");
    range_count = 0;
    forking = parent = child = NULL;
    for (int fd = 0; fd < (int)sizeof files; fd++)
        if (files[fd]) {
            close(fd);
            files[fd] = false;
        }
}
