/* SPDX-License-Identifier: MIT */
#include "process/background.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/base.h"
#include "base/myalloc.h"
#include "os/os.h"
#include "kit/lock.h"
#include "kit/modes.h"
#include "kit/report.h"
#include "kit/thread_names.h"
#include "kit/tunables.h"
#include "heap/aside.h"
#include "heap/cache.h"
#include "heap/collapse.h"
#include "heap/decay.h"
#include "heap/holes.h"
#include "heap/mapped.h"
#include "observe/letters.h"
#include "observe/record.h"
#include "process/all_locks.h"
#include "process/control.h"

#define NAME "myalloc"
#define SLEEP_LEAST_MS 10       /* the pace of steps; all of them together take a tenth of a processor at the most */
#define SLEEP_MOST_MS 250       /* where there is nothing to do: so much later than it became free memory begins to age */
#define TRANSIT_MS 200          /* chains that nobody passes on for so long go home: soon enough for the next look */
#define STACK_BYTES (48 * KIB)  /* beside what libc needs on it; the deepest of the calls has some 2 KiB */

/* A static program has these only if it uses threads itself. */
#pragma weak pthread_create
#pragma weak pthread_join
#pragma weak pthread_detach

static struct {
    struct turn turn;          /* of starting or ending the helper; what is not atomic is of the thread that is at it */
    _Atomic bool there;        /* the helper is to be joined, in the process of this number: */
    int process;
    pthread_t thread;
    _Atomic uint32_t ends;     /* 1: the helper is to end */
    _Atomic bool main_ended;
    _Atomic bool told;         /* that there is none */
} helper;

/* ---- the thread itself ------------------------------------------------------------------------------------------- */

/* How long until there may be something to do. */
static uint64_t ms_to_wait(void) {
    uint64_t now = os_clock_ms(), due = min_size(min_size(decay_due(), holes_due()), collapse_due());
    return due <= now ? SLEEP_LEAST_MS : max_size(min_size(due - now, SLEEP_MOST_MS), SLEEP_LEAST_MS);
}

static void tell(const char *why) {
    if (!atomic_exchange_explicit(&helper.told, true, memory_order_relaxed))
        report_line("background:on: %s; free memory goes back only when the program calls", why);
}

static bool is_wanted(void) {
    return tunables.background != 0 && !atomic_load(&helper.main_ended);
}

/* A command for the helper, from outside: it goes by itself then, as nobody else may come by. True if so. */
static bool answer(void) {
    struct mailbox_letter letter;
    if (!control_may_act() || !letters_read(&letter))
        return false;
    if (letter.command != MAILBOX_BACKGROUND || letter.argument > 1) {
        control_do(&letter);
        return false;
    }
    letters_take(&letter);
    mapped_mallopt(M_MYALLOC_BACKGROUND, (int)letter.argument);
    letters_answer(&letter, MAILBOX_DONE, 0, NULL);
    return letter.argument == 0;
}

/* Ends the helper from within. False if another thread ends it, and waits, or it is wanted again. libc frees in it what it
 * allocated for it, after all that a thread's end runs: so its cache is one that is closed already. */
static bool leave(void) {
    if (is_wanted() || pthread_detach == NULL || !turn_try(&helper.turn))
        return false;
    cache_try_open();
    cache_close();
    pthread_detach(helper.thread);
    atomic_store_explicit(&helper.there, false, memory_order_release);
    turn_end(&helper.turn);
    return true;
}

static void step(void) {
    static uint64_t transit_at; /* the helper's own, also in a child */
    uint64_t now = os_clock_ms();
    if (now - transit_at >= TRANSIT_MS) {
        transit_at = now;
        holes_flush_transit();
    }
    decay_look(now);
    holes_look(now);
    collapse_look(now);
    if (modes_has(MODE_RECORD))
        record_look();
}

static void *help(void *unused) {
    os_signals_block_all();
    os_name_thread(NAME);
    while (atomic_load_explicit(&helper.ends, memory_order_acquire) == 0) {
        if (modes_knocked() && answer() && leave())
            break;
        step();
        if (!os_futex_sleep(&helper.ends, 0, ms_to_wait())) {
            tell("the system refuses to let a thread sleep");
            break;
        }
    }
    return unused;
}

/* ---- its start and its end --------------------------------------------------------------------------------------- */

/* libc puts thread-local data on the stack, of any size; what it needs at the least, glibc tells by a function of its own. 0 if
 * that is not known. */
static size_t stack_bytes(const pthread_attr_t *attributes) {
    typedef size_t least_function(const pthread_attr_t *);
    static _Atomic(least_function *) known;
    least_function *least = atomic_load_explicit(&known, memory_order_relaxed);
    if (least == NULL)
        least = (least_function *)os_next_function("__pthread_get_minstack");
    atomic_store_explicit(&known, least, memory_order_relaxed);
    return least != NULL ? align_up(least(attributes) + STACK_BYTES, OS_PAGE) : 0;
}

static int create(void) {
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error != 0)
        return error;
    size_t bytes = stack_bytes(&attributes);
    if (bytes != 0)
        pthread_attr_setstacksize(&attributes, bytes);
    error = pthread_create(&helper.thread, &attributes, help, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

/* No signal comes between: a handler would run set aside, or in the new thread. */
static bool start(void) {
    if (pthread_create == NULL || pthread_join == NULL) {
        tell("this static program has no pthread_create and pthread_join");
        return false;
    }
    atomic_store_explicit(&helper.ends, 0, memory_order_relaxed);
    uint64_t before = os_signals_block();
    aside_begin();
    int error = create();
    aside_end();
    os_signals_restore(before);
    if (error != 0) {
        tell(error == EAGAIN ? "the system refuses a thread" : os_error_text(error));
        return false;
    }
    helper.process = os_process_id();
    atomic_store_explicit(&helper.there, true, memory_order_release);
    return true;
}

/* Waiting for a thread is a point at which the waiting one may be cancelled. */
static void end(void) {
    int before;
    atomic_store_explicit(&helper.ends, 1, memory_order_release);
    os_futex_wake(&helper.ends);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    if (helper.process == os_process_id()) /* not a child that no handler of fork has told */
        pthread_join(helper.thread, NULL);
    pthread_setcancelstate(before, NULL);
    atomic_store_explicit(&helper.there, false, memory_order_release);
}

void background_settle(void) {
    bool done = true;
    if (lock_is_forking() || aside_is_on()) /* a handler of fork, with all locks held */
        return;
    while (done && atomic_load(&helper.there) != is_wanted() && turn_try(&helper.turn)) {
        if (!is_wanted())
            end();
        else
            done = start();
        turn_end(&helper.turn);
    }
}

/* ---- commands from outside --------------------------------------------------------------------------------------- */

static bool is_settled(void) {
    return atomic_load(&helper.there) == (tunables.background != 0);
}

/* A thread is made and waited for only where the program could do so itself: not under locks of libc's. */
static void switch_helper(const struct mailbox_letter *letter) {
    int on = letter->argument == 1;
    if (MYALLOC_STATIC || pthread_create == NULL || pthread_join == NULL) {
        letters_take(letter);
        letters_answer(letter, MAILBOX_UNFIT, 0, NULL);
    } else if (control_is_for_libc()) {
        letters_leave();
    } else {
        letters_take(letter);
        mapped_mallopt(M_MYALLOC_BACKGROUND, on);
        background_settle();
        letters_answer(letter, is_settled() ? MAILBOX_DONE : MAILBOX_REFUSED, EAGAIN, NULL);
    }
}

void background_answer_slow(void) {
    struct mailbox_letter letter;
    int error = errno;
    if (!control_may_act() || !letters_read(&letter))
        return;
    if (letter.command == MAILBOX_BACKGROUND && letter.argument <= 1)
        switch_helper(&letter);
    else
        control_do(&letter);
    errno = error;
}

/* ---- forks, and the end of the main thread ------------------------------------------------------------------------ */

/* The thread that forked is the main thread now. One that a signal has interrupted in the allocator starts nothing. */
void background_forked(void) {
    atomic_store(&helper.there, false);
    turn_end(&helper.turn);
    atomic_store(&helper.main_ended, false);
    if (tunables.background != 0 && !report_thread.inside && !all_locks_is_interrupted())
        background_settle();
}

void background_thread_ends(void) {
    if (!atomic_load_explicit(&helper.there, memory_order_relaxed) || thread_number(report_thread_life()) != os_process_id())
        return;
    atomic_store(&helper.main_ended, true);
    background_settle();
}
