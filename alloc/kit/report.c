/* SPDX-License-Identifier: MIT */
#include "kit/report.h"

#include "base/glibc.h"
#include "os/os.h"
#include "os/os_fault.h"
#include "kit/finding.h"
#include "kit/readonly.h"
#include "kit/text.h"
#include "kit/thread_names.h"

_Atomic uint64_t report_counters[COUNTERS];
READONLY_PAGES(_Atomic unsigned, report_action) = {REPORT_SAY | REPORT_ABORT};
READONLY_NAME(_Atomic unsigned, report_action);

THREAD_LOCAL struct report_thread report_thread;

void report_line(const char *format, ...) {
    char line[512];
    size_t length = text_format(line, sizeof line - 1, "myalloc: ");
    va_list arguments;
    va_start(arguments, format);
    length += text_vformat(line + length, sizeof line - 1 - length, format, arguments);
    va_end(arguments);
    for (size_t i = 0; i < length; i++) /* a path from the environment may hold anything; a message is one line */
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';
    line[length++] = '\n';
    finding_write(line, length);
}

/* glibc keeps each thread's number in the structure that the thread pointer of x86-64 points to, and puts it right in the child
 * of a fork. Reading it is no system call, for which a filter of the program's might end it (seccomp). */
#if defined __x86_64__ && IS_GLIBC
#define THREAD_ID_OFFSET 720 /* in glibc 2.4 to 2.41; elsewhere it is found not to be there */
static int id_in_libc(void) {
    int id;
    __asm__("movl %%fs:%c1, %0" : "=r"(id) : "i"(THREAD_ID_OFFSET));
    return id;
}
#else
static int id_in_libc(void) {
    return 0;
}
#endif

static _Atomic int trust; /* 1: libc's number is right; 2: it is not */

/* The first answer is that of the main thread at the start of a mode, before the program may have a filter: it says whether
 * libc has the number where it is looked for. */
static NOINLINE int begin_life(void) {
    if (trust == 0)
        trust = id_in_libc() == os_thread_id() ? 1 : 2;
    int number = trust == 1 ? id_in_libc() : os_thread_id();
    report_thread.life = number != 0 ? thread_life_begin(number) : 0;
    return report_thread.life;
}

/* Where libc is right, a child of a fork that nobody has told finds a number that is not that of its life. */
int report_thread_life(void) {
    int life = report_thread.life;
    if (LIKELY(life != 0 && (thread_number(life) == id_in_libc() || trust == 2)))
        return life;
    return begin_life();
}

bool report_thread_is_ours(void) {
    int number = thread_number(report_thread_life());
    return os_is_shut_in() || number == os_thread_id();
}

void report_thread_ended(void) {
    thread_life_end(report_thread.life);
    report_thread.life = 0;
}

/* What ends a finding of the level at which nothing is recorded of blocks. */
static void end_plainly(struct finding *finding, const char *summary, const char *call, const char *advice) {
    char thread[48];
    if (!(report_action & REPORT_SHORT)) {
        if (*finding_thread(report_thread_life(), thread, sizeof thread) != '\0')
            finding_line(finding, "  called by %s", thread);
        finding_summary(finding, "%s%s%s", summary, *call != '\0' ? ": " : "", call);
        finding_line(finding, "  for more: %s", advice);
    }
    finding_end(finding);
}

static void say_bad_call(const char *call, const void *pointer, const char *what) {
    struct finding finding;
    finding_begin(&finding, "%s(%p): %s", call, pointer, what);
    end_plainly(&finding, what, call,
                "MYALLOC_OPTIONS=check:3 tells where this call, the block's allocation and its free were");
}

void report_misuse(const char *call, const void *pointer, const char *what) {
    report_thread.inside = false; /* a handler of the program for SIGABRT may allocate, which would be told as a second fault */
    say_bad_call(call, pointer, what);
    os_abort();
}

void report_overwritten_link(const void *from, const void *to, size_t bytes) {
    static const char what[] = "the link of a freed block was overwritten";
    struct finding finding;
    report_thread.inside = false;
    if (from != NULL)
        finding_begin(&finding, "%p: %s: this one of %z bytes, with %p", from, what, bytes, to);
    else
        finding_begin(&finding, "%s: of one of %z bytes, with %p", what, bytes, to);
    end_plainly(&finding, what, "", "MYALLOC_OPTIONS=check:3 tells who allocated and who freed it");
    os_abort();
}

void report_reentered(void) {
    static const char what[] = "called by a signal handler that interrupted the allocator in the same thread";
    const char *call = report_thread.call ? report_thread.call : "a function";
    struct finding finding;
    finding_begin(&finding, "%s: %s; a handler may only call what signal-safety(7) lists", call, what);
    end_plainly(&finding, what, call, "gdb's `bt` where the program aborts shows the handler and what it interrupted");
    os_abort();
}

void report_shut_in(void) {
    static _Atomic bool begun;
    if (!report_thread_is_ours() || atomic_exchange(&begun, true))
        return;
    thread_names_ask();
    finding_shut_in();
    os_shut_in();
}

/* The one thread of a new process has its number. Where the kernel is not asked, it has the name that it had in the parent. */
void report_forked(void) {
    char name[THREAD_NAME_ROOM];
    int before = report_thread.life;
    report_thread.life = 0;
    thread_names_forked();
    if (os_is_shut_in()) {
        thread_name_find(before, name);
        os_shut_in_forked(thread_number(report_thread_life()));
        thread_name_keep(report_thread.life, name);
    }
    finding_forked();
}

void report_set_action(unsigned action) {
    if (!readonly_open(&report_action, sizeof report_action))
        return;
    report_action = action;
    readonly_shut(&report_action, sizeof report_action);
}

void report_bad_call(const char *call, const void *pointer, const char *what) {
    if (report_action & REPORT_SAY)
        say_bad_call(call, pointer, what);
    if (report_action & REPORT_ABORT)
        os_abort();
}

bool report_walk(struct walk *walk, bool holds, const char *invariant, const void *where) {
    if (!holds && walk->broken++ < WALK_SAID)
        report_line("broken invariant: %s at %p", invariant, where);
    return holds;
}

void report_broken(const char *file, int line, const char *expression) {
    report_line("%s:%d: broken invariant: %s", file, line, expression);
    os_abort();
}

void report_counter_line(void) {
    char line[256];
    const size_t calls = MYALLOC_DEBUG ? (size_t)os_calls : 0; /* os_calls exists in debug builds only */
    size_t length = text_format(line, sizeof line, "myalloc-counters: ops=%z locks=%z waits=%z rmws=%z oscalls=%z\n",
                                (size_t)report_counters[COUNT_OPS], (size_t)report_counters[COUNT_LOCKS],
                                (size_t)report_counters[COUNT_WAITS], (size_t)report_counters[COUNT_RMWS], calls);
    finding_write(line, length);
}
