/* SPDX-License-Identifier: MIT */
/* What `myalloc replay` has its program do under each allocator: a recording made ready, in a file. Each block has a slot,
 * where the program keeps its address; slots of blocks that their own thread gives back are used again. A block that another
 * thread gives back has a slot of its own, and that thread waits until there is something in it: the order between threads.
 *
 * struct plan, a struct plan_thread for each thread, then their steps. */
#ifndef TOOLS_PLAN_H
#define TOOLS_PLAN_H

#include <stdint.h>

#define PLAN_MAGIC UINT64_C(0x326e616c70796d) /* "myplan2" */

struct plan {
    uint64_t magic, shared; /* slots of blocks that other threads give back */
    uint64_t threads, steps;
};

struct plan_thread {
    uint64_t offset, steps;  /* where its steps are in the file; how many */
    uint64_t slots;
    uint64_t begun, ended;   /* nanoseconds since the recording began */
    uint64_t after;          /* begins when the first thread has done so many steps */
};

enum plan_call { PLAN_MALLOC, PLAN_CALLOC, PLAN_MEMALIGN, PLAN_POSIX_MEMALIGN, PLAN_REALLOC, PLAN_FREE, PLAN_TRIM };

enum { PLAN_SHARED = 1 << 30, PLAN_NONE = (1 << 30) - 1 }; /* a flag in the number of a slot; no slot */

struct plan_step {
    uint64_t size;
    uint32_t slot, before; /* of the block that is got; of that which ends */
    uint32_t pause;        /* microseconds since the thread's step before, or since it began */
    uint8_t call, alignment_log;
    uint16_t touched;      /* of the pages of the block that is got, in parts of PLAN_TOUCHED_ALL: as many as had memory */
};

/* As exact as whole pages up to 256 MiB. */
enum { PLAN_TOUCHED_ALL = UINT16_MAX };

#ifndef PLAN_FORMAT_ONLY
#include <stdio.h>

#include "recording.h"

/* Writes it. NULL, or what is wrong. */
const char *plan_write(FILE *out, const struct recording *recording);
#endif

#endif
