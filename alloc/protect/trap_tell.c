/* SPDX-License-Identifier: MIT */
#include "protect/trap_tell.h"

#include <stdatomic.h>

#include "os/os.h"
#include "kit/finding.h"
#include "kit/modes.h"
#include "kit/report.h"
#include "kit/text.h"
#include "callers/backtrace.h"
#include "callers/unwind.h"
#include "protect/fault.h"

#define PATIENCE_MS 2000 /* for another thread's report, which a symbolizer may make a long one */

/* How far from the stack pointer an access is taken for one to the stack: functions touch no more below it than the 128 bytes
 * that the x86-64's calling convention lends them, and a red zone of the kernel's besides; above it they touch a new frame. */
#define BELOW_STACK 512
#define ABOVE_STACK (64 * KIB)

#define UNKNOWN (-1)
#define NULL_PAGE ((uintptr_t)4096) /* what lies there is reached by a null pointer and an offset */

static _Atomic int teller;                /* the thread that tells; others wait until it has done */
static const struct access *_Atomic told; /* what it tells of */
static struct finding *_Atomic under_way; /* the report, once begun */

/* ---- what is told ------------------------------------------------------------------------------------------------ */

static const char *access_word(enum arch_access access) {
    static const char *const words[] = {
        [ARCH_ACCESS] = "access", [ARCH_READ] = "read", [ARCH_WRITE] = "write", [ARCH_EXECUTE] = "jump"};
    return words[access];
}

/* "write of 4 bytes at", "jump to". */
static void describe(const struct access *access, char *out, size_t room) {
    const char *word = access_word(access->kind);
    if (access->kind == ARCH_EXECUTE || access->bytes == 0)
        text_format(out, room, access->kind == ARCH_EXECUTE ? "%s to" : "%s at", word);
    else
        text_format(out, room, access->bytes == 1 ? "%s of %z byte at" : "%s of %z bytes at", word, access->bytes);
}

/* True if the stack was not there, not even for a signal's handler. What runs past a stack's upper end is another fault. */
static bool is_on_stack(const struct access *access) {
    uintptr_t p = (uintptr_t)access->p, sp = os_access_stack(access->context);
    if (access->kind == ARCH_EXECUTE || p + BELOW_STACK <= sp || p >= sp + ABOVE_STACK)
        return false;
    return p < sp || !os_can_read((const void *)align_down(sp, 8));
}

/* The innermost frame is where the fault was: an address that is no code, where it jumped there. */
static const void *say_where(struct finding *finding, const struct access *access) {
    void *frames[UNWIND_MOST];
    char thread[48];
    unsigned count = unwind_interrupted(access->context, access->kind == ARCH_EXECUTE, frames, UNWIND_MOST);
    if (is_on_stack(access))
        finding_line(finding, "  on its stack: the stack pointer is %p", (void *)os_access_stack(access->context));
    finding_thread(report_thread_life(), thread, sizeof thread);
    if (count > 0) {
        finding_line(finding, "  at%s%s", *thread != '\0' ? ", " : "", thread);
        backtrace_print(finding, frames, count);
    }
    unsigned named = access->kind == ARCH_EXECUTE ? 1 : 0; /* who jumped, if that is known */
    return count > named ? frames[named] : count > 0 ? frames[0] : NULL;
}

static void say_hit(struct finding *finding, const struct protection *row, const struct fault_block *block,
                    const struct access *access) {
    const char *p = access->p;
    char word[48];
    describe(access, word, sizeof word);
    if (block->start == NULL) {
        finding_next(finding, "%s %p: %s", word, p, row->mode == MODE_GUARDED ? "a guarded page that no block had yet"
                                                                               : "between hardened blocks, none is near");
        if (!(report_action & REPORT_SHORT))
            say_where(finding, access);
        return;
    }
    bool below = p < block->start, above = p >= block->start + block->bytes;
    const char *what = block->freed ? "use after free"
                       : below     ? "buffer underflow"
                       : above     ? "buffer overflow"
                                   : "block executed";
    size_t far = (size_t)(below ? block->start - p : above ? p - (block->start + block->bytes) : p - block->start);
    finding_next(finding, "%s: %s %p, %z byte%s %s the block of %z bytes at %p", what, word, p, far, far == 1 ? "" : "s",
                  below ? "before" : above ? "behind" : "inside", block->bytes, block->start);
    if (report_action & REPORT_SHORT)
        return;
    const void *where = say_where(finding, access);
    fault_say_history(finding, block);
    if (row->more != NULL)
        row->more(finding);
    fault_say_summary(finding, what, access_word(access->kind), where);
}

/* Where no block is near. */
static void say_elsewhere(struct finding *finding, const struct access *access) {
    bool known = os_access_is_known(access->context), null = known && (uintptr_t)access->p < NULL_PAGE;
    bool jump = access->kind == ARCH_EXECUTE, stack = known && is_on_stack(access);
    const char *what = null ? "null pointer" : stack ? "stack overflow" : "bad address";
    char word[48];
    describe(access, word, sizeof word);
    if (!known)
        finding_next(finding, "%s: one that no memory can have", what);
    else
        finding_next(finding, "%s: %s %p%s", what, word, access->p,
                      jump && !null ? ", where no code is" : "");
    if (report_action & REPORT_SHORT)
        return;
    const void *where = say_where(finding, access);
    if (fault_is_telling())
        finding_line(finding, "  in the middle of another report, which is lost");
    if (null && modes_has(MODE_HARDENED))
        finding_line(finding, "  a freed block of up to 32 KiB reads as zeros under protect:paranoid");
    fault_say_summary(finding, what, access_word(known ? access->kind : ARCH_ACCESS), where);
}

/* ---- whose turn it is -------------------------------------------------------------------------------------------- */

/* A thread's life is its number and more (thread_names.h); those that are not known count as one. */
static int this_thread(void) {
    int life = report_thread_life();
    return life != 0 ? life : UNKNOWN;
}

/* False if the thread has it already. */
static bool take_turn(int self) {
    uint64_t end = os_clock_ms() + PATIENCE_MS;
    for (int other = 0; !atomic_compare_exchange_strong(&teller, &other, self); other = 0) {
        if (other == self)
            return false;
        if (os_clock_ms() > end) {
            atomic_store(&teller, self);
            return true;
        }
        os_futex_wait((_Atomic uint32_t *)&teller, (uint32_t)other);
    }
    return true;
}

static void end_turn(void) {
    atomic_store(&under_way, NULL);
    atomic_store(&teller, 0);
    os_futex_wake((_Atomic uint32_t *)&teller);
}

/* The report may be left anywhere: in the loader, in the middle of a line. */
static const struct access *give_up(const struct access *access) {
    struct finding *finding = atomic_load(&under_way);
    const struct access *first = atomic_load(&told);
    char word[48], first_word[48];
    describe(access, word, sizeof word);
    describe(first, first_word, sizeof first_word);
    atomic_store(&under_way, NULL);
    if (finding != NULL) {
        finding_line(finding, "  ... cut: the report has faulted itself: %s %p", word, access->p);
        finding_end(finding);
    } else {
        report_line("%s %p: the report of this has faulted itself: %s %p", first_word, first->p, word, access->p);
    }
    end_turn();
    return first;
}

bool trap_is_telling(void) {
    return atomic_load(&teller) == this_thread();
}

const struct access *trap_tell(const struct protection *row, const struct fault_block *block, const struct access *access) {
    struct finding finding;
    if (!take_turn(this_thread()))
        return give_up(access);
    atomic_store(&told, access);
    finding_open(&finding); /* before its first line, so that it is known before anything can fault */
    atomic_store(&under_way, &finding);
    if (row != NULL)
        say_hit(&finding, row, block, access);
    else
        say_elsewhere(&finding, access);
    atomic_store(&under_way, NULL);
    finding_end(&finding);
    end_turn();
    return NULL;
}
