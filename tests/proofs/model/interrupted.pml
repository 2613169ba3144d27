/* SPDX-License-Identifier: MIT */
/*
 * fork() in handlers of signals that have interrupted the allocator, beside a fork that has not. alloc/process/fork.c:
 * before_fork, after_fork_in_parent; alloc/process/all_locks.c: all_locks_fork_begins, all_locks_fork_waits,
 * all_locks_try_fork, all_locks_fork_release, all_locks_fork_ends. Two classes' locks and that of the spans under them. Two
 * threads allocate and are interrupted with a class's lock, or with that and the spans', in their hands; a third forks as
 * usual. glibc's part: the recursive lock on the list of streams, and the lock on the list of handlers, which it lets go while
 * a handler runs (from 2.36 on) or not. Patience is that a thread may go without a lock at any time at which another has it: an
 * interrupted one always; another if it may not let the streams' lock go, as its handlers' list is locked (after two seconds).
 *
 * Holds: all threads come to their end, whatever waits for what; at the instant of the copy every lock is the forking thread's,
 * or the fork knows that one is missing; no lock is released by one who does not hold it.
 *
 * small: -DTIMES=1
 * big: -DTIMES=2
 * mutant 1: who was not interrupted keeps the lock of the streams while it waits
 * mutant 2: who was interrupted waits for locks as long as it takes
 * mutant 3: who was not interrupted waits as long as it takes, though its list of handlers is locked
 * mutant 4: the fork does not know that it goes without a lock
 * mutant 5: what the thread held before the fork is let go with the rest
 */
#include "common.h"

#define SPANS 2
#define LOCKS 3
#define NOBODY 255

byte lock[LOCKS] = NOBODY;
byte list_lock = NOBODY, list_depth;
byte handlers_lock = NOBODY;
bool handlers_drop;
byte interrupted_forks;

inline acquire(l) { atomic { lock[l] == NOBODY -> lock[l] = me } }
inline release(l) { atomic { assert(lock[l] == me); lock[l] = NOBODY } }
inline list_acquire() { atomic { list_lock == NOBODY || list_lock == me -> list_lock = me; list_depth++ } }
inline list_release() {
    atomic {
        assert(list_lock == me);
        list_depth--;
        if
        :: list_depth == 0 -> list_lock = NOBODY
        :: else
        fi
    }
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

/* had[l]: before the fork; all[l]: by it */
inline try_one(l) {
    if
    :: had[l]
    :: !had[l] ->
        if
        :: atomic { lock[l] == NOBODY -> lock[l] = me; all[l] = true }
        :: atomic { lock[l] != NOBODY && interrupted && !MUTANT(2) -> missing = true }
        :: atomic { lock[l] != NOBODY && !interrupted && interrupted_forks > 0 && !MUTANT(1) -> missing = true }
        :: atomic { lock[l] != NOBODY && !interrupted && !handlers_drop && !MUTANT(3) -> missing = true; without = true }
        fi
    fi
}

inline release_one(l) {
    if
    :: all[l] || (MUTANT(5) && had[l]) -> release(l); all[l] = false
    :: else
    fi
}

inline try_all() {
    missing = false;
    without = false;
    try_one(0);
    try_one(1);
    try_one(SPANS)
}

inline release_all() {
    release_one(SPANS);
    release_one(1);
    release_one(0)
}

inline forks() {
    handlers_acquire();
    handler_begins();
    if
    :: interrupted -> interrupted_forks++
    :: else -> (interrupted_forks == 0)
    fi;
    list_acquire();
    try_all();
    do
    :: missing && !interrupted && !without ->
        release_all();
        list_release();
        (interrupted_forks == 0);
        list_acquire();
        try_all()
    :: else -> break
    od;
    handler_ends();
    list_acquire();
    /* the copy */
    d_step {
        if
        :: MUTANT(4) -> missing = false
        :: else
        fi;
        assert(missing || (lock[0] == me && lock[1] == me && lock[SPANS] == me))
    };
    list_release();
    handler_begins();
    release_all();
    if
    :: interrupted -> interrupted_forks--
    :: else
    fi;
    list_release();
    handler_ends();
    handlers_release()
}

/* A thread that allocates, of class k, and is interrupted, or not. */
proctype allocating(byte me; byte k) {
    bool had[LOCKS], all[LOCKS], missing, without, interrupted = true;
    byte times;
    do
    :: times < TIMES ->
        times++;
        acquire(k);
        had[k] = true;
        if
        :: true -> forks()
        :: true
        fi;
        acquire(SPANS);
        had[SPANS] = true;
        if
        :: true -> forks()
        :: true
        fi;
        had[SPANS] = false;
        release(SPANS);
        had[k] = false;
        release(k)
    :: else -> break
    od
}

proctype forker(byte me) {
    bool had[LOCKS], all[LOCKS], missing, without, interrupted = false;
    byte times;
    do
    :: times < TIMES -> times++; forks()
    :: else -> break
    od
}

init {
    choose_mutant();
    atomic {
        if
        :: handlers_drop = true
        :: handlers_drop = false
        fi;
        run allocating(0, 0);
        run allocating(1, 1);
        run forker(2)
    }
}
