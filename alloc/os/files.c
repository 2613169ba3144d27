/* SPDX-License-Identifier: MIT */
/* Files and descriptors, which the program may close, or open again as something else. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/os.h"
#include "os/os_fault.h"

#define KEPT_FD_LEAST 100 /* a descriptor from here on is none that a shell or a program names by its number */

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
