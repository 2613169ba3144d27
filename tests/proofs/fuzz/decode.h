/* SPDX-License-Identifier: MIT */
/*
 * What the bytes of an input mean. Four bytes say how the process begins, then each call has five:
 *     what it is and by which thread · the slot of the block · two for a size · one for the rest
 * Every input is a program: one of less than nine bytes counts as nine zeros, what is left over at the end is not
 * looked at.
 */
#ifndef TESTS_FUZZ_DECODE_H
#define TESTS_FUZZ_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { THREADS = 4, SLOTS = 256, CALLS_MOST = 1024, HEAD = 4, CALL = 5 };

enum call_kind {
    CALL_MALLOC,
    CALL_CALLOC,
    CALL_REALLOC,
    CALL_REALLOCARRAY,
    CALL_FREE,
    CALL_FREE_SIZED,
    CALL_ALIGNED_ALLOC,
    CALL_POSIX_MEMALIGN,
    CALL_MEMALIGN,
    CALL_VALLOC,
    CALL_PVALLOC,
    CALL_NEW,
    CALL_USABLE,
    CALL_MALLOPT,
    CALL_TRIM,
    CALL_MALLINFO,
    CALL_CHECK_HEAP,
    CALL_JSON,
    CALL_INFO,
    CALL_THREAD_END,
    CALL_FORK,
    CALL_REFUSE,
    CALL_CLOCK,
    CALL_SBRK,
    CALL_MISUSE,
    CALL_BURST,
    CALL_FREE_RANGE,
    CALL_LOOK,
    CALL_MTRACE,
    CALL_MCHECK,
    CALL_BARRIER,
    CALL_CHURN,
    CALL_KINDS
};

/* How the process begins. */
struct start {
    const char *options;  /* MYALLOC_OPTIONS */
    size_t limit;         /* that they set; SIZE_MAX: none */
    bool check, leaks;    /* that they switch on */
    unsigned perturb;     /* that they set */
    size_t address_space; /* RLIMIT_AS as the allocator is told */
    int action;           /* mallopt(M_CHECK_ACTION) at the start: misuse is reported (1) or not (0); -1: not called */
    bool parallel;        /* calls of several threads run at the same time, up to the next barrier */
    bool leave;           /* blocks are left when the process ends */
    unsigned char seed;   /* of the patterns */
};

struct call {
    enum call_kind kind;
    unsigned thread, slot;
    size_t bytes;
    unsigned number; /* the two bytes of the size, as they are */
    unsigned extra;
};

/* The number of calls, 1 to CALLS_MOST. */
size_t decode(const uint8_t *data, size_t size, struct start *start, struct call calls[CALLS_MOST]);

/* Slots that a call touches: `slot` and those behind it, to the last one at most. */
unsigned decode_slots(const struct call *call);

/* An alignment for calls that have one, good or not. */
size_t decode_align(const struct call *call);

/* A power of two from 1 to 2 MiB. */
size_t decode_good_align(const struct call *call);

/* The count that goes with `bytes` in calloc and reallocarray, whose product may overflow. */
size_t decode_count(const struct call *call);

/* How often a churn allocates: seldom where blocks are long, because they may be filled. */
unsigned decode_times(const struct call *call);

/* A parameter of mallopt, its value, and what must be returned. */
struct option {
    int parameter, value;
    bool good;
};
struct option decode_option(const struct call *call);

/* "t1 [12] = malloc(100)". Returns `out`. */
char *decode_show(const struct call *call, char *out, size_t room);
char *decode_show_start(const struct start *start, char *out, size_t room);

#endif
