/* SPDX-License-Identifier: MIT */
/* The recording of this process: its file, which a fork and an exec begin anew, and its ends. The file's name comes from
 * MYALLOC_RECORD. The first process makes that file; the others, and a program that takes the place of another one, find it
 * there, and put their number behind the name. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "events.h"

enum { FD_LEAST = 700, NAMES_MOST = 10000, TEXT_MAX = PATH_MAX + 300 };

extern char **environ;
extern int __cxa_atexit(void (*function)(void *), void *argument, void *library);

enum state { WAITING, RECORDING, OVER };

static struct {
    enum state state;
    int fd, begin_lock;
    pid_t pid;
    uint32_t first_thread, next_thread;
    uint64_t begun, ticks; /* of the clock and of the counter, when the recording began */
    struct stat identity;
    char path[PATH_MAX];
} process = {.fd = -1, .first_thread = 1, .next_thread = 1};

static uint64_t clock_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t process_clock(void)
{
    return clock_now() - process.begun;
}

/* By all the time since the recording began, so that it becomes ever more exact. */
uint32_t process_scale(void)
{
    uint64_t ns = process_clock(), units = (process_ticks() - process.ticks) >> UNIT_SHIFT;

    return units ? (uint32_t)((double)ns * RECORDING_SCALE / (double)units) : 0;
}

uint32_t process_next_thread(void)
{
    return __atomic_fetch_add(&process.next_thread, 1, __ATOMIC_RELAXED);
}

uint32_t process_first_thread(void)
{
    return process.first_thread;
}

bool process_records(void)
{
    return __atomic_load_n(&process.state, __ATOMIC_ACQUIRE) == RECORDING;
}

/* One line on standard error; then the program goes on alone. */
static COLD void give_up(int error)
{
    char text[TEXT_MAX];
    int length;

    __atomic_store_n(&process.state, OVER, __ATOMIC_RELEASE);
    length = snprintf(text, sizeof text,
                      "myalloc record: cannot write '%s': %s; the recording ends here, the program goes on\n", process.path,
                      strerrordesc_np(error));
    if (length > 0 && write(STDERR_FILENO, text, (size_t)length) < 0)
        return;
}

/* Out of the way of programs that choose numbers, or close all they know of. */
static int move_up(int fd)
{
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, FD_LEAST);

    if (moved < 0)
        moved = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    close(fd);
    return moved;
}

/* Returns a descriptor, or -1. What is no plain file is shared by all. */
static int open_new(const char *named)
{
    const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY;
    struct stat status;
    int fd;

    snprintf(process.path, sizeof process.path, "%s", named);
    if (!stat(named, &status) && !S_ISREG(status.st_mode))
        return open(named, flags);
    fd = open(named, flags | O_CREAT | O_EXCL, 0666);
    for (int i = 1; fd < 0 && errno == EEXIST && i < NAMES_MOST; i++) {
        if (i == 1)
            snprintf(process.path, sizeof process.path, "%s.%d", named, getpid());
        else
            snprintf(process.path, sizeof process.path, "%s.%d.%d", named, getpid(), i);
        fd = open(process.path, flags | O_CREAT | O_EXCL, 0666);
    }
    return fd;
}

/* The program may have closed the descriptor, and got its number for a file of its own. */
static bool is_ours(void)
{
    struct stat status;

    return process.fd >= 0 && !fstat(process.fd, &status) && status.st_dev == process.identity.st_dev &&
           status.st_ino == process.identity.st_ino;
}

static bool reopen(void)
{
    int fd = open(process.path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY);

    process.fd = fd < 0 ? fd : move_up(fd);
    if (is_ours())
        return true;
    errno = fd < 0 ? errno : ESTALE;
    return false;
}

static bool write_all(const char *bytes, size_t count)
{
    while (count) {
        ssize_t written = write(process.fd, bytes, count);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            errno = written ? errno : ENOSPC;
            return false;
        }
        bytes += written;
        count -= (size_t)written;
    }
    return true;
}

/* Where files may not become so large (RLIMIT_FSIZE), the kernel sends a signal, which the program has not called for. */
static bool write_whole(const char *bytes, size_t count)
{
    struct timespec at_once = {0, 0};
    sigset_t signal, before, pending;
    int error;
    bool done;

    sigemptyset(&signal);
    sigaddset(&signal, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &signal, &before);
    sigpending(&pending);
    done = write_all(bytes, count);
    error = errno;
    if (!done && error == EFBIG && !sigismember(&pending, SIGXFSZ))
        sigtimedwait(&signal, NULL, &at_once);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return done;
}

void process_write(struct recording_frame *frame)
{
    size_t after = offsetof(struct recording_frame, kind);

    if (getpid() != process.pid) /* a child that no handler was told of */
        return;
    frame->magic = RECORDING_FRAME;
    frame->checksum = recording_checksum(recording_checksum(0, (char *)frame + after, sizeof *frame - after),
                                         frame + 1, frame->stored);
    if ((!is_ours() && !reopen()) || !write_whole((const char *)frame, sizeof *frame + frame->stored))
        give_up(errno);
}

/* Where malloc is, as far as the loader knows. */
static const char *allocator_path(void)
{
    Dl_info info;

    return dladdr(dlsym(RTLD_NEXT, "malloc"), &info) && info.dli_fname ? info.dli_fname : "unknown";
}

static bool write_start(void)
{
    struct {
        struct recording_frame header;
        char text[TEXT_MAX];
    } frame = {.header.kind = RECORDING_START};
    const char *allocator = allocator_path();
    const char *slash = strrchr(allocator, '/');
    int length = snprintf(frame.text, sizeof frame.text, "program %s\npid %d\nparent %d\nfirst %u\nallocator %s\n"
                          "touched %d\n", program_invocation_short_name, getpid(), getppid(), process.first_thread,
                          slash ? slash + 1 : allocator, RECORDING_TOUCHED_LEAST);

    frame.header.stored = frame.header.raw = (uint32_t)(length < TEXT_MAX ? length : TEXT_MAX - 1);
    if (!write_whole(RECORDING_MAGIC, sizeof RECORDING_MAGIC - 1)) {
        give_up(errno);
        return false;
    }
    process_write(&frame.header);
    return process_records();
}

static bool open_file(const char *named)
{
    int fd = open_new(named);

    process.pid = getpid();
    process.fd = fd < 0 ? fd : move_up(fd);
    process.begun = clock_now();
    process.ticks = process_ticks();
    __atomic_store_n(&process.state, RECORDING, __ATOMIC_RELEASE);
    if (process.fd < 0 || fstat(process.fd, &process.identity)) {
        give_up(errno);
        return false;
    }
    return write_start();
}

void process_end(bool for_good)
{
    struct recording_frame frame = {.kind = RECORDING_END};
    bool before = own.is_inside, are_all;

    if (process.state != RECORDING || getpid() != process.pid)
        return;
    own.is_inside = true;
    if (own.stream && !before)
        touched_tell_left(own.stream);
    are_all = streams_write_all(before);
    frame.begun = process_clock();
    if (are_all && process.state == RECORDING)
        process_write(&frame);
    if (for_good)
        __atomic_store_n(&process.state, OVER, __ATOMIC_RELEASE);
    own.is_inside = before;
}

static void at_exit(void *unused)
{
    (void)unused;
    process_end(true);
}

static __thread bool was_inside __attribute__((tls_model("initial-exec"))); /* at the fork */

static void before_fork(void)
{
    was_inside = own.is_inside;
    own.is_inside = true;
    streams_lock();
}

static void after_fork(void)
{
    streams_unlock();
    own.is_inside = was_inside;
}

static void in_child(void)
{
    char named[PATH_MAX];
    const char *text = getenv("MYALLOC_RECORD");
    int fd = process.fd;

    streams_forget();
    snprintf(named, sizeof named, "%s", text ? text : process.path);
    if (process.state == RECORDING) {
        process.first_thread = process.next_thread;
        if (is_ours())
            close(fd);
        open_file(named);
    }
    own.is_inside = was_inside;
}

/* The environment is there once libc's constructor has run, and the handler that is registered first is called last: behind
 * all destructors, which free much. */
COLD bool process_begin(void)
{
    const char *named;

    if (process.state != WAITING)
        return true;
    if (!environ || __atomic_exchange_n(&process.begin_lock, 1, __ATOMIC_ACQUIRE))
        return false;
    named = getenv("MYALLOC_RECORD");
    if (!named || !*named) {
        __atomic_store_n(&process.state, OVER, __ATOMIC_RELEASE);
    } else if (process.state == WAITING) {
        __cxa_atexit(at_exit, NULL, NULL);
        pthread_atfork(before_fork, after_fork, in_child);
        open_file(named);
    }
    __atomic_store_n(&process.begin_lock, 0, __ATOMIC_RELEASE);
    return true;
}

/* A program that makes no call has a recording as well. */
__attribute__((constructor)) static void begin(void)
{
    bool before = own.is_inside;

    own.is_inside = true;
    process_begin();
    own.is_inside = before;
}
