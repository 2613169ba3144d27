/* SPDX-License-Identifier: MIT */
/* A shared object to preload in front of the allocator, as tracers and the libraries of MPI and RDMA are: it defines the
 * system's calls, allocates in each, and ends the program if the allocator itself has called one. At exit it says how many it
 * saw. */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static __thread int inside;
static _Atomic unsigned seen;

/* A note on the heap, and a look at who called. */
static void note(const char *name, const void *caller) {
    Dl_info info;
    if (inside)
        return;
    inside = 1;
    seen++;
    char *text = malloc(200);
    if (text != NULL && dladdr(caller, &info) != 0 && info.dli_fname != NULL && strstr(info.dli_fname, "/libmyalloc") != NULL) {
        int length = snprintf(text, 200, "the allocator calls %s\n", name);
        syscall(SYS_write, 2, text, length);
        syscall(SYS_exit_group, 88);
    }
    free(text);
    inside = 0;
}

#define NEXT(name)                                                                                                     \
    static __typeof__(&name) next;                                                                                     \
    if (next == NULL)                                                                                                  \
        next = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                                                             \
    note(#name, __builtin_return_address(0))

void *mmap(void *a, size_t n, int p, int f, int d, off_t o) {
    NEXT(mmap);
    return next(a, n, p, f, d, o);
}

int munmap(void *a, size_t n) {
    NEXT(munmap);
    return next(a, n);
}

int madvise(void *a, size_t n, int k) {
    NEXT(madvise);
    return next(a, n, k);
}

int mprotect(void *a, size_t n, int k) {
    NEXT(mprotect);
    return next(a, n, k);
}

void *mremap(void *a, size_t n, size_t m, int f, ...) {
    va_list rest;
    va_start(rest, f);
    void *to = va_arg(rest, void *);
    va_end(rest);
    NEXT(mremap);
    return next(a, n, m, f, to);
}

void *sbrk(intptr_t d) {
    NEXT(sbrk);
    return next(d);
}

int brk(void *p) {
    NEXT(brk);
    return next(p);
}

ssize_t write(int d, const void *p, size_t n) {
    NEXT(write);
    return next(d, p, n);
}

ssize_t read(int d, void *p, size_t n) {
    NEXT(read);
    return next(d, p, n);
}

ssize_t pread(int d, void *p, size_t n, off_t o) {
    NEXT(pread);
    return next(d, p, n, o);
}

int open(const char *path, int f, ...) {
    va_list rest;
    va_start(rest, f);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    NEXT(open);
    return next(path, f, mode);
}

int close(int d) {
    NEXT(close);
    return next(d);
}

int dup2(int d, int e) {
    NEXT(dup2);
    return next(d, e);
}

int clock_gettime(clockid_t c, struct timespec *t) {
    NEXT(clock_gettime);
    return next(c, t);
}

int getrlimit(__rlimit_resource_t r, struct rlimit *l) {
    NEXT(getrlimit);
    return next(r, l);
}

pid_t getpid(void) {
    NEXT(getpid);
    return next();
}

int sigaction(int n, const struct sigaction *a, struct sigaction *o) {
    NEXT(sigaction);
    return next(n, a, o);
}

ssize_t process_vm_readv(pid_t p, const struct iovec *l, unsigned long m, const struct iovec *r, unsigned long n,
                         unsigned long f) {
    NEXT(process_vm_readv);
    return next(p, l, m, r, n, f);
}

char *getenv(const char *name) {
    NEXT(getenv);
    return next(name);
}

__attribute__((destructor)) static void say(void) {
    char text[40];
    syscall(SYS_write, 2, text, snprintf(text, sizeof text, "intercepted %u\n", seen));
}
