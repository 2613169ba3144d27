/* SPDX-License-Identifier: MIT */
/*
 * myalloc.h: what myalloc offers beyond the C library's malloc. C99 and C++98 and later. See myalloc(3). myalloc.hpp has it for
 * containers of C++17 and later.
 *
 * malloc, free, realloc, calloc, the aligned forms, mallopt, mallinfo2, malloc_info, malloc_trim and the rest are declared
 * by <stdlib.h> and <malloc.h>, mcheck and mtrace by <mcheck.h>: myalloc provides them all under their usual names, and
 * a program needs this header only for what is here.
 *
 * A program that may also run without myalloc declares a function weak and asks whether its address is NULL:
 *     extern size_t myalloc_stats_json(char *, size_t) __attribute__((weak));
 * mallopt does not tell: glibc's returns 1 for parameters that it does not know, too.
 */
#ifndef MYALLOC_H
#define MYALLOC_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Parameters of mallopt(int parameter, int value), beside those of <malloc.h>. mallopt returns 1 if the value is within the
 * parameter's bounds, else 0, and nothing has changed; 1 also for a parameter that there is not, as glibc's does. errno
 * stays. Any thread may call it at any time; other threads follow at their next slow operation. A forked child keeps the
 * values; a program started by exec begins anew, with what the environment says (myalloc_options(7)).
 */

/* Milliseconds, 0 to 3600000, that free memory is kept before the operating system gets it back. Default 1000. */
#define M_MYALLOC_DECAY_MS (-1001)

/* Bytes of free blocks that each thread may keep for itself, 0 or more; -1, the default, is no bound. */
#define M_MYALLOC_CACHE_LIMIT (-1002)

/* Transparent huge pages: 0 never, 1 once the heap has grown large (the default), 2 for all of the heap and for mappings. */
#define M_MYALLOC_HUGEPAGES (-1003)

/* 1: memory is made present when it is taken from the operating system; 0, the default: page by page as it is touched. */
#define M_MYALLOC_POPULATE (-1004)

/* The most memory to take from the operating system, in MiB, 1 or more; beyond it calls fail with ENOMEM. 0, the default,
 * is no limit. */
#define M_MYALLOC_LIMIT_MIB (-1005)

/* Where the program runs with protect:sample or protect:paranoid: one allocation in about so many, 1 to 1000000000, gets a
 * guarded page. Default 1000. */
#define M_MYALLOC_SAMPLE_INTERVAL (-1006)

/* 1: a helper thread gives free memory back while the program makes no calls, too; 0, the default: calls do it. With 1 a
 * refused thread is told on standard error; with 0 the thread has ended when mallopt returns. Not in a handler of fork. */
#define M_MYALLOC_BACKGROUND (-1007)

/*
 * At least so many bytes, and how many there are: what malloc's rounding leaves behind a block is the caller's, too.
 *
 * bytes  wanted; for 0 there is a block, too, as malloc gives
 * align  a power of two that divides the address, as for aligned_alloc; another number, or one beyond what addresses have, gives
 *        EINVAL or ENOMEM as there
 *
 * Returns the block and its size, which is at least `bytes`; the block is NULL and the size 0, with errno set to ENOMEM, where
 * there is no memory. free, realloc and, with any number from `bytes` to that size, free_sized or sdallocx take the block. While
 * accesses are checked (mcheck, check, paranoid) the size is `bytes`, so that a byte behind it is found. Any thread may call
 * them, also in a forked child; not in a signal handler. They follow C++23's allocate_at_least ([allocator.members]).
 */
struct myalloc_sized {
    void *block;
    size_t bytes;
};
struct myalloc_sized myalloc_alloc_at_least(size_t bytes);
struct myalloc_sized myalloc_aligned_alloc_at_least(size_t align, size_t bytes);

/*
 * The allocator's statistics as one JSON object (RFC 8259), in bytes unless a name says otherwise; myalloc(3) explains the
 * fields.
 *
 * out   where the text goes, ended by a NUL; NULL is allowed if room is 0
 * room  bytes at out; a longer text is cut to room - 1 bytes
 *
 * Returns the length in bytes of the whole text without its NUL, as snprintf does: a result of room or more says that it
 * was cut. Cannot fail; errno stays. Allocates nothing; reads files of /proc/self, and has null for what they do not tell.
 * Any thread may call it, also in a forked child; not in a signal handler. The figures add up exactly while no other thread
 * allocates.
 */
size_t myalloc_stats_json(char *out, size_t room);

/*
 * Walks all of the allocator's own structures and looks whether what must hold of them does. A fault means that the program
 * wrote where it must not, or is one of the allocator.
 *
 * Returns 0 if all is well, else -1, and standard error names what is broken. errno stays. Any thread may call it, also in
 * a forked child; not in a signal handler. Other threads wait meanwhile if they need the allocator; the walk takes as long
 * as there are spans and free blocks. The canaries around blocks are mcheck_check_all's business.
 */
int myalloc_check_heap(void);

/*
 * The heap profile: from now on a sample of allocations is recorded with their call stacks, one byte in about `interval` with
 * the block that it lies in; 0 takes the option profile_interval, 512 KiB by default. Called again, it changes the interval.
 * Other threads follow at their next slow operation. Returns 0, or -1 where the allocator cannot do so in this thread.
 *
 * myalloc_profile_stop ends that. What has been recorded stays, and of live blocks it is still noted when they are freed.
 *
 * myalloc_profile_write writes what is known to a file, which is replaced at once when all of it is there: the text form that
 * pprof reads (myalloc(3)). %p in the path is the process id, %b the program's name, %% a percent sign. Returns 0, or -1 with
 * errno set.
 *
 * Any thread may call them, also in a forked child; not in a signal handler.
 */
int myalloc_profile_start(size_t interval);
void myalloc_profile_stop(void);
int myalloc_profile_write(const char *path);

/*
 * Puts a tag on what this thread allocates from now on, as the heap profile tells it: `myalloc report` shows what each tag has.
 * NULL or "" ends that. The text is copied, at most 47 bytes of it, and may change or go as soon as this returns. There may be
 * 1022 different ones in a process; further ones are told as "(more tags)".
 *
 * A tag belongs to the thread that has called it; a new thread has none. In the child of a fork, the thread keeps its tag. A
 * block keeps the tag that it was allocated with, whoever frees it; one that realloc moves or lets grow gets the present one.
 * Where no profile is on it does nothing more than note the tag. It takes no lock, and may be called in a signal handler.
 */
void myalloc_tag(const char *tag);

/*
 * This thread's tag as the heap profile tells it, cut and with '?' for control characters; NULL where it has none. The text
 * stays as long as the process. Given to myalloc_tag it sets that tag again: so a part of a program puts back what it found. It
 * takes no lock, and may be called in a signal handler and in a forked child.
 */
const char *myalloc_tag_now(void);

#ifdef __cplusplus
}
#endif

#endif
