/* SPDX-License-Identifier: MIT */
/*
 * The futex lock. alloc/lock.h: lock_acquire, lock_release; alloc/lock.c: lock_wait_slow, lock_wake_slow (lock_fork_acquire
 * and lock_fork_release do the same). The kernel's part: a wait compares the word and falls asleep in one step; a wake
 * wakes one sleeper. A wait never ends by itself here: if it did, a lost wake-up would not show.
 *
 * Holds: never two threads inside; no thread sleeps for ever (no state without a step but the end of all).
 *
 * small: -DTHREADS=3 -DROUNDS=2 -DSPINS=1
 * big: -DTHREADS=4 -DROUNDS=3 -DSPINS=1
 * mutant 1: acquired by a load and a store instead of a compare-and-swap
 * mutant 2: released without a wake
 * mutant 3: who waits leaves 1 in the word, not 2
 * mutant 4: the wait falls asleep without comparing the word
 * mutant 5: the wake comes before the word is set free
 * mutant 6: who was woken takes the lock with 1 although others may still sleep
 */
#include "common.h"

byte state;           /* 0 free, 1 held, 2 held and waited for */
bool asleep[THREADS];
byte inside;

inline futex_wait(me, value) {
    atomic {
        if
        :: state == value || MUTANT(4) -> asleep[me] = true
        :: else
        fi
    };
    !asleep[me];
}

inline futex_wake() {
    atomic {
        if
        :: asleep[0] -> asleep[0] = false
        :: asleep[1] -> asleep[1] = false
        :: THREADS > 2 && asleep[2 % THREADS] -> asleep[2 % THREADS] = false
        :: THREADS > 3 && asleep[3 % THREADS] -> asleep[3 % THREADS] = false
        :: else
        fi
    }
}

/* taken = (compare_exchange(state, 0, 1)) */
inline compare_exchange() {
    if
    :: MUTANT(1) ->
        taken = (state == 0);
        if
        :: taken -> state = 1
        :: else
        fi
    :: else ->
        atomic {
            taken = (state == 0);
            if
            :: taken -> state = 1
            :: else
            fi
        }
    fi
}

inline wait_slow(me) {
    do
    :: spins < SPINS ->
        spins++;
        if
        :: state == 0 -> compare_exchange()
        :: state != 0
        fi;
        if
        :: taken -> break
        :: else
        fi
    :: else -> break
    od;
    do
    :: taken -> break
    :: !taken ->
        atomic {
            old = state;
            state = ((MUTANT(3) || (MUTANT(6) && slept)) -> 1 : 2)
        };
        if
        :: old == 0 -> taken = true
        :: else ->
            slept = true;
            if
            :: MUTANT(3) -> futex_wait(me, 1)
            :: else -> futex_wait(me, 2)
            fi
        fi
    od
}

inline release() {
    if
    :: MUTANT(5) ->
        old = state;
        if
        :: old == 2 -> futex_wake()
        :: else
        fi;
        state = 0
    :: else ->
        atomic { old = state; state = 0 };
        if
        :: old == 2 && !MUTANT(2) -> futex_wake()
        :: else
        fi
    fi
}

proctype thread(byte me) {
    byte rounds, spins, old;
    bool taken, slept;
    do
    :: rounds < ROUNDS ->
        rounds++;
        compare_exchange();
        if
        :: !taken -> wait_slow(me)
        :: else
        fi;
        inside++;
        assert(inside == 1);
        inside--;
        atomic { taken = false; slept = false; spins = 0; old = 0 };
        release();
        old = 0
    :: else -> break
    od
}

init {
    byte i;
    choose_mutant();
    atomic {
        do
        :: i < THREADS -> run thread(i); i++
        :: else -> break
        od
    }
}
