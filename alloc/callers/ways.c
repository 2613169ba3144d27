/* SPDX-License-Identifier: MIT */
#include "callers/ways.h"

#include <stdatomic.h>

#include "kit/lock.h"
#include "callers/step.h"

#define WAYS 32 /* of malloc, free, calloc, realloc and operator new a process uses a dozen */

/* Where our own code lies: in the shared library, all of it; in a static program, the section that the Makefile puts the code
 * of libmyalloc.a in. The linker names the bounds of both. The shared library has that section, too, because unwind_capture is
 * put there by name; otherwise the linker would not know the names of its bounds. */
extern HIDDEN const char __ehdr_start[], _end[], __start_myalloc_text[], __stop_myalloc_text[];

bool ways_is_own(const void *address) {
    uintptr_t a = (uintptr_t)address;
    if (MYALLOC_STATIC)
        return a > (uintptr_t)__start_myalloc_text && a <= (uintptr_t)__stop_myalloc_text;
    return a > (uintptr_t)__ehdr_start && a <= (uintptr_t)_end;
}

/* Distances are from the stack pointer of the capture. */
struct way {
    unsigned count;            /* return addresses in our own code */
    uint32_t at[WAY_MOST + 1]; /* where they are, and behind them that in the program */
    uint32_t sp;               /* of the program's frame */
    uint32_t fp_at;            /* where that frame's frame pointer is stored; 0: it is kept */
    uintptr_t pc[WAY_MOST];
};

static struct way ways[WAYS] BIG_TABLE;
static _Atomic unsigned known; /* ways that are complete */
static _Atomic uint32_t reach;  /* the largest distance from the stack pointer that any of them looks at, ahead of `known` */
static struct turn adding;
static _Atomic bool hopeless;

static uintptr_t read_at(uintptr_t at) {
    return arch_return_address(*(const uintptr_t *)at);
}

static bool fits(const struct way *way, uintptr_t sp) {
    for (unsigned i = 0; i < way->count; i++)
        if (read_at(sp + way->at[i]) != way->pc[i])
            return false;
    return !ways_is_own((const void *)read_at(sp + way->at[way->count]));
}

/* Whether all that the ways look at can be read: the stack may end before. */
static bool reaches(uintptr_t sp, struct stack_memory *memory) {
    uintptr_t last = sp + atomic_load_explicit(&reach, memory_order_relaxed);
    for (uintptr_t at = sp; at < last; at += OS_PAGE)
        if (!stack_memory_has(memory, at))
            return false;
    return stack_memory_has(memory, last);
}

bool ways_leave(const struct arch_frame *here, struct stack_memory *memory, struct memo_frame *program) {
    uintptr_t sp = here->value[ARCH_SP];
    unsigned count = atomic_load_explicit(&known, memory_order_acquire);
    if (!reaches(sp, memory))
        return false;
    for (const struct way *way = ways; way < &ways[count]; way++)
        if (fits(way, sp)) {
            *program = (struct memo_frame){.sp = sp + way->sp, .pc = read_at(sp + way->at[way->count])};
            program->fp = way->fp_at != 0 ? *(const uintptr_t *)(sp + way->fp_at) : here->value[ARCH_FP];
            return program->pc != 0;
        }
    return false;
}

/* One frame further out, the way's next. False if the way cannot be kept. */
static bool extend(struct way *way, struct row row, uintptr_t start, struct stack_memory *memory, uintptr_t *sp,
                   uintptr_t *pc) {
    uintptr_t cfa = *sp + (uintptr_t)(row.cfa * 8), ra_at = cfa + (uintptr_t)(row.ra * 8);
    if (row.kind != ROW_SHORT || row.by_fp || row.in_link || !stack_memory_read(memory, ra_at, pc))
        return false;
    if (!row.keeps_fp)
        way->fp_at = (uint32_t)(cfa + (uintptr_t)(row.fp * 8) - start);
    way->at[way->count] = (uint32_t)(ra_at - start);
    way->sp = (uint32_t)(cfa - start);
    *pc = arch_return_address(*pc);
    *sp = cfa;
    return *pc != 0;
}

/* The way from there. False if it cannot be kept; *never if its code can never be left by a way: not where a signal's handler
 * was on it, which is seldom. */
static bool find(struct way *way, const struct arch_frame *here, const struct rows_view *rows, struct stack_memory *memory,
                 bool *never) {
    struct arch_frame frame = *here;
    uintptr_t start = here->value[ARCH_SP], sp = start;
    way->fp_at = 0;
    for (way->count = 0; way->count < WAY_MOST;) {
        struct row row = rows_find(rows, step_address(&frame));
        if (row.kind == ROW_NONE)
            row = rows_make(rows, &frame, memory);
        *never = row.kind != ROW_SIGNAL;
        if (!extend(way, row, start, memory, &sp, &frame.pc))
            return false;
        frame.known = UINT64_C(1) << ARCH_SP; /* by which the code that a signal's handler returns to is known */
        frame.value[ARCH_SP] = sp;
        frame.interrupted = false;
        if (!ways_is_own((const void *)frame.pc))
            return true;
        way->pc[way->count++] = frame.pc;
    }
    return false;
}

static void add(struct way *way, unsigned count) {
    uint32_t far = way->at[way->count] > way->fp_at ? way->at[way->count] : way->fp_at;
    if (far > atomic_load_explicit(&reach, memory_order_relaxed))
        atomic_store_explicit(&reach, far, memory_order_relaxed);
    atomic_store_explicit(&known, count + 1, memory_order_release);
}

static bool wants_more(unsigned count) {
    return count < WAYS && !atomic_load_explicit(&hopeless, memory_order_relaxed);
}

void ways_learn(const struct arch_frame *here, const struct rows_view *rows, struct stack_memory *memory) {
    struct memo_frame program;
    bool never = true;
    if (!wants_more(atomic_load_explicit(&known, memory_order_relaxed)) || !turn_try(&adding))
        return;
    unsigned count = atomic_load_explicit(&known, memory_order_relaxed);
    if (wants_more(count) && !ways_leave(here, memory, &program)) {
        if (find(&ways[count], here, rows, memory, &never))
            add(&ways[count], count);
        else
            atomic_store_explicit(&hopeless, never, memory_order_relaxed);
    }
    turn_end(&adding);
}

static void forked(void) {
    turn_forked(&adding);
}

const struct lock_set ways_locks = {.rank = LOCK_NONE, .forked = forked};
