/* SPDX-License-Identifier: MIT */
/*
 * Messages without allocation, and the three ways something can be wrong:
 * misuse by the program -> report_misuse (always on, aborts); a broken invariant of ours -> ASSERT (debug builds);
 * refusal by the OS -> the callee returns NULL, nothing is printed. Event counters of debug builds live here too.
 */
#ifndef MYALLOC_REPORT_H
#define MYALLOC_REPORT_H

#include <stdatomic.h>

#include "base/base.h"

/* Writes "myalloc: " and the formatted text and a newline to standard error, in one write. */
void report_line(const char *format, ...);

/* "myalloc: CALL(0xPTR): WHAT" on standard error, then abort. */
_Noreturn COLD void report_misuse(const char *call, const void *pointer, const char *what);

/* The call that this thread last took a slow path for; and whether it is in one that must not be entered again before it is
 * left, as a signal handler may that allocates. */
struct report_thread {
    const char *call;
    bool inside;
};
extern HIDDEN THREAD_LOCAL struct report_thread report_thread;

/* A signal handler has called the allocator, which it had interrupted in the same thread: says so and aborts. */
_Noreturn COLD void report_reentered(void);

static inline void report_enter(void) {
    if (UNLIKELY(report_thread.inside))
        report_reentered();
    report_thread.inside = true;
    atomic_signal_fence(memory_order_seq_cst);
}

static inline void report_leave(void) {
    atomic_signal_fence(memory_order_seq_cst);
    report_thread.inside = false;
}

/* What a bad call of the program leads to, as M_CHECK_ACTION of mallopt(3) tells. */
enum report_action { REPORT_SAY = 1, REPORT_ABORT = 2, REPORT_SHORT = 4 };
extern HIDDEN _Atomic unsigned report_action; /* set by mallopt at any time */
void report_set_action(unsigned action);

/* Says so and aborts, as far as report_action tells; if it returns, the call must have no effect. For faults that leave
 * the allocator's own structures whole. */
COLD void report_bad_call(const char *call, const void *pointer, const char *what);

/* A walk over structures to find out whether their invariants hold (myalloc_check_heap). */
struct walk {
    size_t broken;
};

/* Counts an invariant that does not hold, and names the first WALK_SAID of a walk: "broken invariant: span S2 at 0x...".
 * Returns `holds`. */
#define WALK_SAID 8
bool report_walk(struct walk *walk, bool holds, const char *invariant, const void *where);

_Noreturn COLD void report_broken(const char *file, int line, const char *expression);

#define INVALID_POINTER "invalid pointer (not allocated by myalloc, or not the start of a block)"
#define DOUBLE_FREE "double free"

/* Checked always: for the code that is called to find out. */
#define CHECK(expression)                                                                                              \
    do {                                                                                                               \
        if (!(expression))                                                                                             \
            report_broken(__FILE__, __LINE__, #expression);                                                            \
    } while (0)

/* Checked in debug builds, type-checked in all. */
#define ASSERT(expression)                                                                                             \
    do {                                                                                                               \
        if (MYALLOC_DEBUG && !(expression))                                                                            \
            report_broken(__FILE__, __LINE__, #expression);                                                            \
    } while (0)

enum counter { COUNT_OPS, COUNT_LOCKS, COUNT_WAITS, COUNT_RMWS, COUNTERS };
extern HIDDEN _Atomic uint64_t report_counters[COUNTERS];

/* Counts one event; nothing in a release build. */
#define COUNT(which)                                                                                                   \
    do {                                                                                                               \
        if (MYALLOC_DEBUG)                                                                                             \
            atomic_fetch_add_explicit(&report_counters[which], 1, memory_order_relaxed);                               \
    } while (0)

/* "myalloc-counters: ops=N locks=N ..." on standard error. */
void report_counter_line(void);

#endif
