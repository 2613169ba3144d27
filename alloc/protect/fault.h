/* SPDX-License-Identifier: MIT */
/*
 * A fault of the program that has to do with a block: what it is called, what is known of the block, and how it
 * is told. The checks, guarded pages and hardened blocks share it, so that a misuse reads the same whoever finds it:
 *
 *     ==4711== program: myalloc: free(0x55dcadd4c010): memory clobbered past end of allocated block
 *       called from, thread 4711 (program)
 *         #0 ...
 *       block of 24 bytes at 0x55dcadd4c010, changed at offset 24
 *         0x55dcadd4c028: [41] 9f  a1 ...
 *       allocated by malloc, thread 4711 (program)
 *         #0 ...
 *     SUMMARY: myalloc: memory clobbered past end of allocated block: free in give+0x10 (/path/program+0x25ef)
 */
#ifndef MYALLOC_FAULT_H
#define MYALLOC_FAULT_H

#include "base/base.h"
#include "base/glibc.h"

enum fault_kind {
    FAULT_NONE,
    FAULT_HEAD,          /* bytes before the block have changed */
    FAULT_TAIL,          /* bytes behind it */
    FAULT_FREED_TWICE,
    FAULT_USED_FREED,    /* a call that is no free, for a block that is free */
    FAULT_WRITTEN_FREED, /* its memory has changed since it was freed */
    FAULT_FAMILY,        /* freed by another family of calls than it was allocated by (new.c says when that is not known) */
    FAULT_SIZE,          /* the call names a size that is not the block's */
    FAULT_ALIGNMENT,
    FAULT_INVALID,       /* no block starts there */
};

/* What is known of a block. */
struct fault_block {
    const char *start;
    size_t bytes, align;
    const char *alloc_call, *free_call; /* constant texts */
    uint32_t alloc_stack, free_stack;   /* stacks.h */
    int alloc_thread, free_thread;      /* lives (kit/thread_names.h); 0 if not known */
    bool freed;
};

/* Bytes between a block and an address that is not in it. A live block is thought to be meant before a freed one, which counts
 * as so much farther away. */
#define FAULT_FREED_FARTHER (32 * KIB)
static inline size_t fault_distance(const struct fault_block *block, const void *p) {
    uintptr_t at = (uintptr_t)p, start = (uintptr_t)block->start, end = start + block->bytes;
    size_t far = at < start ? start - at : at >= end ? at - end : 0;
    return far + (block->freed && far > 0 ? FAULT_FREED_FARTHER : 0);
}

#define FAULT_BYTES 48

struct finding;

struct fault {
    enum fault_kind kind;
    bool block_known;
    ptrdiff_t offset; /* of the changed byte, or of the pointer, from the block's start */
    size_t named;     /* the size or alignment that the call names */
    struct fault_block block;
    unsigned char bytes[FAULT_BYTES]; /* around the changed byte, as they were found */
    const char *bytes_start;          /* their address, a multiple of 16 or the start of what may not change */
    uint8_t bytes_count;              /* 0: none are known */
    uint64_t changed;                 /* a bit for each that is not what it was */
    void (*more)(struct finding *finding); /* what else there is to say, NULL for nothing */
};

/* Tells of a fault: to mcheck()'s function if there is one, else as report_action says, which may end the process. `p` is
 * the pointer that the call was given. No lock is held. A fault inside of such a report is not told, nor one whose check is
 * switched off by its name (tunables.def). */
COLD void fault_tell(const char *call, const void *p, const struct fault *fault);

/* Faults found under a lock, to be told once it is released. Those beyond the last are left out. */
#define FAULTS_MOST 4
struct fault_list {
    unsigned count; /* the rest need not be set at the start */
    struct {
        const char *call;
        const void *p;
        struct fault fault;
    } entries[FAULTS_MOST];
};

/* Adds a fault to the list, and returns it. */
struct fault *fault_add(struct fault_list *list, const char *call, const void *p);
void fault_tell_all(const struct fault_list *list);

/* A call's name as a small number, for records; the same text always has the same. 0 is a call that is not known. */
uint8_t fault_call_number(const char *call);
const char *fault_call_name(uint8_t number);

/* What is wrong with a call that frees or resizes a live block, but for its memory: sets kind and named, if the fault is
 * FAULT_NONE yet. `bytes` is SIZE_MAX and `align` 0 where the call does not name them. */
void fault_judge(struct fault *fault, const struct fault_block *block, const char *call, size_t bytes, size_t align);

/* What stands for the call of a fault that was found at the end of the process, or when a freed block's memory was about to be
 * used again. */
#define FAULT_AT_EXIT "at exit"
#define FAULT_AT_RELEASE "at the end of its quarantine"

/* A call that uses a block without freeing it. */
#define FAULT_USE "malloc_usable_size"

/* The fault in any call for a block that is free. */
enum fault_kind fault_of_freed(const char *call);

/* mcheck(3): the function that is told of faults instead of a message and an end, NULL for those. */
void fault_set_handler(void (*handler)(enum mcheck_status));
bool fault_has_handler(void);

/* To be called before a second thread runs: from now on the function's address is stored under a random mask (fault.c), and a
 * thread that set or called the function meanwhile would use another mask than the one it was stored under. */
void fault_mask_handler(void);

/* True in a report of this thread: the program's function is at it, and may allocate. */
bool fault_is_telling(void);

/* Parts of such a report: who allocated the block, and who freed it; the last line, `where` the fault was or NULL. */
void fault_say_history(struct finding *finding, const struct fault_block *block);
void fault_say_summary(struct finding *finding, const char *what, const char *call, const void *where);

/* Keeps what lies in [from, to) around the changed byte `at`, and which bytes of it are not the canary that was written there
 * (canary.h), or not the `pattern`. Caller holds the lock under which that may not change. */
void fault_dump_canary(struct fault *fault, const char *at, const char *from, const char *to, uint64_t secret, const char *nul);
void fault_dump_pattern(struct fault *fault, const char *at, const char *from, const char *to, unsigned char pattern);

enum mcheck_status fault_status(enum fault_kind kind);

#endif
