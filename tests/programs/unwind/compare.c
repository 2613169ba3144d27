/* SPDX-License-Identifier: MIT */
/* run: helper */
/* A preload that stops the program and compares, at each stop, the call stack that our unwinder finds with that of libgcc:
 * COMPARE=step at each instruction (x86-64), COMPARE=timer a thousand times a second. COMPARE_SKIP=N: only one stop in N is
 * compared; COMPARE_MOST=N: stops compared before the program runs on alone. At exit a line goes to the file COMPARE_LOG:
 * stops, differences, frames, stops at which libgcc's unwinder has faulted: it trusts tables that are wrong for the few
 * instructions by which it jumps to a handler of exceptions itself, where the stack pointer is another frame's already. The
 * unwinder is linked in, with stand-ins for what it needs of the allocator. */
#include <dlfcn.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include "callers/unwind.h"
#include "kit/budget.h"
#include "kit/modes.h"
#include "kit/tunables.h"

#define MOST 64

_Atomic unsigned modes_active = MODE_CHECK; /* so that rows and walks are kept */
HIDDEN THREAD_LOCAL unsigned lock_held_ranks;
struct tunables tunables = {.stack_depth = MOST};

void *budget_map_once(_Atomic(void *) *table, size_t bytes) {
    void *fresh = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *there = NULL;
    if (fresh == MAP_FAILED || atomic_compare_exchange_strong(table, &there, fresh))
        return fresh != MAP_FAILED ? fresh : NULL;
    munmap(fresh, bytes);
    return there;
}

struct stack {
    void *frames[MOST];
    unsigned count;
};

static long stops, compared, different, all_frames, faulted, most = 1000000, skip = 1;
static int log_file = -1;

static sigjmp_buf out_of_libgcc;
static volatile sig_atomic_t in_libgcc;

static void fault(int number) {
    if (in_libgcc)
        siglongjmp(out_of_libgcc, 1);
    signal(number, SIG_DFL);
}

static _Unwind_Reason_Code add(struct _Unwind_Context *context, void *data) {
    struct stack *stack = data;
    if (stack->count == MOST)
        return _URC_NORMAL_STOP;
    stack->frames[stack->count++] = (void *)_Unwind_GetIP(context);
    return _URC_NO_REASON;
}

static void tell(const char *who, const struct stack *stack) {
    char line[4096];
    int length = snprintf(line, sizeof line, "%s:", who);
    for (unsigned i = 0; i < stack->count && length < (int)sizeof line - 300; i++) {
        Dl_info info;
        if (dladdr(stack->frames[i], &info) != 0)
            length += snprintf(line + length, 250, " %s+%#tx", info.dli_fname, (char *)stack->frames[i] - (char *)info.dli_fbase);
        else
            length += snprintf(line + length, 250, " %p", stack->frames[i]);
    }
    dprintf(log_file, "%s\n", line);
}

/* The innermost frame is this function, at two places. Where libgcc's stops because code has no tables, ours may go on. */
static __attribute__((noinline)) void compare(void) {
    static struct stack ours, theirs;
    struct arch_frame here;
    arch_frame_here(&here);
    ours.count = unwind_walk(&here, ours.frames, MOST);
    theirs.count = 0;
    in_libgcc = 1;
    if (sigsetjmp(out_of_libgcc, 1) == 0)
        _Unwind_Backtrace(add, &theirs);
    else
        faulted++;
    in_libgcc = 0;
    if (theirs.count == 0)
        return;
    while (theirs.count > 0 && theirs.frames[theirs.count - 1] == NULL)
        theirs.count--;
    compared++;
    all_frames += ours.count;
    if (ours.count >= theirs.count && memcmp(ours.frames + 1, theirs.frames + 1, (theirs.count - 1) * sizeof(void *)) == 0)
        return;
    if (different++ < 3) {
        tell("ours", &ours);
        tell("libgcc", &theirs);
    }
}

static void stop(int number, siginfo_t *info, void *context) {
    (void)info;
    if (++stops % skip == 0 && compared < most)
        compare();
#ifdef __x86_64__
    greg_t *flags = &((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL];
    if (number == SIGTRAP)
        *flags = compared < most ? *flags | 0x100 : *flags & ~0x100; /* the trap flag: a signal behind the next instruction */
#else
    (void)number, (void)context;
#endif
}

static __attribute__((destructor)) void end(void) {
    signal(SIGPROF, SIG_IGN);
    if (compared > 0)
        dprintf(log_file, "compared %ld different %ld frames %ld faulted %ld\n", compared, different, all_frames, faulted);
    compared = most;
}

static __attribute__((constructor)) void start(void) {
    const char *how = getenv("COMPARE"), *name = getenv("COMPARE_LOG");
    struct sigaction action = {.sa_sigaction = stop, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct stack unused = {.count = 0};
    struct itimerval every = {{0, 1000}, {0, 1000}};
    if (how == NULL || name == NULL)
        return;
    log_file = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (getenv("COMPARE_SKIP") != NULL)
        skip = atol(getenv("COMPARE_SKIP"));
    if (getenv("COMPARE_MOST") != NULL)
        most = atol(getenv("COMPARE_MOST"));
    _Unwind_Backtrace(add, &unused); /* loads what libgcc needs */
    signal(SIGSEGV, fault);
    sigaction(strcmp(how, "step") == 0 ? SIGTRAP : SIGPROF, &action, NULL);
    if (strcmp(how, "step") == 0)
        raise(SIGTRAP);
    else
        setitimer(ITIMER_PROF, &every, NULL);
}
