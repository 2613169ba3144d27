/* SPDX-License-Identifier: MIT */
/*
 * What the allocator asks of the operating system. No policy: each call does one thing and says whether it
 * was done. Every call leaves errno as it found it; setting ENOMEM is the front's business. Addresses and lengths are
 * multiples of OS_PAGE unless said otherwise. All calls are thread-safe but os_sbrk, whose callers hold a lock.
 */
#ifndef MYALLOC_OS_H
#define MYALLOC_OS_H

#include <signal.h>

#include "base/base.h"

/* Moves the program break by `delta` bytes through libc's sbrk. Returns the break before the move, or NULL if refused. */
void *os_sbrk(intptr_t delta);

/* Maps fresh zeroed read-write memory. NULL if refused. */
void *os_map(size_t bytes);

/* Reserves zeroed read-only address space that costs no memory and no commit charge. NULL if refused. */
void *os_reserve(size_t bytes);

/* Makes a part of a reservation writable. */
bool os_commit(void *addr, size_t bytes);

/* Reserves address space that can be neither read nor written, and costs nothing; os_commit opens parts of it. NULL if
 * refused. */
void *os_reserve_shut(size_t bytes);

/* Gives memory back, locked or not, and leaves its place as os_reserve_shut does. False if refused; nothing has changed
 * then. */
bool os_shut(void *addr, size_t bytes);

/* Makes memory read-only; os_protect undoes it. False if refused. */
bool os_seal(void *addr, size_t bytes);

/* The pages around `inside` that the loader makes read-only after relocation. False if it lies in none. Asks the loader. */
bool os_find_relro(const void *inside, void **start, size_t *bytes);

/* Opens a part of os_reserve_shut for reading and writing, or shuts it, which leaves the memory with us. The borders of what
 * is open are borders of mappings, of which a process may have some 65,000. False if refused, nothing has changed then. */
bool os_protect(void *addr, size_t bytes, bool open);

/* Makes pages of open memory untouchable without a mapping of their own, and gives their memory back. False where the kernel
 * cannot: before Linux 6.13, and for locked memory. Undone by os_unguard; the pages are zero then. */
bool os_guard(void *addr, size_t bytes);
bool os_unguard(void *addr, size_t bytes);

/* False if refused: a hole in a mapping makes two of one, and their number is limited. */
bool os_unmap(void *addr, size_t bytes);

/* Makes a page untouchable: the highest free one of the 64 below the page of `p`, if there is one. */
void os_fence_below(const void *p);

/* Resizes a mapping of os_map. Returns its address, which differs from `addr` only if `may_move`; NULL if refused, the
 * mapping then being as it was. */
void *os_remap(void *addr, size_t old_bytes, size_t new_bytes, bool may_move);

/* Moves the pages of [addr, addr + bytes) to a mapping of their own, leaving zeroed memory behind. NULL if the kernel
 * cannot; nothing has moved then. */
void *os_steal(void *addr, size_t bytes);

/* Undoes os_steal: the pages of [moved, moved + bytes) go back to `addr`, and `moved` is unmapped. Cannot fail. */
void os_put_back(void *moved, void *addr, size_t bytes);

/* Gives the memory back; it reads as zero afterwards. False if refused (locked pages): contents are then undefined. */
bool os_purge(void *addr, size_t bytes);

/* Makes pages present in one go, without changing what they hold. False where the kernel cannot. */
bool os_populate(void *addr, size_t bytes);

/* Asks for huge pages behind an aligned range. False where the kernel will not. */
bool os_hugepage(void *addr, size_t bytes);

/* Asks that there be none, whatever the system's setting is. */
void os_no_hugepage(void *addr, size_t bytes);

/* Sleeps while *word == value, until os_futex_wake; may return early. */
void os_futex_wait(_Atomic uint32_t *word, uint32_t value);
void os_futex_wake(_Atomic uint32_t *word);

/* Milliseconds of a monotonic clock, a tick (1-10 ms) coarse. */
uint64_t os_clock_ms(void);

/* Milliseconds of processor time that the process has had. */
uint64_t os_process_ms(void);

/* Bytes that nobody can guess; where the kernel does not give them, bytes that are hard to guess. Any number. */
void os_random(void *out, size_t bytes);

/* Microseconds of a monotonic clock. */
uint64_t os_clock_us(void);

/* Bytes of address space the process may use (RLIMIT_AS), SIZE_MAX if unlimited. */
size_t os_address_limit(void);

/* True if the program runs with privileges its caller has not (AT_SECURE): the environment is not to be trusted. */
bool os_is_secure(void);

/* Reads the start of a file, at most `room` bytes. Returns how many; 0 if it cannot be read. */
size_t os_read_file(const char *path, char *out, size_t room);

/* Makes a file anew for writing. Returns its descriptor, closed on exec, or -1. */
int os_create(const char *path);
void os_close(int fd);

int os_process_id(void);
int os_thread_id(void);

/* sigaction(2): sets what a signal leads to, or asks. */
void os_signal(int number, const struct sigaction *action, struct sigaction *old);

/* Sends a signal to this thread. */
void os_raise(int number);

/* What kind of access a SIGSEGV or SIGBUS was, by the context that its handler got. */
enum os_access { OS_ACCESS, OS_READ, OS_WRITE, OS_EXECUTE };
enum os_access os_access(const void *context);

/* Writes all of it to a file descriptor, as far as that goes. `bytes` is any number. Returns 0, or the error's number. */
int os_write(int fd, const char *text, size_t bytes);

/* A file of ours for writing. The program may close its descriptor behind our back and open something else that gets the
 * same number: what it was when we opened it is remembered and looked at before each write. */
struct os_file {
    int fd;
    uint64_t device, inode;
};

/* Creates the file, or empties it; it is closed by exec. Returns 0, or the error number. */
int os_file_create(struct os_file *file, const char *path);

/* Writes all of it. Returns 0, or the error number: EBADF if the descriptor is not that file any more. */
int os_file_write(const struct os_file *file, const char *text, size_t bytes);

/* Closes the descriptor if it still is that file. */
void os_file_close(const struct os_file *file);

/* Keeps a second descriptor of `fd`, closed by exec, for the case that the program closes the first; then puts it back
 * under the old number if nothing is open there. */
void os_file_keep(struct os_file *kept, int fd);
void os_file_put_back(const struct os_file *kept, int fd);

/* Opens a file for reading: its descriptor, or -1. Reads up to `bytes` from `offset` on; returns how many there were. */
int os_open_read(const char *path);
size_t os_read_at(int fd, void *out, size_t bytes, uint64_t offset);

/* Copies memory of this process; false if some of it is not there. */
bool os_read_memory(const void *from, void *out, size_t bytes);

/* An error number in words, in English; constant text. */
const char *os_error_text(int error);

/* Ends the process by SIGABRT. */
_Noreturn void os_abort(void);

#endif
