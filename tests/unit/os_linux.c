/* SPDX-License-Identifier: MIT */
/* The OS layer itself: what each call does and leaves alone, on the kernel, and when it is refused. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os.h"

#define ROOM (16 * OS_PAGE)

/* Before the first call: the Nth call of a kind is refused. */
static void refuse(const char *kind, const char *plan) {
    setenv("MYALLOC_FAULT_KIND", kind, 1);
    setenv("MYALLOC_FAULT", plan, 1);
}

static bool is_all(const char *p, size_t bytes, char value) {
    return p[0] == value && memcmp(p, p + 1, bytes - 1) == 0;
}

/* Whether touching it kills a child by SIGSEGV. */
static bool is_untouchable(char *p, bool by_writing) {
    pid_t child = fork();
    int status = 0;
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGSEGV, SIG_DFL);
        if (by_writing)
            *(volatile char *)p = 1;
        _exit(*(volatile char *)p == 77 ? 1 : 0);
    }
    return waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

Test(os, mappings_are_zero_and_purged_to_zero) {
    errno = 42;
    char *p = os_map(ROOM, 1, os_unmap);
    cr_assert_not_null(p);
    cr_assert(is_all(p, ROOM, 0));
    memset(p, 1, ROOM);
    cr_assert(os_purge(p + OS_PAGE, 2 * OS_PAGE));
    cr_assert(is_all(p, OS_PAGE, 1) && is_all(p + OS_PAGE, 2 * OS_PAGE, 0) && is_all(p + 3 * OS_PAGE, ROOM - 3 * OS_PAGE, 1));
    cr_assert(os_unmap(p, ROOM));
    cr_assert(is_untouchable(p, false));
    cr_assert_null(os_map(SIZE_LIMIT, 1, os_unmap));
    cr_assert_eq(errno, 42);
}

static char *cut_at[2];
static size_t cut_bytes[2];
static int cuts;

static bool cut(void *addr, size_t bytes) {
    cut_at[cuts] = addr;
    cut_bytes[cuts++] = bytes;
    return os_unmap(addr, bytes);
}

Test(os, aligned_mappings_lose_their_ends) {
    const size_t align = 64 * OS_PAGE;
    for (int i = 0; i < 20; i++) {
        cuts = 0;
        char *p = os_map(ROOM, align, cut);
        cr_assert(p != NULL && (uintptr_t)p % align == 0);
        cr_assert(is_all(p, ROOM, 0));
        cr_assert_eq(cut_bytes[0] + (cuts == 2 ? cut_bytes[1] : 0), align);
        for (int k = 0; k < cuts; k++) {
            cr_assert(cut_at[k] + cut_bytes[k] == p || cut_at[k] == p + ROOM);
            cr_assert(is_untouchable(cut_at[k], false));
        }
        memset(p, 1, ROOM);
    }
    cuts = 0;
    cr_assert_not_null(os_map(ROOM, 16, cut));
    cr_assert_eq(cuts, 0);
    cr_assert_null(os_map(SIZE_MAX - OS_PAGE, align, cut));
}

Test(os, remap_keeps_what_it_holds) {
    errno = 42;
    char *p = os_map(ROOM, 1, os_unmap);
    memset(p, 1, ROOM);
    char *q = os_remap(p, ROOM, 64 * ROOM, true);
    cr_assert_not_null(q);
    cr_assert(is_all(q, ROOM, 1) && is_all(q + ROOM, 63 * ROOM, 0));
    cr_assert_null(os_remap(q, 64 * ROOM, SIZE_LIMIT & -OS_PAGE, true));
    cr_assert(is_all(q, ROOM, 1));
    cr_assert_eq(os_remap(q, 64 * ROOM, ROOM, false), q);
    cr_assert_eq(errno, 42);
}

Test(os, stolen_pages_can_be_put_back) {
    char *p = os_map(ROOM, 1, os_unmap);
    memset(p, 1, ROOM);
    char *q = os_steal(p + OS_PAGE, 2 * OS_PAGE);
    cr_assert_not_null(q);
    cr_assert(is_all(q, 2 * OS_PAGE, 1) && is_all(p + OS_PAGE, 2 * OS_PAGE, 0));
    q[5] = 2;
    os_put_back(q, p + OS_PAGE, 2 * OS_PAGE);
    cr_assert(p[OS_PAGE + 5] == 2 && p[OS_PAGE + 4] == 1 && p[0] == 1);
    cr_assert(is_untouchable(q, false));
}

Test(os, and_are_copied_back_where_they_cannot_move) {
    refuse("put_back", "1+");
    char *p = os_map(ROOM, 1, os_unmap);
    memset(p, 1, ROOM);
    char *q = os_steal(p, ROOM);
    cr_assert_not_null(q);
    errno = 42;
    q[5] = 2;
    os_put_back(q, p, ROOM);
    cr_assert(p[5] == 2 && is_all(p + 6, ROOM - 6, 1));
    cr_assert(is_untouchable(q, false));
    cr_assert_eq(errno, 42);
}

Test(os, a_reservation_becomes_writable_by_parts) {
    char *p = os_reserve_zeros(ROOM);
    cr_assert(is_all(p, ROOM, 0));
    cr_assert(is_untouchable(p, true));
    cr_assert(os_commit(p + OS_PAGE, OS_PAGE));
    p[OS_PAGE] = 1;
    cr_assert(is_untouchable(p, true) && is_untouchable(p + 2 * OS_PAGE, true));
    cr_assert(os_readonly(p + OS_PAGE, OS_PAGE));
    cr_assert(p[OS_PAGE] == 1 && is_untouchable(p + OS_PAGE, true));
    cr_assert(os_writable(p + OS_PAGE, OS_PAGE));
    p[OS_PAGE] = 2;
    cr_assert(os_commit_zeros(p, 3 * OS_PAGE));
    cr_assert(p[OS_PAGE] == 2 && p[0] == 0 && (p[2 * OS_PAGE] = 3));
}

Test(os, reserved_and_decommitted_memory_cannot_be_read) {
    char *p = os_reserve(ROOM);
    cr_assert(is_untouchable(p, false));
    cr_assert(os_commit(p, OS_PAGE));
    p[0] = 1;
    cr_assert(os_decommit(p, OS_PAGE));
    cr_assert(is_untouchable(p, false));
    cr_assert(os_commit(p, OS_PAGE));
    cr_assert_eq(p[0], 0);
}

Test(os, places_lie_apart_where_nothing_is) {
    char *before = os_place(ROOM);
    for (int i = 0; i < 50; i++) {
        char *place = os_place(ROOM);
        cr_assert(place >= before + ROOM && (uintptr_t)place % OS_PAGE == 0);
        cr_assert(is_untouchable(place, false) && is_untouchable(place + ROOM - OS_PAGE, false));
        cr_assert((uintptr_t)place < (uintptr_t)1 << (ADDRESS_BITS - 1), "no larger address space is asked for");
        before = place;
    }
    cr_assert_null(os_place((size_t)1 << ADDRESS_BITS));
    cr_assert_not_null(os_place(ROOM));
}

Test(os, memory_comes_where_it_is_asked_for_if_nothing_is_there) {
    char *p = os_place(8 * ROOM);
    errno = 42;
    cr_assert(os_map_at(p, ROOM));
    memset(p, 1, ROOM);
    cr_assert(os_reserve_zeros_at(p + ROOM, ROOM));
    cr_assert(is_all(p + ROOM, ROOM, 0) && is_untouchable(p + ROOM, true));
    cr_assert(os_reserve_at(p + 2 * ROOM, ROOM));
    cr_assert(is_untouchable(p + 2 * ROOM, false));
    for (size_t at = 0; at < 3; at++)
        cr_assert(!os_map_at(p + at * ROOM, ROOM) && !os_reserve_at(p + at * ROOM, ROOM) &&
                  !os_reserve_zeros_at(p + at * ROOM, ROOM));
    cr_assert(!os_map_at(p + 2 * ROOM + ROOM / 2, ROOM), "half of it is taken");
    cr_assert(is_untouchable(p + 3 * ROOM, false), "what was refused has left nothing behind");
    cr_assert(is_all(p, ROOM, 1));
    cr_assert(os_commit(p + ROOM, 2 * ROOM));
    memset(p + ROOM, 1, 2 * ROOM);
    cr_assert_eq(errno, 42);
}

/* As kernels before 5.18, which do not know MADV_DONTNEED_LOCKED, and before 4.4, which do not know mlock2. */
static void refuse_by_filter(unsigned number, unsigned third_argument) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, third_argument, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    cr_assert(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static size_t locked_kib(void) {
    char text[4096] = "";
    os_read_file("/proc/self/status", text, sizeof text - 1);
    const char *line = strstr(text, "VmLck:");
    return line ? strtoul(line + 6, NULL, 10) : 0;
}

static void purge_locked_memory(void) {
    char *p = os_map(ROOM, 1, os_unmap);
    memset(p, 1, ROOM);
    cr_assert_eq(mlock(p, ROOM), 0);
    size_t locked = locked_kib();
    errno = 42;
    cr_assert(!os_purge(p + OS_PAGE, 2 * OS_PAGE));
    cr_assert(os_purge_locked(p + OS_PAGE, 2 * OS_PAGE));
    unsigned char present[4];
    cr_assert(mincore(p, 4 * OS_PAGE, present) == 0 && present[0] && !present[2] && present[3]);
    cr_assert(is_all(p + OS_PAGE, 2 * OS_PAGE, 0) && is_all(p, OS_PAGE, 1) && is_all(p + 3 * OS_PAGE, OS_PAGE, 1));
    cr_assert_eq(locked_kib(), locked, "all of it is locked as before");
    cr_assert_eq(errno, 42);
}

Test(os, locked_memory_goes_back) {
    purge_locked_memory();
}

Test(os, and_so_it_does_on_older_kernels) {
    refuse_by_filter(SYS_madvise, 24);
    purge_locked_memory();
}

Test(os, or_stays_as_it_is) {
    refuse_by_filter(SYS_madvise, 24);
    refuse_by_filter(SYS_mlock2, MLOCK_ONFAULT);
    char *p = os_map(ROOM, 1, os_unmap);
    memset(p, 1, ROOM);
    cr_assert_eq(mlock(p, ROOM), 0);
    size_t locked = locked_kib();
    cr_assert(!os_purge_locked(p, ROOM));
    cr_assert(is_all(p, ROOM, 1) && locked_kib() == locked);
}

Test(os, each_refusal_is_told) {
    refuse("all", "1+");
    char page[1];
    struct os_file file;
    errno = 42;
    cr_assert_null(os_map(ROOM, OS_PAGE, os_unmap));
    cr_assert_null(os_reserve_zeros(ROOM));
    cr_assert_null(os_reserve(ROOM));
    char *place = os_place(ROOM);
    cr_assert(!os_map_at(place, ROOM) && !os_reserve_at(place, ROOM) && !os_reserve_zeros_at(place, ROOM));
    cr_assert_null(os_sbrk(16));
    cr_assert_null(os_steal(page, ROOM));
    cr_assert_null(os_remap(page, OS_PAGE, ROOM, true));
    cr_assert(!os_commit(page, 1) && !os_unmap(page, 1) && !os_decommit(page, 1) && !os_readonly(page, 1));
    cr_assert(!os_commit_zeros(page, 1) && !os_writable(page, 1) && !os_discard(page, 1));
    cr_assert(!os_commit(page, 1) && !os_guard_install(page, 1) && !os_guard_remove(page, 1));
    cr_assert(!os_purge(page, 1) && !os_purge_locked(page, 1));
    cr_assert(!os_populate(page, 1) && !os_hugepage(page, 1) && os_collapse(page, 1) != 0 && !os_read_memory("x", page, 1));
    cr_assert_eq(os_read_file("/proc/self/stat", page, 1), 0);
    cr_assert_lt(os_create("/dev/null"), 0);
    cr_assert_lt(os_append("/dev/null"), 0);
    cr_assert_neq(os_read_path("/dev/null", page, 1, &(size_t){0}), 0);
    cr_assert_eq(os_open_read("/dev/null"), -1);
    cr_assert_neq(os_file_create(&file, "/dev/null"), 0);
    cr_assert_eq(errno, 42);
}

static bool is_random(void) {
    unsigned char a[64] = {0}, b[64] = {0}, seen[256] = {0};
    size_t different = 0;
    os_random(a, sizeof a);
    os_random(b, sizeof b);
    for (size_t i = 0; i < sizeof a; i++)
        different += !seen[a[i]]++;
    return memcmp(a, b, sizeof a) != 0 && different > 32;
}

Test(os, random_bytes_from_the_kernel) {
    cr_assert(is_random());
}

Test(os, and_without_it) {
    refuse("random", "1+");
    cr_assert(is_random());
}

Test(os, files_are_read_and_written_whole) {
    char path[] = "/tmp/myalloc-os-XXXXXX", text[32] = "";
    close(mkstemp(path));
    struct os_file file;
    errno = 42;
    cr_assert_eq(os_file_create(&file, path), 0);
    cr_assert_eq(fcntl(file.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    cr_assert_eq(os_file_write(&file, "one two", 7), 0);
    cr_assert_eq(os_read_file(path, text, sizeof text), 7);
    cr_assert_str_eq(text, "one two");
    int fd = os_open_read(path);
    cr_assert_eq(os_read_at(fd, text, sizeof text, 4), 3);
    cr_assert_eq(strncmp(text, "two", 3), 0);
    os_close(fd);
    os_file_close(&file);
    cr_assert_eq(fcntl(file.fd, F_GETFD), -1);
    size_t length;
    cr_assert_eq(os_read_path(path, text, 4, &length), 0);
    cr_assert(length == 4 && strncmp(text, "one ", 4) == 0);
    errno = 42;
    cr_assert_eq(os_file_create(&file, "/nowhere/at/all"), ENOENT);
    cr_assert_eq(os_create("/nowhere/at/all"), -ENOENT);
    cr_assert_eq(os_append("/nowhere/at/all"), -ENOENT);
    cr_assert_eq(os_read_path("/nowhere/at/all", text, sizeof text, &length), ENOENT);
    cr_assert_eq(os_read_path("/", text, sizeof text, &length), EISDIR);
    cr_assert_eq(os_read_file("/nowhere/at/all", text, sizeof text), 0);
    cr_assert_eq(errno, 42);
    unlink(path);
}

/* Opening waits for nobody; what is open then waits as others do. */
Test(os, pipes_with_a_name) {
    char path[] = "/tmp/myalloc-os-XXXXXX", text[8];
    struct os_file file;
    size_t length;
    close(mkstemp(path));
    unlink(path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_eq(os_create(path), -ENXIO);
    cr_assert_eq(os_append(path), -ENXIO);
    cr_assert_eq(os_file_create(&file, path), ENXIO);
    cr_assert_eq(os_read_path(path, text, sizeof text, &length), ENXIO);
    int reader = open(path, O_RDONLY | O_NONBLOCK), writer = os_append(path);
    cr_assert_geq(writer, 0);
    cr_assert_eq(fcntl(writer, F_GETFL) & (O_NONBLOCK | O_APPEND), O_APPEND);
    cr_assert_eq(os_write(writer, "one", 3), 0);
    cr_assert_eq(read(reader, text, sizeof text), 3);
    cr_assert_eq(os_write(writer, "two", 3), 0);
    cr_assert_eq(os_read_path(path, text, 3, &length), 0);
    cr_assert(length == 3 && strncmp(text, "two", 3) == 0);
    cr_assert_eq(os_read_path(path, text, sizeof text, &length), EAGAIN); /* its writer does not end */
    os_close(writer);
    close(reader);
    unlink(path);
}

static enum os_filter_end run(const char *script, size_t room, struct os_filter *filter) {
    static const char *environment[] = {"PATH=/usr/bin:/bin", NULL};
    static char out[1 << 20];
    const char *arguments[] = {"/bin/sh", "-c", script, NULL};
    *filter = (struct os_filter){.arguments = arguments, .environment = environment, .text = "one\n", .bytes = 4,
                                 .out = out, .room = room, .seconds = 1};
    return os_filter(filter);
}

Test(os, a_text_goes_through_a_program) {
    struct os_filter filter;
    cr_assert_eq(run("sed s/n/N/; ulimit -v >&2", 100, &filter), OS_FILTER_DONE);
    cr_assert_eq(strncmp(filter.out, "oNe\nunlimited\n", filter.length), 0);
    cr_assert_eq(filter.length, 14);
    cr_assert_eq(run("exit 3", 100, &filter), OS_FILTER_ENDED);
    cr_assert_eq(filter.number, 3);
    cr_assert_eq(run("kill -SEGV $$", 100, &filter), OS_FILTER_KILLED);
    cr_assert_eq(filter.number, SIGSEGV);
    cr_assert_eq(run("exec yes", sizeof(char[1 << 20]), &filter), OS_FILTER_ENDLESS);
    cr_assert_eq(run("kill -STOP $$", 100, &filter), OS_FILTER_LATE);
    cr_assert_eq(run("exec <&-; cat /nowhere/at/all; exit 0", 100, &filter), OS_FILTER_DONE);
    const char *const missing[] = {"/nowhere/at/all", NULL};
    filter.arguments = filter.environment = missing;
    cr_assert_eq(os_filter(&filter), OS_FILTER_NOT_STARTED);
    cr_assert_eq(filter.number, ENOENT);
    filter.bytes = OS_FILTER_MOST + 1;
    cr_assert_eq(os_filter(&filter), OS_FILTER_REFUSED);
    cr_assert_eq(waitpid(-1, NULL, __WALL), -1);
}

/* Where the kernel can seal at all. */
Test(os, what_is_sealed_stays_as_it_is) {
    char *p = os_map(2 * OS_PAGE, OS_PAGE, os_unmap);
    cr_assert(os_readonly(p, OS_PAGE));
    os_seal(p, OS_PAGE);
    bool sealed = syscall(462, p, OS_PAGE, 0) == 0;
    cr_assert_eq(os_writable(p, OS_PAGE), !sealed);
    cr_assert_eq(os_unmap(p, OS_PAGE), !sealed);
    cr_assert(os_unmap(p + OS_PAGE, OS_PAGE));
}

/* The program closes a descriptor of ours, and opens something else under its number. */
Test(os, a_descriptor_that_is_another_file_now_is_left_alone) {
    char path[] = "/tmp/myalloc-os-XXXXXX", text[8];
    close(mkstemp(path));
    struct os_file file;
    cr_assert_eq(os_file_create(&file, path), 0);
    int other = open("/dev/null", O_WRONLY);
    dup2(other, file.fd);
    cr_assert_eq(os_file_write(&file, "lost", 4), EBADF);
    os_file_close(&file);
    cr_assert_neq(fcntl(file.fd, F_GETFD), -1);
    cr_assert_eq(os_read_file(path, text, sizeof text), 0);
    unlink(path);
}

Test(os, a_kept_descriptor_is_written_to_only_while_it_is_the_same) {
    int ends[2];
    struct os_file kept;
    cr_assert_eq(pipe(ends), 0);
    os_file_keep(&kept, ends[1]);
    cr_assert(kept.fd >= 100);
    close(ends[1]);
    cr_assert_eq(os_file_write(&kept, "x", 1), 0);
    int null = open("/dev/null", O_WRONLY);
    dup2(null, kept.fd);
    cr_assert_eq(os_file_write(&kept, "y", 1), EBADF);
    close(kept.fd);
    cr_assert_eq(os_file_write(&kept, "z", 1), EBADF);
    os_file_keep(&kept, kept.fd);
    cr_assert_eq(kept.fd, -1);
    char text[4];
    cr_assert_eq(read(ends[0], text, sizeof text), 1);
    cr_assert_eq(text[0], 'x');
}

Test(os, memory_that_is_not_there_is_told) {
    char from[] = "abc", to[4] = "";
    cr_assert(os_read_memory(from, to, sizeof to));
    cr_assert_str_eq(to, "abc");
    char *p = os_map(OS_PAGE, 1, os_unmap);
    os_unmap(p, OS_PAGE);
    errno = 42;
    cr_assert_not(os_read_memory(p, to, sizeof to));
    cr_assert_eq(errno, 42);
}

/* Pages in a range, by their places: bit i for page i. */
static uint64_t pages_in(struct os_pages *pages, const char *start, size_t count) {
    struct os_pages_run run;
    uint64_t found = 0;
    uintptr_t last = 0;
    os_pages_over(pages, start, count * OS_PAGE);
    while (os_pages_next(pages, &run)) {
        cr_assert(last <= run.start && run.start < run.end && run.end <= (uintptr_t)start + count * OS_PAGE);
        for (last = run.start; last < run.end; last += OS_PAGE)
            found |= (uint64_t)1 << (last - (uintptr_t)start) / OS_PAGE;
    }
    return found;
}

/* The kernel's own sum over the mapping that begins at `start`, in pages. */
static size_t resident_pages(const char *start) {
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[512];
    unsigned long at = 0, from, kib, found = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%lx-%*x ", &from) == 1 && strchr(line, '-') != NULL)
            at = from;
        if (at == (uintptr_t)start && sscanf(line, "Rss: %lu", &kib) == 1)
            found = kib * 1024 / OS_PAGE;
    }
    cr_assert_not_null(file);
    fclose(file);
    return found;
}

/* Whether a page that was only read has memory of its own: most kernels show the page of zeros that all share. */
static bool reading_takes_memory(void) {
    char *p = os_map(OS_PAGE, 1, os_unmap);
    os_no_hugepage(p, OS_PAGE); /* a mapping that the kernel joins with no other */
    cr_assert_eq(*(volatile char *)p, 0);
    bool takes = resident_pages(p) == 1;
    os_unmap(p, OS_PAGE);
    return takes;
}

Test(os, pages_that_have_memory_are_told) {
    struct os_pages pages;
    char *p = os_map(40 * OS_PAGE, 1, os_unmap);
    const size_t touched[] = {0, 3, 4, 5, 17, 39};
    uint64_t wanted = 0;
    os_no_hugepage(p, 40 * OS_PAGE);
    for (size_t i = 0; i < sizeof touched / sizeof *touched; i++) {
        p[touched[i] * OS_PAGE] = 1;
        wanted |= (uint64_t)1 << touched[i];
    }
    cr_assert_eq(*(volatile char *)(p + 9 * OS_PAGE), 0); /* only read */
    if (reading_takes_memory())
        wanted |= (uint64_t)1 << 9;
    os_unmap(p + 20 * OS_PAGE, 4 * OS_PAGE);
    errno = 42;
    os_pages_open(&pages);
    uint64_t found = pages_in(&pages, p, 40);
    cr_assert_eq((found ^ wanted) & ~((uint64_t)1 << 9), 0);
    cr_assert(pages.fd < 0 || found == wanted, "pagemap tells what was only read");
    cr_assert_eq(pages_in(&pages, p + 4 * OS_PAGE, 1), 1);
    cr_assert_eq(pages_in(&pages, p + 6 * OS_PAGE, 2), 0);
    os_pages_close(&pages);
    cr_assert_eq((pages_in(&pages, p, 40) ^ wanted) & ~((uint64_t)1 << 9), 0, "mincore says it, but for what was only read");
    cr_assert_eq(errno, 42);
    cr_assert_not(pages.refused);
}

Test(os, pages_of_this_process_alone_are_told) {
    enum { PAGES = 300 };
    struct os_pages pages;
    char *p = os_map(PAGES * OS_PAGE, 1, os_unmap);
    os_no_hugepage(p, PAGES * OS_PAGE);
    for (size_t i = 0; i < PAGES; i += 3)
        p[i * OS_PAGE] = 1;
    cr_assert_eq(*(volatile char *)(p + OS_PAGE), 0); /* only read */
    const size_t read = reading_takes_memory() ? 1 : 0, alone = PAGES / 3 + read;
    os_pages_open(&pages);
    cr_assert_geq(pages.fd, 0);
    cr_assert_eq(os_pages_alone(&pages, p, PAGES * OS_PAGE), alone);
    cr_assert_eq(os_pages_alone(&pages, p + OS_PAGE, 2 * OS_PAGE), read);
    pid_t child = fork();
    if (child == 0) {
        p[0] = 2; /* has one of its own */
        pause();
    }
    while (os_pages_alone(&pages, p, PAGES * OS_PAGE) != 1)
        usleep(1000);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    cr_assert_eq(os_pages_alone(&pages, p, PAGES * OS_PAGE), alone, "the other side has ended");
    os_pages_close(&pages);
    cr_assert_eq(os_pages_alone(&pages, p, PAGES * OS_PAGE), 0, "not known");
}

/* A kernel that has no huge page, or none at all, says so; what the memory holds is the same in any case. */
Test(os, small_pages_become_a_huge_one) {
    char *p = os_map(2 * HUGE_PAGE, HUGE_PAGE, os_unmap);
    p = (char *)align_up((uintptr_t)p, HUGE_PAGE);
    os_no_hugepage(p, HUGE_PAGE);
    for (size_t i = 0; i < HUGE_PAGE; i += OS_PAGE)
        p[i] = (char)(i / OS_PAGE);
    cr_assert_eq(os_collapse(p, HUGE_PAGE), EINVAL, "where none are wanted");
    uint64_t before = os_thread_us();
    int error = os_hugepage(p, HUGE_PAGE) ? os_collapse(p, HUGE_PAGE) : EINVAL;
    cr_assert(error == 0 || error == EINVAL || error == ENOMEM || error == EAGAIN || error == EBUSY, "%d", error);
    cr_assert(error != 0 || os_thread_us() > before);
    for (size_t i = 0; i < HUGE_PAGE; i += OS_PAGE)
        cr_assert_eq(p[i], (char)(i / OS_PAGE));
    struct os_pages pages;
    struct os_pages_run run;
    os_pages_open(&pages);
    os_pages_over(&pages, p, HUGE_PAGE);
    bool told = os_pages_next(&pages, &run) && pages.fd >= 0;
    cr_assert(error != 0 || !told || run.huge);
    os_pages_close(&pages);
    cr_assert_not(os_huge_disabled());
    if (os_prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0)
        return;
    cr_assert(os_huge_disabled());
    os_prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
}

Test(os, many_runs_of_pages) {
    enum { PAGES = 1000 };
    struct os_pages pages;
    struct os_pages_run run;
    char *p = os_map(PAGES * OS_PAGE, 1, os_unmap);
    os_no_hugepage(p, PAGES * OS_PAGE);
    for (size_t i = 0; i < PAGES; i += 2)
        p[i * OS_PAGE] = 1;
    os_pages_open(&pages);
    for (int way = 0; way < 2; way++, os_pages_close(&pages)) {
        size_t runs = 0;
        os_pages_over(&pages, p, PAGES * OS_PAGE);
        for (; os_pages_next(&pages, &run); runs++)
            cr_assert(run.start == (uintptr_t)p + 2 * runs * OS_PAGE && run.end == run.start + OS_PAGE);
        cr_assert_eq(runs, PAGES / 2);
    }
}

Test(os, names_are_given_or_not) {
    char *p = os_map(4 * OS_PAGE, 1, os_unmap);
    errno = 42;
    os_name_memory(p, 4 * OS_PAGE, "myalloc: test");
    cr_assert_eq(errno, 42);
    memset(p, 1, 4 * OS_PAGE);
}

Test(os, errors_in_words) {
    cr_assert_str_eq(os_error_text(ENOENT), "No such file or directory");
    cr_assert_str_eq(os_error_text(-5), "unknown error");
}

Test(os, a_stack_for_handlers) {
    static char ours[64 * KIB], own[64 * KIB];
    stack_t there, theirs = {.ss_sp = own, .ss_size = sizeof own};
    cr_assert(os_signal_stack(ours, sizeof ours));
    cr_assert(sigaltstack(NULL, &there) == 0 && there.ss_sp == ours && there.ss_size == sizeof ours && there.ss_flags == 0);
    cr_assert_not(os_signal_stack(own, sizeof own), "there is one");
    cr_assert(os_signal_stack_end(ours));
    cr_assert(sigaltstack(NULL, &there) == 0 && there.ss_flags == SS_DISABLE);
    sigaltstack(&theirs, NULL);
    cr_assert(os_signal_stack_end(ours), "it is the thread's no more");
    cr_assert(sigaltstack(NULL, &there) == 0 && there.ss_sp == own);
}

Test(os, faults_are_let_through) {
    sigset_t blocked;
    sigfillset(&blocked);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    uint64_t before = os_signals_let_faults();
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    cr_assert(!sigismember(&blocked, SIGSEGV) && !sigismember(&blocked, SIGBUS) && sigismember(&blocked, SIGUSR1));
    os_signals_restore(before);
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    cr_assert(sigismember(&blocked, SIGSEGV) && sigismember(&blocked, SIGBUS));
}

Test(os, the_address_limit) {
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    cr_assert_eq(os_address_limit(), limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : (size_t)limit.rlim_cur);
    limit.rlim_cur = 100 * GIB;
    setrlimit(RLIMIT_AS, &limit);
    cr_assert_eq(os_address_limit(), 100 * GIB);
}

/* In a child, which any call but those of read(2), write(2) and its end would end. */
static void shut_in(void) {
    char name[16] = "some";
    int process = os_process_id();
    bool terminal = os_is_terminal(STDERR_FILENO);
    os_shut_in();
    if (os_prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) != 0)
        _exit(1);
    os_name_thread("nobody");
    os_thread_name(process, name, sizeof name);
    os_shut_in_forked(0);
    bool right = os_is_shut_in() && os_thread_id() == 0 && name[0] == '\0' && os_process_id() == process &&
                 os_is_terminal(STDERR_FILENO) == terminal && !os_is_terminal(STDOUT_FILENO);
    os_shut_in_forked(4711);
    syscall(SYS_exit, right && os_process_id() == 4711 ? 0 : 2);
}

Test(os, who_is_shut_in_asks_nobody) {
    char name[16] = "";
    errno = 42;
    cr_assert_eq(os_prctl(PR_SET_NAME, (unsigned long)"a name", 0, 0, 0), 0);
    cr_assert_eq(os_prctl(-1, 0, 0, 0, 0), -EINVAL);
    os_thread_name(os_thread_id(), name, sizeof name);
    cr_assert_str_eq(name, "a name");
    cr_assert(!os_is_shut_in() && errno == 42);
    int status = -1;
    pid_t child = fork();
    if (child == 0)
        shut_in();
    waitpid(child, &status, 0);
    cr_assert_eq(status, 0);
}
