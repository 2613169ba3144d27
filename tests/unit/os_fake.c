/* SPDX-License-Identifier: MIT */
#include "os_fake.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arch_fault.h"
#include "kit/readonly.h"
#include "kit/tunables.h"

#define BREAK_ROOM ((size_t)8 << 30)

int os_fake_refuse_brk, os_fake_refuse_map, os_fake_refuse_unmap;
int os_fake_refuse_nth;
bool os_fake_refuse_decommit, os_fake_refuse_purge, os_fake_guards, os_fake_no_places;
void (*os_fake_while_remapping)(void), (*os_fake_while_purging)(void);
void (*os_fake_before_break)(intptr_t), (*os_fake_after_break)(intptr_t);
size_t os_fake_purged, os_fake_mapped, os_fake_reserved, os_fake_map_most = SIZE_MAX;
uint64_t os_fake_clock = 1000;
int os_fake_huge_count, os_fake_collapse_error;
uint64_t os_fake_huge_us;
uintptr_t os_fake_huge_at;
size_t os_fake_pages_alone;
bool os_fake_huge_disabled;
const char *os_fake_thread_name = "";
const struct os_fake_file *os_fake_files;

_Atomic uint64_t os_calls; /* in place of os_fault.c's */

static char *break_start, *break_now;
static uint64_t thread_us;

static bool refused(void) {
    return os_fake_refuse_map || (os_fake_refuse_nth > 0 && --os_fake_refuse_nth == 0);
}

#if ARCH_PAGE_VARIES
size_t os_page_bytes(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}
#endif

/* Far from libraries and stack, as breaks are: mappings that the kernel places itself have chance what lies above them. */
#define BREAK_WISH ((void *)((uintptr_t)1 << 46))

static void start(void) {
    if (break_start == NULL) {
        break_start = mmap(BREAK_WISH, BREAK_ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        break_now = break_start + 100; /* on no page, as a real break may be */
    }
}

/* Memory below the break that is given back reads as zero when it comes again. */
static void *move(intptr_t delta) {
    start();
    char *old = break_now;
    if (delta < 0) {
        char *from = (char *)align_up((uintptr_t)(old + delta), OS_PAGE);
        if (old > from)
            madvise(from, align_up((size_t)(old - from), OS_PAGE), MADV_DONTNEED);
    }
    break_now += delta;
    return old;
}

void os_fake_foreign_break(intptr_t delta) {
    move(delta);
}

uintptr_t os_fake_break(void) {
    start();
    return (uintptr_t)break_now;
}

void os_sbrk_prepare(void) {
}

void *os_sbrk(intptr_t delta) {
    start();
    if (delta > 0 && (os_fake_refuse_brk || (size_t)delta > BREAK_ROOM - (size_t)(break_now - break_start)))
        return NULL;
    if (delta != 0 && os_fake_before_break != NULL)
        os_fake_before_break(delta);
    void *old = move(delta);
    if (delta != 0 && os_fake_after_break != NULL)
        os_fake_after_break(delta);
    return old;
}

static void *map(size_t bytes) {
    void *p = refused() || bytes > os_fake_map_most
                  ? MAP_FAILED
                  : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    os_fake_mapped += bytes;
    return p;
}

void *os_map(size_t bytes, size_t align, bool (*cut)(void *addr, size_t bytes)) {
    char *raw = map(bytes + align);
    if (raw == NULL)
        return NULL;
    char *start = (char *)align_up((uintptr_t)raw, align);
    if (start > raw)
        cut(raw, (size_t)(start - raw));
    if (raw + align > start)
        cut(start + bytes, (size_t)(raw + align - start));
    return start;
}

void *os_reserve_zeros(size_t bytes) {
    void *p = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    os_fake_reserved += bytes;
    return refused() || p == MAP_FAILED ? NULL : p;
}

bool os_writable(void *addr, size_t bytes) {
    return !refused() && mprotect(addr, bytes, PROT_READ | PROT_WRITE) == 0;
}

bool os_commit_zeros(void *addr, size_t bytes) {
    return os_commit(addr, bytes);
}

bool os_commit(void *addr, size_t bytes) {
    return !refused() && bytes <= os_fake_map_most && mprotect(addr, bytes, PROT_READ | PROT_WRITE) == 0;
}

char *os_place(size_t bytes) {
    static char *next = (char *)((uintptr_t)1 << 44);
    next += bytes;
    return os_fake_no_places ? NULL : next - bytes;
}

static bool map_at(void *addr, size_t bytes, int protection) {
    void *p = refused() || bytes > os_fake_map_most
                  ? MAP_FAILED
                  : mmap(addr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    os_fake_reserved += p == addr ? bytes : 0;
    return p == addr;
}

bool os_map_at(void *addr, size_t bytes) {
    if (os_fake_no_places || !map_at(addr, bytes, PROT_READ | PROT_WRITE))
        return false;
    os_fake_mapped += bytes;
    return true;
}

bool os_reserve_at(void *addr, size_t bytes) {
    return !os_fake_no_places && map_at(addr, bytes, PROT_NONE);
}

bool os_reserve_zeros_at(void *addr, size_t bytes) {
    return !os_fake_no_places && map_at(addr, bytes, PROT_READ);
}

void *os_reserve(size_t bytes) {
    void *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return refused() || p == MAP_FAILED ? NULL : p;
}

bool os_decommit(void *addr, size_t bytes) {
    return !os_fake_refuse_decommit && !refused() &&
           mmap(addr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) !=
                             MAP_FAILED;
}

bool os_readonly(void *addr, size_t bytes) {
    return !refused() && mprotect(addr, bytes, PROT_READ) == 0;
}

bool os_unmap(void *addr, size_t bytes) {
    if (os_fake_refuse_unmap || munmap(addr, bytes) != 0)
        return false;
    os_fake_mapped -= bytes;
    return true;
}

void os_seal(void *addr, size_t bytes) {
    (void)addr, (void)bytes;
}

/* Tests set tunables by hand. */
__attribute__((constructor)) static void open_tunables(void) {
    readonly_open(&tunables, sizeof tunables);
}

/* Bytes that a test can count on: 0, 1, 2, ... */
void os_random(void *out, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        ((unsigned char *)out)[i] = (unsigned char)i;
}

void *os_remap(void *addr, size_t old_bytes, size_t new_bytes, bool may_move) {
    if (os_fake_while_remapping != NULL)
        os_fake_while_remapping();
    if (os_fake_refuse_map)
        return NULL;
    void *p = mremap(addr, old_bytes, new_bytes, may_move ? MREMAP_MAYMOVE : 0);
    if (p == MAP_FAILED)
        return NULL;
    os_fake_mapped += new_bytes - old_bytes;
    return p;
}

void *os_steal(void *addr, size_t bytes) {
    void *p = map(bytes);
    if (p != NULL) {
        memcpy(p, addr, bytes);
        memset(addr, 0, bytes);
    }
    return p;
}

void os_put_back(void *moved, void *addr, size_t bytes) {
    memcpy(addr, moved, bytes);
    os_unmap(moved, bytes);
}

bool os_purge(void *addr, size_t bytes) {
    if (os_fake_while_purging != NULL)
        os_fake_while_purging();
    if (os_fake_refuse_purge)
        return false;
    os_fake_purged += bytes;
    return madvise(addr, bytes, MADV_DONTNEED) == 0;
}

bool os_purge_locked(void *addr, size_t bytes) {
    (void)addr, (void)bytes;
    return false;
}

bool os_discard(void *addr, size_t bytes) {
    os_fake_purged += bytes;
    return madvise(addr, bytes, MADV_DONTNEED) == 0;
}

bool os_populate(void *addr, size_t bytes) {
    (void)addr;
    thread_us += bytes >= HUGE_PAGE ? os_fake_huge_us : 0;
    return true;
}

bool os_hugepage(void *addr, size_t bytes) {
    (void)bytes;
    os_fake_huge_count++;
    os_fake_huge_at = (uintptr_t)addr;
    return true;
}

static uintptr_t collapsed[1024];
static size_t collapsed_count;

int os_collapse(void *addr, size_t bytes) {
    if (bytes != HUGE_PAGE || (uintptr_t)addr % HUGE_PAGE != 0 || collapsed_count == 1024)
        abort();
    os_fake_huge_count++;
    os_fake_huge_at = (uintptr_t)addr;
    thread_us += os_fake_huge_us;
    if (os_fake_collapse_error == 0)
        collapsed[collapsed_count++] = (uintptr_t)addr;
    return os_fake_collapse_error;
}

static bool is_collapsed(uintptr_t addr) {
    for (size_t i = 0; i < collapsed_count; i++)
        if (addr - collapsed[i] < HUGE_PAGE)
            return true;
    return false;
}

size_t os_pages_alone(const struct os_pages *pages, const void *start, size_t bytes) {
    (void)pages, (void)start, (void)bytes;
    return os_fake_pages_alone;
}

bool os_huge_disabled(void) {
    return os_fake_huge_disabled;
}

void os_no_hugepage(void *addr, size_t bytes) {
    (void)addr;
    (void)bytes;
}

void os_futex_wait(_Atomic uint32_t *word, uint32_t value) {
    (void)word;
    (void)value;
}

bool os_futex_sleep(_Atomic uint32_t *word, uint32_t value, uint64_t ms) {
    (void)word;
    (void)value;
    usleep((useconds_t)ms * 1000);
    return true;
}

void os_futex_wake(_Atomic uint32_t *word) {
    (void)word;
}

uint64_t os_clock_ms(void) {
    return os_fake_clock;
}

uint64_t os_process_ms(void) {
    return os_fake_clock;
}

uint64_t os_thread_us(void) {
    return thread_us;
}

uint64_t os_clock_us(void) {
    return os_fake_clock * 1000;
}

size_t os_fake_address_limit = SIZE_MAX;

size_t os_address_limit(void) {
    return os_fake_address_limit;
}

bool os_is_secure(void) {
    return false;
}

size_t os_read_file(const char *path, char *out, size_t room) {
    for (const struct os_fake_file *file = os_fake_files; file != NULL && file->path != NULL; file++)
        if (strcmp(file->path, path) == 0) {
            size_t length = strlen(file->text);
            memcpy(out, file->text, length = length < room ? length : room);
            return length;
        }
    return 0;
}

int os_create(const char *path) {
    (void)path;
    return -1;
}

int os_append(const char *path) {
    (void)path;
    return -1;
}

int os_replace_file(const char *path, const char *text, size_t bytes) {
    (void)path;
    (void)text;
    (void)bytes;
    return EACCES;
}

void os_close(int fd) {
    close(fd);
}

int os_process_id(void) {
    return (int)getpid();
}

int os_thread_id(void) {
    return (int)getpid();
}

void os_signal(int signal_number, const struct sigaction *action, struct sigaction *old) {
    sigaction(signal_number, action, old);
}

uint64_t os_signals_block(void) {
    return 0;
}

void os_signals_restore(uint64_t before) {
    (void)before;
}

void os_signals_block_all(void) {
}

void os_name_thread(const char *name) {
    (void)name;
}

void *os_next_function(const char *name) {
    return dlsym(RTLD_NEXT, name);
}

_Noreturn void os_exit(int status) {
    _exit(status);
}

void os_raise(int signal_number) {
    raise(signal_number);
}

enum arch_access os_access(const void *context, const void *p) {
    (void)context, (void)p;
    return ARCH_ACCESS;
}

bool os_access_is_known(const void *context) {
    (void)context;
    return true;
}

uintptr_t os_access_stack(const void *context) {
    return arch_stack_pointer(context);
}

uint64_t os_signals_let_faults(void) {
    sigset_t faults, before;
    sigemptyset(&faults);
    sigaddset(&faults, SIGSEGV);
    sigaddset(&faults, SIGBUS);
    sigprocmask(SIG_UNBLOCK, &faults, &before);
    return 0;
}

bool os_signal_stack(void *stack, size_t bytes) {
    (void)stack, (void)bytes;
    return false;
}

bool os_signal_stack_end(void *stack) {
    (void)stack;
    return true;
}

size_t os_access_bytes(const void *context, const void *p) {
    (void)context, (void)p;
    return 0;
}

/* As a kernel that has no such pages, unless the test wants them. */
bool os_guard_install(void *addr, size_t bytes) {
    return os_fake_guards && madvise(addr, bytes, MADV_DONTNEED) == 0 && mprotect(addr, bytes, PROT_NONE) == 0;
}

bool os_guard_remove(void *addr, size_t bytes) {
    return !os_fake_refuse_map && mprotect(addr, bytes, PROT_READ | PROT_WRITE) == 0;
}

int os_write(int fd, const char *text, size_t bytes) {
    if (write(fd, text, bytes) < 0)
        abort();
    return 0;
}

bool os_is_aborting(void) {
    return false;
}

_Noreturn void os_abort(void) {
    abort();
}

/* No inner layer under test writes files. */
int os_file_create(struct os_file *file, const char *path) {
    (void)file, (void)path;
    return ENOSYS;
}

int os_file_write(const struct os_file *file, const char *text, size_t bytes) {
    (void)file, (void)text, (void)bytes;
    return ENOSYS;
}

void os_file_close(const struct os_file *file) {
    (void)file;
}

const char *os_error_text(int error) {
    (void)error;
    return "refused";
}

int os_open_read(const char *path) {
    return open(path, O_RDONLY);
}

size_t os_read_at(int fd, void *out, size_t bytes, uint64_t offset) {
    ssize_t got = pread(fd, out, bytes, (off_t)offset);
    return got < 0 ? 0 : (size_t)got;
}

int os_read_path(const char *path, char *out, size_t room, size_t *length) {
    *length = os_read_file(path, out, room);
    return *length > 0 ? 0 : ENOENT;
}

void os_file_keep(struct os_file *kept, int fd) {
    (void)kept, (void)fd;
}

enum os_filter_end os_filter(struct os_filter *filter) {
    (void)filter;
    return OS_FILTER_REFUSED;
}

bool os_is_shut_in(void) {
    return false;
}

void os_shut_in(void) {
}

void os_shut_in_forked(int process) {
    (void)process;
}

bool os_is_terminal(int fd) {
    (void)fd;
    return false;
}

void os_thread_name(int thread, char *out, size_t room) {
    (void)thread;
    snprintf(out, room, "%s", os_fake_thread_name);
}

uintptr_t os_given(unsigned long type) {
    return getauxval(type);
}

bool os_folder(char *out, size_t room) {
    return getcwd(out, room) != NULL;
}

void os_name_memory(void *addr, size_t bytes, const char *name) {
    (void)addr, (void)bytes, (void)name;
}

void os_pages_open(struct os_pages *pages) {
    *pages = (struct os_pages){.fd = -1};
}

void os_pages_close(struct os_pages *pages) {
    (void)pages;
}

void os_pages_over(struct os_pages *pages, const void *start, size_t bytes) {
    pages->at = (uintptr_t)start;
    pages->end = pages->at + bytes;
}

/* All pages have memory. */
bool os_pages_next(struct os_pages *pages, struct os_pages_run *run) {
    *run = (struct os_pages_run){pages->at, pages->end, is_collapsed(pages->at)};
    pages->at = pages->end;
    return run->start < run->end;
}

bool os_can_read(const void *word) {
    int saved = errno;
    bool can = syscall(SYS_rt_sigprocmask, -1, word, NULL, 8) < 0 && errno == EINVAL;
    errno = saved;
    return can;
}

bool os_read_memory(const void *from, void *out, size_t bytes) {
    memcpy(out, from, bytes);
    return true;
}

_Thread_local unsigned os_fake_processor;

unsigned os_processor(void) {
    return os_fake_processor;
}
