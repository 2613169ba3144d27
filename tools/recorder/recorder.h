/* SPDX-License-Identifier: MIT */
/* What stands between a program and its allocator while `myalloc record` records: a library of its own, preloaded before the
 * allocator. It hands each call on to the next definition of it, and writes an event (../recording_format.h) into the buffer of
 * the thread. No thread waits for another on that way: the buffers are the threads' own, and the table of births has a
 * slot a block, which is written by who has got the block and read by who frees it.
 *
 * calls.c, operators.c: the calls. births.c: which block lies at an address. touched.c: how much of large ones had memory.
 * streams.c: buffers and frames. process.c: the file, fork and the end. ends.c: exec, and ends that run no handler.
 *
 * Its own memory is mapped, never allocated. A call that comes while the thread is inside of another one (the allocator's own,
 * C++'s new in malloc, a signal handler) is handed on and not recorded. */
#ifndef RECORDER_H
#define RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../recording_format.h"

#define EXPORTED __attribute__((visibility("default")))
#define COLD __attribute__((noinline, cold))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

enum { EVENT_MAX = 48 }; /* bytes; the longest has a head and five numbers */

/* The calls of one thread. Only its thread writes events; who ends the process or begins another program writes the frame. */
struct stream {
    unsigned char *at;    /* where the next event comes; all before it are whole */
    unsigned char *full;  /* from here on there is no room for another */
    uint64_t births;
    uint64_t last_other;  /* the birth that the last zigzag named */
    uint64_t unit;        /* the time of the last event that tells one */
    long tick;            /* of the coarse clock, when the time was looked at */
    uint32_t since;       /* events since then */
    uint32_t thread;
    unsigned char *start; /* events from here on are in no frame */
    uint64_t begun;       /* nanoseconds: when the frame began */
    struct stream *next;
    int lock;             /* for what is not the thread's alone: frames */
    struct packer *packer;
    unsigned char *frame; /* room for a header and what follows */
    unsigned char raw[RECORDING_RAW_MAX];
};

/* A thread's own. */
struct own {
    struct stream *stream; /* NULL: none yet, or it has ended */
    volatile bool is_inside, is_over, is_late;
    unsigned char rounds; /* of destructors at the end of the thread */
};

extern __thread struct own own __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* ---- births.c ---- */

enum { GRAIN_SHIFT = 4, LEAF_SHIFT = 26, ADDRESS_BITS = 48, LEAF_SLOTS = 1 << (LEAF_SHIFT - GRAIN_SHIFT) };

/* In the slot of a block whose pages are looked at before it ends: no thread has a number of that bit. */
#define BIRTH_LARGE (UINT64_C(1) << 63)

/* Behind the slots of a leaf: of large blocks no two begin in the same LARGE_SHIFT bits of addresses. */
enum { LARGE_SHIFT = 17, LEAF_LARGE = 1 << (LEAF_SHIFT - LARGE_SHIFT) };
_Static_assert(1 << LARGE_SHIFT == RECORDING_TOUCHED_LEAST, "two large blocks could begin in one part");

struct leaf {
    uint64_t slots[LEAF_SLOTS];
    uint64_t large[LEAF_LARGE]; /* of the last large block that began there: its size, and in the low bits which grain */
    uintptr_t address;          /* of the first slot */
    struct leaf *next;
};

/* Blocks lie 16 bytes apart, but for those of 8 bytes in some allocators: what lies between has leaves of its own. */
extern struct leaf *births_leaves[2][1 << (ADDRESS_BITS - LEAF_SHIFT)] __attribute__((visibility("hidden")));

/* Makes the leaf of the address. NULL if there is no memory, or no process has such addresses. */
struct leaf *births_leaf(uintptr_t address);

/* All that there are, the newest first. */
struct leaf *births_all(void);

/* The slot of a block, which has its BLOCK_OF, or 0; NULL if there is no leaf for it. */
static inline uint64_t *births_slot(const void *block, bool makes)
{
    uintptr_t address = (uintptr_t)block;
    struct leaf *leaf;

    if (UNLIKELY(address >> ADDRESS_BITS))
        return NULL;
    leaf = __atomic_load_n(&births_leaves[address >> 3 & 1][address >> LEAF_SHIFT], __ATOMIC_ACQUIRE);
    if (UNLIKELY(!leaf) && (!makes || !(leaf = births_leaf(address))))
        return NULL;
    return leaf->slots + (address >> GRAIN_SHIFT) % LEAF_SLOTS;
}

/* ---- touched.c ---- */

/* Notes the size of a large block whose slot is there. Returns BIRTH_LARGE. */
uint64_t touched_note(const void *block, size_t size);

/* Pages of the block that have memory now; `value` is that of its slot. 0 if it is none of this process's large blocks. */
uint64_t touched_pages(const void *block, uint64_t value);

/* Tells of a block that has so many. */
void touched_tell(struct stream *stream, uint64_t value, uint64_t pages);

/* Tells of all large blocks that are left. */
void touched_tell_left(struct stream *stream);

/* ---- streams.c ---- */

/* The stream to record into; NULL if this call is not recorded. Each that is entered is left. */
struct stream *streams_enter_slow(void);
void streams_leave_late(void);

/* Room for another event: writes a frame. */
void streams_make_room(struct stream *stream);

/* The time has gone on, or perhaps: writes it behind an event's head where it has. Returns where the event goes on. */
unsigned char *streams_time(struct stream *stream, unsigned char *head, unsigned char *at);

/* Writes what all threads have recorded so far. `is_inside`: the caller has interrupted a call of its thread, which may hold a
   lock of ours. False if it had to leave something out. */
bool streams_write_all(bool is_inside);

/* Lets go of all streams, which are the parent's. */
void streams_forget(void);

/* Before and after fork: nobody changes the list of streams. */
void streams_lock(void);
void streams_unlock(void);

/* ---- process.c ---- */

/* Opens the file of this process, once. False as long as that cannot be, or for good. */
bool process_begin(void);

/* Whether calls are recorded. */
bool process_records(void);

/* Writes all that there is, and that nothing is missing; `for_good`: nothing comes behind that. Does nothing in the child of a
   vfork, where all is the parent's, which goes on. */
void process_end(bool for_good);

/* Writes a frame's header and the bytes behind it, which have the room of a header before them. */
void process_write(struct recording_frame *frame);

/* A thread's number. */
uint32_t process_next_thread(void);
uint32_t process_first_thread(void);

uint64_t process_clock(void); /* nanoseconds since the recording began */
uint32_t process_scale(void);

/* A free counter of the processor, or nanoseconds where there is none. */
static inline uint64_t process_ticks(void)
{
#if defined __x86_64__
    return __builtin_ia32_rdtsc();
#elif defined __aarch64__
    uint64_t ticks;

    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks << 6; /* it counts some 25 to 100 a microsecond */
#else
    return process_clock();
#endif
}

enum { UNIT_SHIFT = 10 }; /* ticks a unit of time: a third to half of a microsecond */

#endif
