/* SPDX-License-Identifier: MIT */
/*
 * Messages on standard error, and what is done about the three kinds of error:
 *   misuse by the program         report_misuse, in all builds: a message, then abort. Where the allocator's own structures are
 *                                 whole, report_bad_call, which does as M_CHECK_ACTION says
 *   a broken invariant of ours    ASSERT in debug builds; report_walk in a walk that looks for them
 *   refusal by the OS             the callee returns NULL or false, and nothing is printed
 * Also the event counters of debug builds.
 */
#ifndef MYALLOC_REPORT_H
#define MYALLOC_REPORT_H

#include <stdatomic.h>

#include "base/base.h"

/* Writes "myalloc: " and the formatted text and a newline to standard error, in one write. */
void report_line(const char *format, ...);

/* Tells "CALL(0xPTR): WHAT" as a finding (finding.h), then aborts. */
_Noreturn COLD void report_misuse(const char *call, const void *pointer, const char *what);

/* Says that a program wrote to a freed block of `bytes` bytes: its link leads to `to`, which is no free block. `from` is that
 * block, NULL if it is not known any more. Then abort. */
_Noreturn COLD void report_overwritten_link(const void *from, const void *to, size_t bytes);

/* What a thread is doing, for the case that a signal handler of the program interrupts it and allocates. */
struct report_thread {
    const char *call; /* the function of the program's last call that took a slow path */
    bool inside;      /* between report_enter and report_leave */
    uint16_t aside;   /* calls of this thread that have it served apart (heap/aside.h) */
    int life;         /* report_thread_life's answer, or 0 */
};
extern HIDDEN THREAD_LOCAL struct report_thread report_thread;

/* This thread, as records name it (thread_names.h): asked for once a thread, and again in the child of a fork. 0 if it is not
 * known, as of a thread that begins when the process is shut in, where libc does not say it. */
int report_thread_life(void);

/* False in the child of a vfork, which is another process in this one's memory. Cannot be told where the process is shut in. */
bool report_thread_is_ours(void);

/* The calling thread ends. If it makes calls nevertheless, it begins another life. */
void report_thread_ended(void);

/* The program begins to give up system calls (seccomp): what reports say of the process and its threads is asked now, and not
 * any more (os_shut_in). */
void report_shut_in(void);

/* In the child of a fork. */
void report_forked(void);

/* Says that a signal handler has called the allocator, which it had interrupted in the same thread, and aborts. */
_Noreturn COLD void report_reentered(void);

/* Around the parts of slow paths that must not be entered again before they are left: while a thread's lists are changed. If a
 * signal handler does, that is told by report_reentered. */
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
extern HIDDEN _Atomic unsigned report_action;     /* bits of it; REPORT_SHORT has no effect */
void report_set_action(unsigned action); /* at the start, or under LOCK_MAPPED (readonly.h) */

/* As report_misuse, but prints and aborts only as far as report_action says. If it returns, the call must have no effect. For
 * misuse that was noticed before the allocator's own structures were harmed. */
COLD void report_bad_call(const char *call, const void *pointer, const char *what);

/* A walk over all structures to find out whether their invariants hold (myalloc_check_heap). */
struct walk {
    size_t broken; /* invariants, counted once for each place */
};

/* Counts an invariant that does not hold, and names the first WALK_SAID of a walk: "broken invariant: span S2 at 0x...".
 * Returns `holds`. */
#define WALK_SAID 8
bool report_walk(struct walk *walk, bool holds, const char *invariant, const void *where);

_Noreturn COLD void report_broken(const char *file, int line, const char *expression);

#define INVALID_POINTER "invalid pointer (not allocated by myalloc, or not the start of a block)"
#define NOT_LIVE "no live block (freed already, or never allocated)"
#define DOUBLE_FREE "double free"

/* Checked in all builds: in functions that are called to find out whether an invariant holds. */
#define CHECK(expression)                                                                                              \
    do {                                                                                                               \
        if (!(expression))                                                                                             \
            report_broken(__FILE__, __LINE__, #expression);                                                            \
    } while (0)

/* Checked in debug builds; in the others the compiler still looks at its types, and nothing is left of it. */
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
