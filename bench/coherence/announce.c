/* SPDX-License-Identifier: MIT */
/* A preload that stands before the allocator, whichever that is, and passes each call on to it. It tells the plugin when the
 * call begins, when it ends, and which block came of it: so the plugin knows the allocator's work from the program's, and
 * blocks from the allocator's own data.
 *
 * It also stands in for what qemu does not do: a registered rseq area, from which allocators learn on which processor they are.
 * Its symbols come before glibc's; the plugin writes the core's number into it when a call begins. How many processors there
 * are is what the plugin says.
 *
 * dlsym may itself ask for memory while the allocator's functions are being looked up: a small room of its own serves that. */
#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "announced.h"

#define SHOWN __attribute__((visibility("default")))

enum { ROOM_BYTES = 65536, ROOM_ALIGNMENT = 16, MASK_BYTES = 128 };

long __sysconf(int name);

static struct {
    void *(*malloc)(size_t), *(*calloc)(size_t, size_t), *(*realloc)(void *, size_t), *(*aligned_alloc)(size_t, size_t),
        *(*memalign)(size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    void (*free)(void *);
} next;

static __thread struct announced_area area __attribute__((tls_model("initial-exec"))) = {.processor = -1u};
/* Written by names of their own: where the program itself refers to glibc's, that means a read-only copy. */
static ptrdiff_t area_offset;
static unsigned area_size, area_flags;
extern SHOWN __attribute__((alias("area_offset"))) ptrdiff_t __rseq_offset;
extern SHOWN __attribute__((alias("area_size"))) unsigned __rseq_size;
extern SHOWN __attribute__((alias("area_flags"))) unsigned __rseq_flags;

static _Alignas(ROOM_ALIGNMENT) char room[ROOM_BYTES];
static size_t room_used;

#if defined __x86_64__

static inline void announce(long number, const void *block, size_t size) {
    long result = number;
    __asm__ volatile("syscall" : "+a"(result) : "D"(block), "S"(size) : "rcx", "r11", "memory");
}

/* A thread that does nothing but end. */
static inline void clone_and_end(unsigned long flags, void *stack) {
    long result = SYS_clone;
    register long r10 __asm__("r10") = 0;
    register long r8 __asm__("r8") = 0;
    __asm__ volatile("syscall\n\ttest %%eax, %%eax\n\tjnz 1f\n\txor %%edi, %%edi\n\tmov %[end], %%eax\n\tsyscall\n1:"
                     : "+a"(result)
                     : "D"(flags), "S"(stack), "d"(0), "r"(r10), "r"(r8), [end] "i"(SYS_exit)
                     : "rcx", "r11", "memory");
}

#elif defined __aarch64__

static inline void announce(long number, const void *block, size_t size) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = (long)block;
    register long x1 __asm__("x1") = (long)size;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1) : "memory");
}

static inline void clone_and_end(unsigned long flags, void *stack) {
    register long x8 __asm__("x8") = SYS_clone;
    register long x0 __asm__("x0") = (long)flags;
    register long x1 __asm__("x1") = (long)stack;
    register long x2 __asm__("x2") = 0;
    register long x3 __asm__("x3") = 0;
    register long x4 __asm__("x4") = 0;
    __asm__ volatile("svc 0\n\tcbnz x0, 1f\n\tmov x8, %[end]\n\tsvc 0\n1:"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), [end] "i"(SYS_exit)
                     : "memory");
}

#else
#error "bench/cores: x86-64 and aarch64 only"
#endif

/* The linker is told to run this before the constructors of all others (-z initfirst).
 *
 * With the first thread that is ever created qemu translates all code anew, for which every thread must stand outside of it; a
 * thread that waits for its turn stands inside. So that one is created here, before turns begin. */
__attribute__((constructor)) static void start(void) {
    static _Alignas(ROOM_ALIGNMENT) char stack[1024];
    area_offset = (char *)&area - (char *)__builtin_thread_pointer();
    area_size = sizeof area;
    clone_and_end(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, stack + sizeof stack);
    announce(ANNOUNCED_START, NULL, 0);
}

/* glibc's own would read how many there are from a file of the kernel; the plugin answers this system call. */
SHOWN int get_nprocs(void) {
    unsigned char mask[MASK_BYTES];
    long bytes = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
    int count = 0;
    for (long i = 0; i < bytes; i++)
        count += __builtin_popcount(mask[i]);
    return count;
}

SHOWN int get_nprocs_conf(void) {
    return get_nprocs();
}

SHOWN long sysconf(int name) {
    return name == _SC_NPROCESSORS_ONLN || name == _SC_NPROCESSORS_CONF ? get_nprocs() : __sysconf(name);
}

static inline void call_begins(void) {
    announce(ANNOUNCED_BEGIN, &area, 0);
}

static inline void *call_ends(void *block, size_t size) {
    announce(ANNOUNCED_END, block, block != NULL ? size : 0);
    return block;
}

static void *room_take(size_t size) {
    size_t rounded = (size + ROOM_ALIGNMENT - 1) / ROOM_ALIGNMENT * ROOM_ALIGNMENT;
    if (rounded < size || rounded > ROOM_BYTES - room_used)
        return NULL;
    room_used += rounded;
    return room + room_used - rounded;
}

static bool in_room(const void *block) {
    return (uintptr_t)block - (uintptr_t)room < ROOM_BYTES;
}

/* False while the functions are being looked up: the one thread that there is at that time is asking for memory in dlsym. */
static bool found(void) {
    static bool looking;
    if (__builtin_expect(next.free != NULL, 1))
        return true;
    if (looking)
        return false;
    looking = true;
    next.malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    next.calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
    next.realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
    next.aligned_alloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "aligned_alloc");
    next.memalign = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "memalign");
    next.posix_memalign = (int (*)(void **, size_t, size_t))dlsym(RTLD_NEXT, "posix_memalign");
    next.free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
    return true;
}

SHOWN void *malloc(size_t size) {
    if (!found())
        return room_take(size);
    call_begins();
    return call_ends(next.malloc(size), size);
}

SHOWN void *calloc(size_t count, size_t size) {
    if (!found())
        return room_take(count * size);
    call_begins();
    return call_ends(next.calloc(count, size), count * size);
}

SHOWN void *realloc(void *block, size_t size) {
    if (!found())
        return room_take(size);
    call_begins();
    return call_ends(next.realloc(block, size), size);
}

SHOWN void *aligned_alloc(size_t alignment, size_t size) {
    if (!found())
        return NULL;
    call_begins();
    return call_ends(next.aligned_alloc(alignment, size), size);
}

SHOWN void *memalign(size_t alignment, size_t size) {
    if (!found())
        return NULL;
    call_begins();
    return call_ends(next.memalign(alignment, size), size);
}

SHOWN int posix_memalign(void **block, size_t alignment, size_t size) {
    if (!found())
        return ENOMEM;
    call_begins();
    int error = next.posix_memalign(block, alignment, size);
    call_ends(error == 0 ? *block : NULL, size);
    return error;
}

SHOWN void free(void *block) {
    if (in_room(block) || !found())
        return;
    call_begins();
    next.free(block);
    call_ends(NULL, 0);
}
