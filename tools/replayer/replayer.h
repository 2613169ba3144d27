/* SPDX-License-Identifier: MIT */
/* `build/myalloc-replay [--pace] [--touch all|none|recorded] PLAN`: makes the calls of a plan (../plan.h) of whatever allocator it runs
 * on, with as many threads, and writes one line of JSON about it. `myalloc replay` preloads the allocator.
 *
 * What it needs itself is mapped and has its memory before it begins, so that it is the same number of pages throughout and is
 * taken off. steps.c: what a thread does. replay.c: beginning threads in their time, and looks at memory. */
#ifndef REPLAYER_H
#define REPLAYER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_FORMAT_ONLY
#include "../plan.h"

struct slot {
    void *block; /* NULL: nothing yet */
    uint64_t size;
    uint64_t touched; /* bytes from its start on */
};

struct worker {
    const struct plan_thread *plan;
    struct slot *slots;
    struct plan_step *steps; /* a part of them at a time; the thread's stack lies behind */
    pthread_t thread;
    bool has_begun, is_over; /* is_over: set by the thread itself */
    bool is_waiting;
    uint64_t done;           /* steps */
    int64_t live, blocks;    /* bytes and blocks that it has got, less what it has given back */
    uint64_t spent, cpu;     /* nanoseconds in calls and touching, by the clock and of the processor */
    uint64_t whole_cpu;      /* of the processor, in all that the thread did */
    uint64_t refused;        /* calls that got no memory */
};

enum { STEPS_AT_ONCE = 1024, STACK_BYTES = 256 * 1024 };

extern struct replay {
    int fd;
    bool paces;
    enum touching { TOUCH_ALL, TOUCH_NONE, TOUCH_RECORDED } touching;
    struct slot *shared;
    uint64_t begun; /* of the clock */
} replay;

uint64_t clock_ns(void);
uint64_t processor_ns(void); /* of this thread */

/* Ends the program with one line on standard error. */
_Noreturn void give_up(const char *what);

/* Makes all steps of a worker. */
void *steps_run(void *worker);

#endif
