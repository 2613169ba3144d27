/* SPDX-License-Identifier: MIT */
/*
 * fork() while others allocate, end, read and flush streams, and fork too. alloc/process/fork.c: before_fork,
 * after_fork_in_parent, after_fork_in_child; alloc/process/all_locks.c: all_locks_try_fork, all_locks_fork_release;
 * alloc/kit/lock.h: lock_acquire, lock_is_forking; alloc/kit/lock.c: lock_set_acquire, lock_set_release, lock_fork_begin,
 * lock_fork_end; alloc/heap/central_shards.c: first_use; alloc/heap/central.c: nth_class_lock; alloc/heap/cache.c: cache_try_open, cache_close. Of the
 * ranks of locks, one each of the kinds that behave differently: the list of caches, first uses, two classes (the second not
 * used before), spans under a class. glibc's part: the lock of a stream, whose owner allocates (getline); the recursive lock
 * on the list of streams, under which fflush(NULL) waits for each stream, and which fork() takes after all prepare handlers
 * and lets go before the parent's; the lock on the list of handlers, under which pthread_atfork allocates, and which fork()
 * holds from before the first handler to behind the last, but not while a handler runs (from 2.36 on) or then, too. A handler
 * of the program, registered before ours, runs between ours and may allocate. alloc/process/fork.c: __register_atfork.
 *
 * Holds: all threads come to their end, whatever waits for what; at the instant of the copy every lock there is is the
 * forking thread's, so no other thread is inside a section, and the child may reset them all; no lock is released by one
 * who does not hold it.
 *
 * small: -DFORKERS=2 -DENDERS=0 -DTIMES=1
 * big: -DFORKERS=2 -DENDERS=2 -DTIMES=1
 * mutant 1: the lock on the list of streams is not taken before our own
 * mutant 2: the lock on the list of streams is taken after our own
 * mutant 3: spans are locked before the classes
 * mutant 4: the lock on spans is left out
 * mutant 5: the forking thread's own calls take locks between the handlers
 * mutant 6: locks are let go before the thread says that it no longer owns them all
 * mutant 7: a class first used in a handler is not locked
 * mutant 8: first uses are not stopped
 * mutant 9: a thread that registers a handler waits for locks like any other
 */
#include "common.h"

#define CACHES 0
#define PLACES 1
#define CLASS 2 /* and CLASS + 1 */
#define SPANS 4
#define LOCKS 5
#define NOBODY 255

byte lock[LOCKS] = NOBODY;
byte list_lock = NOBODY, list_depth, stream_lock = NOBODY;
byte fork_owner = NOBODY;
byte class_count = 1;
bool streams; /* the C library has a lock on its list of streams */
byte handlers_lock = NOBODY;
bool handlers_drop; /* it is let go while a handler runs */

inline lock_acquire(l) {
    if
    :: fork_owner == me && !MUTANT(5)
    :: else -> atomic { lock[l] == NOBODY -> lock[l] = me }
    fi
}

inline lock_release(l) {
    if
    :: fork_owner == me && !MUTANT(5)
    :: else -> atomic { assert(lock[l] == me); lock[l] = NOBODY }
    fi
}

inline fork_acquire(l) { atomic { lock[l] == NOBODY -> lock[l] = me } }
inline fork_release(l) { atomic { assert(lock[l] == me); lock[l] = NOBODY } }

inline list_acquire() {
    atomic { (!streams || list_lock == NOBODY || list_lock == me) -> list_lock = (streams -> me : NOBODY); list_depth++ }
}

inline list_release() {
    atomic {
        assert(!streams || list_lock == me);
        list_depth--;
        if
        :: list_depth == 0 -> list_lock = NOBODY
        :: else
        fi
    }
}

inline first_use() {
    lock_acquire(PLACES);
    if
    :: class_count == 1 ->
        if
        :: fork_owner == me && !MUTANT(7) -> fork_acquire(CLASS + 1)
        :: else
        fi;
        class_count = 2
    :: else
    fi;
    lock_release(PLACES)
}

/* An allocation that reaches the page heap, of a class that was used before (k = 0) or perhaps not (k = 1). */
inline allocate(k) {
    if
    :: k == 1 && class_count == 1 -> first_use()
    :: else
    fi;
    lock_acquire(CLASS + k);
    lock_acquire(SPANS);
    lock_release(SPANS);
    lock_release(CLASS + k)
}

/* getline */
proctype reader() {
    byte me = 0, times;
    do
    :: times < TIMES ->
        times++;
        atomic { stream_lock == NOBODY -> stream_lock = me };
        allocate(1);
        stream_lock = NOBODY
    :: else -> break
    od
}

/* fflush(NULL) */
proctype flusher() {
    byte me = 1, times;
    do
    :: times < TIMES ->
        times++;
        list_acquire();
        atomic { stream_lock == NOBODY -> stream_lock = me };
        stream_lock = NOBODY;
        list_release()
    :: else -> break
    od
}

inline handlers_acquire() { atomic { handlers_lock == NOBODY -> handlers_lock = me } }
inline handlers_release() { atomic { assert(handlers_lock == me); handlers_lock = NOBODY } }
inline handler_begins() {
    if
    :: handlers_drop -> handlers_release()
    :: else
    fi
}
inline handler_ends() {
    if
    :: handlers_drop -> handlers_acquire()
    :: else
    fi
}

/* pthread_atfork, with room to make in the list */
proctype registrar(byte me) {
    handlers_acquire();
    if
    :: MUTANT(9) -> allocate(0)
    :: else /* served apart, without a lock */
    fi;
    handlers_release()
}

/* A thread that starts, allocates and ends. */
proctype ender(byte me) {
    lock_acquire(CACHES);
    lock_release(CACHES);
    allocate(1);
    lock_acquire(CACHES);
    lock_release(CACHES)
}

inline before_fork() {
    if
    :: !MUTANT(1) && !MUTANT(2) -> list_acquire()
    :: else
    fi;
    fork_acquire(CACHES);
    if
    :: MUTANT(8)
    :: else -> fork_acquire(PLACES)
    fi;
    if
    :: MUTANT(3) -> fork_acquire(SPANS)
    :: else
    fi;
    fork_acquire(CLASS);
    if
    :: class_count > 1 -> fork_acquire(CLASS + 1)
    :: else
    fi;
    if
    :: MUTANT(3) || MUTANT(4)
    :: else -> fork_acquire(SPANS)
    fi;
    fork_owner = me;
    if
    :: MUTANT(2) -> list_acquire()
    :: else
    fi
}

inline after_fork_in_parent() {
    if
    :: !MUTANT(6) -> fork_owner = NOBODY
    :: else
    fi;
    if
    :: MUTANT(4)
    :: else -> fork_release(SPANS)
    fi;
    if
    :: class_count > 1 -> fork_release(CLASS + 1)
    :: else
    fi;
    fork_release(CLASS);
    if
    :: MUTANT(8)
    :: else -> fork_release(PLACES)
    fi;
    fork_release(CACHES);
    if
    :: MUTANT(6) -> fork_owner = NOBODY
    :: else
    fi;
    if
    :: !MUTANT(1) -> list_release()
    :: else
    fi
}

proctype forker(byte me) {
    handlers_acquire();
    handler_begins();
    before_fork();
    handler_ends();
    handler_begins();
    allocate(1); /* in a handler of the program */
    handler_ends();
    list_acquire();
    /* the copy */
    d_step {
        assert(lock[CACHES] == me && lock[CLASS] == me && lock[SPANS] == me && (!streams || list_lock == me));
        assert(class_count == 1 || lock[CLASS + 1] == me);
        assert(class_count == 2 || lock[CLASS + 1] == NOBODY)
    };
    list_release();
    handler_begins();
    allocate(1);
    handler_ends();
    handler_begins();
    after_fork_in_parent();
    handler_ends();
    handlers_release();
    allocate(1)
}

init {
    byte i;
    choose_mutant();
    atomic {
        run reader();
        if
        :: streams = true; run flusher()
        :: streams = false
        fi;
        if
        :: handlers_drop = true
        :: handlers_drop = false
        fi;
        run registrar(2 + FORKERS + ENDERS);
        do
        :: i < FORKERS -> run forker(2 + i); i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < ENDERS -> run ender(2 + FORKERS + i); i++
        :: else -> break
        od
    }
}
