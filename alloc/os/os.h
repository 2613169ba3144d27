/* SPDX-License-Identifier: MIT */
/*
 * What the allocator asks of the operating system. No policy: each call does one thing and says whether it was done; unless
 * said otherwise, a call that was refused has changed nothing. Every call leaves errno as it found it: setting ENOMEM is the
 * front's business. Addresses and lengths are multiples of OS_PAGE unless said otherwise. All calls are thread-safe but
 * os_sbrk, whose callers hold a lock. None allocates.
 *
 * Memory is in one of these states; the words are used for nothing else:
 *   reserved     addresses are taken, no memory is: costs nothing even where the system does not overcommit; not in core dumps
 *   committed    can be read and written, and is charged by a system that does not overcommit; zero if it was reserved before
 *   decommitted  as reserved: what it held is lost, the memory given back
 *   purged       stays committed and reads as zero, which has been looked at; the memory is given back until it is touched
 *   read-only    keeps what it holds
 *   untouchable  stays committed, faults when touched (a guard page); what it held is lost, the memory given back
 */
#ifndef MYALLOC_OS_H
#define MYALLOC_OS_H

#include <signal.h>

#include "base/base.h"

/* ---- memory.c: the break and mappings ------------------------------------------------------------------------------ */

/* Moves the program break by `delta` bytes, any number; 0 asks where it is, and must come first. libc's sbrk works on beside
 * it. Returns the break before the move; NULL if refused, or if the break is not this library's to move. */
void *os_sbrk(intptr_t delta);

/* Finds out whether this copy of the library may move the break, which can be told only before the process has threads. Where
 * it was not called by then, os_sbrk may refuse. */
void os_sbrk_prepare(void);

/* Maps committed memory that is zero, at a multiple of `align`, a power of two. The kernel aligns to pages only, so more may
 * have to be mapped; what is too much at either end is handed to `cut`, before the call returns, once for each end: os_unmap,
 * or a function that also knows what to do with a piece that the OS will not unmap. NULL if refused; `cut` has not been called
 * then. */
void *os_map(size_t bytes, size_t align, bool (*cut)(void *addr, size_t bytes));

/* Unmaps memory of any state. False if refused: a hole in a mapping makes two of one, and their number is limited. */
bool os_unmap(void *addr, size_t bytes);

/* Resizes a mapping of os_map; what is new of it is zero. Returns its address, which differs from `addr` only if `may_move`.
 * NULL if refused. */
void *os_remap(void *addr, size_t old_bytes, size_t new_bytes, bool may_move);

/* Moves the pages of committed memory [addr, addr + bytes) to a mapping of their own, and leaves committed memory behind, whose
 * contents nobody counts on. NULL if refused, or if the kernel leaves nothing behind that can be used. */
void *os_steal(void *addr, size_t bytes);

/* Undoes os_steal: the pages of [moved, moved + bytes) go back to `addr`, and `moved` is unmapped. Cannot fail. */
void os_put_back(void *moved, void *addr, size_t bytes);

/* Maps a page that cannot be touched: the highest of the 64 below the page of `p` (any address) where nothing is mapped,
 * if there is one. */
void os_fence_below(const void *p);

/* ---- memory.c: reserve --------------------------------------------------------------------------------------------- */

/* Reserves address space that can be neither read nor written. NULL if refused. */
void *os_reserve(size_t bytes);

/* Reserves address space that reads as zeros and cannot be written. NULL if refused. */
void *os_reserve_zeros(size_t bytes);

/* ---- place.c: memory at addresses of our choice ---------------------------------------------------------------------- */

/* A place of `bytes` of addresses where the kernel puts nothing by itself, so that what is mapped at its start can grow there.
 * Nothing is taken or looked at: others may have asked for an address in it. Each call gives another place, whose distance from
 * the others cannot be guessed. NULL if the address space has none that long. Never refused. */
char *os_place(size_t bytes);

/* As os_map, os_reserve and os_reserve_zeros, at `addr`. False if something is there, the kernel will not map at an address
 * that is asked for, or refuses. */
bool os_map_at(void *addr, size_t bytes);
bool os_reserve_at(void *addr, size_t bytes);
bool os_reserve_zeros_at(void *addr, size_t bytes);

/* ---- memory.c: commit, decommit ------------------------------------------------------------------------------------ */

/* Commits reserved or decommitted memory. What of it is committed already loses what it holds, or keeps it. False if refused.
 * Each border between what is committed and what is not is the border of a mapping, of which a process may have some
 * 65,000. */
bool os_commit(void *addr, size_t bytes);

/* The same for memory that reads as zeros (os_reserve_zeros), parts of which may be committed already and keep what they hold.
 * Others may read it meanwhile, nobody may write. */
bool os_commit_zeros(void *addr, size_t bytes);

/* Makes writable what is read-only; it keeps what it holds. False if refused. */
bool os_writable(void *addr, size_t bytes);

/* Decommits memory, also where the program has locked it (mlock). False if refused. */
bool os_decommit(void *addr, size_t bytes);

/* Purges committed memory. True only if it was seen to read as zeros then. False if refused, as for locked memory, or if the
 * kernel agrees and does nothing: what it holds is undefined then. */
bool os_purge(void *addr, size_t bytes);

/* Gives back the memory behind a range of any state, if the OS takes it; nobody counts on what it holds then. False if
 * refused. */
bool os_discard(void *addr, size_t bytes);

/* ---- locked.c ------------------------------------------------------------------------------------------------------ */

/* Purges committed memory that os_purge refuses because the program has locked it. It stays locked: each page that is touched
 * again. True only if it was seen to read as zeros then. If it was refused for the first page, that holds what it held. */
bool os_purge_locked(void *addr, size_t bytes);

/* ---- memory.c: read-only, untouchable ------------------------------------------------------------------------------ */

/* Makes committed memory read-only, until os_writable. False if refused. */
bool os_readonly(void *addr, size_t bytes);

/* Makes what a range is, its protection and its place, unchangeable for as long as the process lives. The kernel refuses before
 * Linux 6.10, and then nothing has changed. */
void os_seal(void *addr, size_t bytes);

/* Makes guard pages of committed memory, without a mapping of its own; os_guard_remove undoes it, the memory is zero then.
 * False where the kernel cannot: before Linux 6.13, for locked memory, and where it agrees and does nothing. */
bool os_guard_install(void *addr, size_t bytes);
bool os_guard_remove(void *addr, size_t bytes);

/* ---- memory.c: what is behind committed memory --------------------------------------------------------------------- */

/* Makes pages present in one go, without changing what they hold. False where the kernel cannot. */
bool os_populate(void *addr, size_t bytes);

/* Asks for huge pages behind a range that is aligned to HUGE_PAGE. False where the kernel will not. */
bool os_hugepage(void *addr, size_t bytes);

/* Makes the pages of a range that is aligned to HUGE_PAGE huge ones now, whatever the system's setting is; what has no memory
 * gets some. The kernel copies, and page faults wait for it. Returns 0 or the error number: ENOMEM where it has no huge page,
 * EAGAIN where something else has a page, EINVAL where the memory may not or it cannot, before Linux 6.1. */
int os_collapse(void *addr, size_t bytes);

/* Whether the process has given up huge pages (PR_SET_THP_DISABLE). */
bool os_huge_disabled(void);

/* Asks that there be none, whatever the system's setting is. */
void os_no_hugepage(void *addr, size_t bytes);

/* Names memory of os_map, os_reserve and the like in /proc/PID/maps. Nothing comes of it where the kernel was built without
 * CONFIG_ANON_VMA_NAME. Memory of another name beside it is another mapping to the kernel. */
void os_name_memory(void *addr, size_t bytes, const char *name);

/* Whether the eight bytes there can be read: what is said of one word holds for its page. False also if the kernel does not
 * say. One system call of some 100 ns. */
bool os_can_read(const void *word);

/* Copies memory of this process, any address and length; false if some of it is not there. */
bool os_read_memory(const void *from, void *out, size_t bytes);

/* ---- files.c ------------------------------------------------------------------------------------------------------- */

/* The path of the folder that the process is in. False if it has none, or one that does not fit. */
bool os_folder(char *out, size_t room);

/* Reads the start of a file, at most `room` bytes, without a NUL. Returns how many; 0 if it cannot be read. */
size_t os_read_file(const char *path, char *out, size_t room);

/* Opens a file for reading: its descriptor, closed on exec, or -1. */
int os_open_read(const char *path);

/* Reads up to `bytes` from `offset` on; returns how many there were. */
size_t os_read_at(int fd, void *out, size_t bytes, uint64_t offset);

/* Reads the start of a file that a user names, at most `room` bytes; of a pipe until its end. Waits at most two seconds at a
 * time for who writes to a pipe. Returns 0 or the error number: EISDIR for a folder, ENXIO for a pipe that nobody writes to. */
int os_read_path(const char *path, char *out, size_t room, size_t *length);

/* Makes a file anew for writing. Returns its descriptor, closed on exec, or a negated errno value: ENXIO for a pipe that nobody
 * reads. */
int os_create(const char *path);

/* The same of a file that keeps what it holds, for writing at its end. */
int os_append(const char *path);
void os_close(int fd);

/* Writes all of it to a file descriptor, as far as that goes. Returns 0, or the error's number; no signal comes of it (SIGPIPE,
 * SIGXFSZ, SIGTTOU). Waits as long as the kernel does; where the program has the descriptor non-blocking, two seconds for room,
 * then it is EAGAIN. */
int os_write(int fd, const char *text, size_t bytes);

/* Makes a file of the text at once: whoever opens the path finds the file as it was or the new one, whole. What is there and no
 * plain file (a pipe, a device) is written to as it is. Returns 0, or the error's number; the file is as it was then. */
int os_replace_file(const char *path, const char *text, size_t bytes);

/* A file of ours for writing. The program may close its descriptor behind our back and open something else that gets the
 * same number: what it was when we opened it is remembered and looked at before each write. */
struct os_file {
    int fd;
    uint64_t device, inode;
};

/* Creates the file, or empties it; it is closed by exec. Returns 0, or the error number. */
int os_file_create(struct os_file *file, const char *path);

/* Writes all of it, as os_write does. Returns 0, or the error number: EBADF if the descriptor is not that file any more. */
int os_file_write(const struct os_file *file, const char *text, size_t bytes);

/* Closes the descriptor if it still is that file. */
void os_file_close(const struct os_file *file);

/* Keeps a second descriptor of `fd`, closed by exec, for the case that the program closes the first; -1 if it is refused. */
void os_file_keep(struct os_file *kept, int fd);

/* ---- self.c: who the process is ------------------------------------------------------------------------------------- */

/* From now on the kernel may end the process for a call that is not one of memory or of writing (seccomp): none is made any
 * more to say who the process is, and none that a report can do without. What is known now stays. For the whole process, for
 * good. */
void os_shut_in(void);
bool os_is_shut_in(void);

/* In the child of a fork of a process that is shut in: its number. If that is 0, not known, its parent's stands for it. */
void os_shut_in_forked(int process);

/* prctl(2). Returns its result, or an error number, negated. */
long os_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);

/* True if a terminal is open there. Where the process is shut in, only of standard error is that known. */
bool os_is_terminal(int fd);

/* The thread's number is 0 where the process is shut in. */
int os_process_id(void);
int os_thread_id(void);

/* Names this thread, unless the process is shut in; at most 15 bytes of the name are kept. */
void os_name_thread(const char *name);

/* ---- pages.c: which pages have memory --------------------------------------------------------------------------------- */

/* A look over ranges of addresses. `fd` is /proc/self/pagemap, or -1: then pages that were only read count as having memory,
 * and huge pages are not told. */
#define OS_PAGES_RUNS 64
struct os_pages {
    int fd;
    bool refused; /* something was not answered, and counts as having no memory */
    uintptr_t at, end;
    size_t next, count;
    struct os_pages_found {
        uint64_t start, end, categories;
    } found[OS_PAGES_RUNS];
};

/* Neighbouring pages that have memory. */
struct os_pages_run {
    uintptr_t start, end;
    bool huge; /* in huge pages */
};

/* Opens a descriptor for looks, if that is not refused. Between this and the close, any ranges. */
void os_pages_open(struct os_pages *pages);
void os_pages_close(struct os_pages *pages);

/* The next range to look at, any address and length; what is not mapped has no memory. */
void os_pages_over(struct os_pages *pages, const void *start, size_t bytes);

/* How many OS pages of a range, which begins with one, have memory that only this process has: no other side of a fork, not the
 * page of zeros. Between open and close; 0 where the kernel does not say. */
size_t os_pages_alone(const struct os_pages *pages, const void *start, size_t bytes);

/* The next run of pages in the range, lowest address first; false at its end, or if that is refused. */
bool os_pages_next(struct os_pages *pages, struct os_pages_run *run);

/* ---- system.c: waiting, time, randomness ---------------------------------------------------------------------------- */

/* The number of the processor that this thread was on a moment ago, as the kernel keeps it in what libc has registered for
 * restartable sequences (rseq(2), glibc 2.35); 0 where nothing is registered. A hint: nothing may depend on it. */
unsigned os_processor(void);

/* Sleeps while *word == value, until os_futex_wake; may return early. */
void os_futex_wait(_Atomic uint32_t *word, uint32_t value);

/* Wakes one thread that sleeps in os_futex_wait for this word. */
void os_futex_wake(_Atomic uint32_t *word);

/* As os_futex_wait, for so many ms at the most. False if the kernel refuses to let a thread sleep. */
bool os_futex_sleep(_Atomic uint32_t *word, uint32_t value, uint64_t ms);

/* Milliseconds of a monotonic clock, a tick (1-10 ms) coarse. */
uint64_t os_clock_ms(void);

/* Microseconds of a monotonic clock. */
uint64_t os_clock_us(void);

/* Milliseconds of processor time that the process has had. */
uint64_t os_process_ms(void);

/* Microseconds of processor time that this thread has had. */
uint64_t os_thread_us(void);

/* Bytes that nobody can guess; where the kernel does not give them, bytes that are hard to guess. Any number. */
void os_random(void *out, size_t bytes);

/* ---- system.c: the process ------------------------------------------------------------------------------------------ */

/* Bytes of address space the process may use (RLIMIT_AS), SIZE_MAX if unlimited. */
size_t os_address_limit(void);

/* True if the program runs with privileges its caller has not (AT_SECURE): the environment is not to be trusted. */
bool os_is_secure(void);

/* What the process was given at its start (getauxval(3)); 0 if nothing of that type was. */
uintptr_t os_given(unsigned long type);

/* The name of a thread of this process, as prctl(2) sets it; empty if it is not known: the thread has ended, say, or the
 * process is shut in. */
void os_thread_name(int thread, char *out, size_t room);

/* sigaction(2): sets what a signal leads to, or asks. */
void os_signal(int number, const struct sigaction *action, struct sigaction *old);

/* Blocks all signals of this thread that another process or thread may send, but not those that an instruction raises, nor
 * libc's own. Returns which were blocked before, for os_signals_restore. */
uint64_t os_signals_block(void);
void os_signals_restore(uint64_t before);

/* Blocks all signals of this thread but libc's own, for good: for a thread of ours. */
void os_signals_block_all(void);

/* Sends a signal to this thread. */
void os_raise(int number);

/* Lets SIGSEGV and SIGBUS reach this thread, also in a handler of theirs. Returns what was blocked before, as above. */
uint64_t os_signals_let_faults(void);

/* Gives this thread a stack for its signals' handlers. False if it has one, or if that is refused. */
bool os_signal_stack(void *stack, size_t bytes);

/* Takes it away again, where it still is the thread's. False if a handler runs on it. */
bool os_signal_stack_end(void *stack);

/* What kind of access a SIGSEGV or SIGBUS at `p` was, by the context that its handler got. */
enum arch_access os_access(const void *context, const void *p);

/* False if the processor does not say which address that was: one that no memory can have. */
bool os_access_is_known(const void *context);

/* The stack pointer of what the signal has interrupted. */
uintptr_t os_access_stack(const void *context);

/* Of how many bytes the access was that met `p`; 0 if that is not known. Reads the instruction, as far as it can be read. */
size_t os_access_bytes(const void *context, const void *p);

/* Seals what is never written of the object that has `inside` in it: its segments that are not writable, and the pages that the
 * loader has made read-only after relocation. Asks the loader, which may take its lock. */
void os_seal_object(const void *inside);

/* The function that the program would have got had this library not one of that name: libc's, or that of a library loaded
 * between. NULL if there is none, or in a static program. Asks the loader, which may take its lock. */
void *os_next_function(const char *name);

/* An error number in words, in English; constant text. */
const char *os_error_text(int error);

/* Ends the process at once. */
_Noreturn void os_exit(int status);

/* Ends the process by SIGABRT. */
_Noreturn void os_abort(void);

/* True once os_abort has been called. */
bool os_is_aborting(void);

/* ---- filter.c: a program of ours ------------------------------------------------------------------------------------ */

/* How that has ended. */
enum os_filter_end {
    OS_FILTER_DONE,        /* by status 0 */
    OS_FILTER_REFUSED,     /* the system has no pipe or process for it, or the process has given up system calls (seccomp),
                              which starting a program might end */
    OS_FILTER_NOT_STARTED, /* `number` is the error */
    OS_FILTER_ENDED,       /* by another status: `number` */
    OS_FILTER_KILLED,      /* by the signal `number` */
    OS_FILTER_LATE,        /* it took longer than it may, and was killed */
    OS_FILTER_ENDLESS      /* it wrote more than there is room for, and was killed */
};

/* What is run: the text is its standard input, its standard output and error go to `out`. It has none of the process's signals,
 * descriptors and variables but `environment`, nor the limits of memory that it has set for itself. */
#define OS_FILTER_MOST (64 * KIB)
struct os_filter {
    const char *const *arguments, *const *environment;
    const char *text;
    size_t bytes; /* of the text, OS_FILTER_MOST at most */
    char *out;
    size_t room;
    unsigned seconds; /* that it may take; not counted while the process itself is stopped */
    size_t length;    /* set: bytes that are in `out` */
    int number;       /* set: as above */
};

/* Runs it and waits for its end. What it has started ends with it, unless that has left its process group. The process's
 * handler of SIGCHLD and its wait(2) never hear of it. */
enum os_filter_end os_filter(struct os_filter *filter);

#endif
