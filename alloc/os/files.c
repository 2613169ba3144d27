/* SPDX-License-Identifier: MIT */
/* Files and descriptors, which the program may close, or open again as something else. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "os/kernel.h"
#include "os/os.h"
#include "os/os_fault.h"

#define PATIENCE_STEP_MS 5 /* for who is at the other end of a pipe: two seconds since anything came through */
#define PATIENCE_STEPS 400
#define WAIT_PRIVATE 128 /* FUTEX_WAIT_PRIVATE of <linux/futex.h>, which need not be there */
#define KEPT_FD_LEAST 100 /* a descriptor from here on is none that a shell or a program names by its number */

/* Asks again as long as a signal's handler has come between. Returns the descriptor, or an error number, negated. */
static long open_file(const char *path, int flags, int rights) {
    long fd;
    do
        fd = kernel(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, rights);
    while (fd == -EINTR);
    return fd;
}

/* The kernel lets the opening of a pipe wait for somebody at its other end; with O_NONBLOCK it does not, and refuses to open
 * one for writing that nobody reads (ENXIO). Once it is open, writing waits as it does elsewhere. */
static long open_for_writing(const char *path, int flags, int rights) {
    long fd = open_file(path, O_WRONLY | O_CREAT | O_NOCTTY | O_NONBLOCK | flags, rights);
    if (!kernel_refused(fd))
        kernel(SYS_fcntl, fd, F_SETFL, flags & O_APPEND);
    return fd;
}

/* By futex(2), which a filter of system calls lets through, because the allocator waits by it. Returns early behind a
 * signal. */
static void wait_a_step(void) {
    const struct timespec most = {0, PATIENCE_STEP_MS * 1000000};
    const uint32_t word = 0;
    kernel(SYS_futex, &word, WAIT_PRIVATE, word, &most);
}

static long read_some(int fd, void *out, size_t bytes, uint64_t offset) {
    long got;
    do
        got = kernel(SYS_pread64, fd, out, bytes, offset);
    while (got == -EINTR);
    return got;
}

static size_t read_all(int fd, char *out, size_t bytes, uint64_t offset) {
    size_t length = 0;
    long got = 1;
    while (got > 0 && length < bytes) {
        got = read_some(fd, out + length, bytes - length, offset + length);
        length += got > 0 ? (size_t)got : 0;
    }
    return length;
}

/* The path of a folder that lies outside of the process's root does not begin with a slash. */
bool os_folder(char *out, size_t room) {
    return !kernel_refused(kernel(SYS_getcwd, out, room)) && out[0] == '/';
}

size_t os_read_file(const char *path, char *out, size_t room) {
    long fd = os_fault(read_file) ? -1 : open_file(path, O_RDONLY, 0);
    if (kernel_refused(fd))
        return 0;
    size_t length = read_all((int)fd, out, room, 0);
    os_close((int)fd);
    return length;
}

int os_open_read(const char *path) {
    long fd = os_fault(open_read) ? -1 : open_file(path, O_RDONLY | O_NOCTTY, 0);
    return kernel_refused(fd) ? -1 : (int)fd;
}

size_t os_read_at(int fd, void *out, size_t bytes, uint64_t offset) {
    return os_fault(read_at) ? 0 : read_all(fd, out, bytes, offset);
}

/* Reads until the end, also what is not yet in a pipe. Returns 0, or the error number: ENXIO for a pipe that nobody writes
 * to. */
static int read_stream(int fd, char *out, size_t room, size_t *length) {
    unsigned waited = 0;
    struct stat status;
    bool piped = kernel(SYS_fstat, fd, &status) == 0 && S_ISFIFO(status.st_mode);
    while (*length < room) {
        long got = kernel(SYS_read, fd, out + *length, room - *length);
        if (got == -EINTR)
            continue;
        if (got == -EAGAIN && waited++ < PATIENCE_STEPS) {
            wait_a_step();
            continue;
        }
        if (got <= 0)
            return got < 0 ? kernel_error(got) : piped && *length == 0 ? ENXIO : 0;
        *length += (size_t)got;
        waited = 0;
    }
    return 0;
}

int os_read_path(const char *path, char *out, size_t room, size_t *length) {
    *length = 0;
    long fd = os_fault(read_path) ? -EACCES : open_file(path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0);
    if (kernel_refused(fd))
        return kernel_error(fd);
    int error = read_stream((int)fd, out, room, length);
    os_close((int)fd);
    return error;
}

int os_create(const char *path) {
    return os_fault(create) ? -EACCES : (int)open_for_writing(path, O_TRUNC, 0644);
}

int os_append(const char *path) {
    return os_fault(append) ? -EACCES : (int)open_for_writing(path, O_APPEND, 0644);
}

void os_close(int fd) {
    kernel(SYS_close, fd);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* A pipe, a socket or a terminal that is full, and that the program has made non-blocking, gets time to be emptied; its reader
 * may be this very thread. */
static int write_on(int fd, const char *text, size_t bytes) {
    unsigned waited = 0;
    while (bytes > 0) {
        long done = kernel(SYS_write, fd, text, bytes);
        if (done == -EINTR)
            continue;
        if (done == -EAGAIN && waited++ < PATIENCE_STEPS) {
            wait_a_step();
            continue;
        }
        waited = 0;
        if (done <= 0)
            return done < 0 ? kernel_error(done) : ENOSPC;
        text += done;
        bytes -= (size_t)done;
    }
    return 0;
}

/* What a write leads to in the thread that writes, beside its error: the reader of a pipe is gone (EPIPE), a file has reached
 * RLIMIT_FSIZE (EFBIG), a process in the background writes to a terminal that does not let it (stty tostop). */
#define SIGNAL_BIT(number) (UINT64_C(1) << ((number) - 1))
#define WRITE_SIGNALS (SIGNAL_BIT(SIGPIPE) | SIGNAL_BIT(SIGXFSZ) | SIGNAL_BIT(SIGTTOU))

/* Takes a signal that waits for this thread. False if the kernel refuses to give it, or must not be asked. */
static bool take(uint64_t signal) {
    if (os_is_shut_in())
        return false;
    const struct timespec at_once = {0, 0};
    long got;
    do
        got = kernel(SYS_rt_sigtimedwait, &signal, NULL, &at_once, sizeof signal);
    while (got == -EINTR);
    return !kernel_refused(got) || got == -EAGAIN;
}

static uint64_t signal_of(int error) {
    return error == EPIPE ? SIGNAL_BIT(SIGPIPE) : error == EFBIG ? SIGNAL_BIT(SIGXFSZ) : 0;
}

/* A program must not be ended by what is told of it, so the signals of a write are blocked for its time: in this thread alone,
 * for what they lead to is the whole process's. The one that has come is taken, unless one waited before: then the two have
 * become one. Where it cannot be taken it stays blocked, lest it end the program. */
static int write_all(int fd, const char *text, size_t bytes) {
    const uint64_t signals = WRITE_SIGNALS;
    uint64_t blocked, waiting = 0;
    if (kernel_refused(kernel(SYS_rt_sigprocmask, SIG_BLOCK, &signals, &blocked, sizeof signals)))
        return write_on(fd, text, bytes);
    if ((blocked & signals) && !os_is_shut_in()) /* only a blocked signal waits */
        kernel(SYS_rt_sigpending, &waiting, sizeof waiting);
    int error = write_on(fd, text, bytes);
    uint64_t come = signal_of(error) & ~waiting;
    if (come != 0 && !take(come))
        blocked |= come;
    kernel(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, NULL, sizeof blocked);
    return error;
}

int os_write(int fd, const char *text, size_t bytes) {
    return os_fault(write) ? ENOSPC : write_all(fd, text, bytes);
}

/* ---- a file made at once ------------------------------------------------------------------------------------------ */

static int write_and_close(int fd, const char *text, size_t bytes) {
    int error = write_all(fd, text, bytes);
    os_close(fd);
    return error;
}

static int write_beside(const char *beside, const char *path, const char *text, size_t bytes) {
    long fd = open_file(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOCTTY, 0644);
    if (kernel_refused(fd))
        return kernel_error(fd);
    int error = write_and_close((int)fd, text, bytes);
    if (error == 0)
        error = kernel_error(kernel(SYS_renameat, AT_FDCWD, beside, AT_FDCWD, path));
    if (error != 0)
        kernel(SYS_unlinkat, AT_FDCWD, beside, 0);
    return error;
}

/* The new file lies beside the old one, under a name that no other process takes, until it has its name. */
int os_replace_file(const char *path, const char *text, size_t bytes) {
    char beside[PATH_MAX];
    struct stat status;
    if (os_fault(replace_file))
        return EACCES;
    bool plain = kernel_refused(kernel(SYS_newfstatat, AT_FDCWD, path, &status, 0)) || S_ISREG(status.st_mode);
    if (!plain) {
        long fd = open_for_writing(path, 0, 0);
        return kernel_refused(fd) ? kernel_error(fd) : write_and_close((int)fd, text, bytes);
    }
    size_t length = strlen(path);
    if (length + sizeof ".part" > sizeof beside)
        return ENAMETOOLONG;
    memcpy(beside, path, length);
    memcpy(beside + length, ".part", sizeof ".part");
    return write_beside(beside, path, text, bytes);
}

/* ---- files that the program may close ---------------------------------------------------------------------------- */

/* Returns 0, or the error number. */
static int describe(int fd, uint64_t *device, uint64_t *inode) {
    struct stat status; /* libc has it as the kernel does, on 64-bit processors */
    int error = kernel_error(kernel(SYS_fstat, fd, &status));
    if (error != 0)
        return error;
    *device = status.st_dev;
    *inode = status.st_ino;
    return 0;
}

static bool is_ours(const struct os_file *file) {
    uint64_t device, inode;
    return describe(file->fd, &device, &inode) == 0 && device == file->device && inode == file->inode;
}

int os_file_create(struct os_file *file, const char *path) {
    if (os_fault(file_create))
        return ENOMEM;
    long fd = open_for_writing(path, O_TRUNC, 0666);
    file->fd = (int)fd;
    return kernel_refused(fd) ? kernel_error(fd) : describe(file->fd, &file->device, &file->inode);
}

int os_file_write(const struct os_file *file, const char *text, size_t bytes) {
    if (os_fault(file_write))
        return ENOSPC;
    return is_ours(file) ? write_all(file->fd, text, bytes) : EBADF;
}

void os_file_close(const struct os_file *file) {
    if (is_ours(file))
        os_close(file->fd);
}

void os_file_keep(struct os_file *kept, int fd) {
    /* A number that programs do not count on. */
    long number = kernel(SYS_fcntl, fd, F_DUPFD_CLOEXEC, KEPT_FD_LEAST);
    kept->fd = kernel_refused(number) ? -1 : (int)number;
    if (kept->fd >= 0)
        describe(kept->fd, &kept->device, &kept->inode);
}
