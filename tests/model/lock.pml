/* SPDX-License-Identifier: MIT */
/*
 * The futex lock. alloc/lock.h: lock_acquire, lock_release; alloc/lock.c: lock_wait_slow, lock_wake_slow (lock_fork_acquire
 * and lock_fork_release do the same). The kernel's part: a wait compares the word and falls asleep in one step; a wake
 * wakes one sleeper. A wait never ends by itself here: if it did, a lost wake-up would not show. The word names the holder,
 * of whom the kernel sees 32 bits; here a wait compares LOCK_WAITED alone, as if all holders looked the same.
 *
 * Holds: never two threads inside; no thread sleeps for ever (no state without a step but the end of all).
 *
 * small: -DTHREADS=3 -DROUNDS=2 -DSPINS=1
 * big: -DTHREADS=4 -DROUNDS=3 -DSPINS=1
 * mutant 1: acquired by a load and a store instead of a compare-and-swap
 * mutant 2: released without a wake
 * mutant 3: who waits does not set LOCK_WAITED
 * mutant 4: the wait falls asleep without comparing the word
 * mutant 5: the wake comes before the word is set free
 * mutant 6: who was woken takes the lock without LOCK_WAITED although others may still sleep
 */
#include "common.h"

#define SELF(me) (2 * (me + 1))
#define WAITED(word) (word % 2 == 1)

byte state;           /* 0 free; else the holder, plus 1 if others sleep */
bool asleep[THREADS];
byte inside;

inline futex_wait(me, value) {
    atomic {
        if
        :: (state != 0 && WAITED(state) == WAITED(value)) || MUTANT(4) -> asleep[me] = true
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

/* taken = (compare_exchange(state, 0, as)) */
inline compare_exchange(as) {
    if
    :: MUTANT(1) ->
        taken = (state == 0);
        if
        :: taken -> state = as
        :: else
        fi
    :: else ->
        atomic {
            taken = (state == 0);
            if
            :: taken -> state = as
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
        :: state == 0 -> compare_exchange(SELF(me))
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
        if
        :: MUTANT(3) || MUTANT(6) -> compare_exchange(SELF(me))
        :: else -> compare_exchange(SELF(me) + 1)
        fi;
        if
        :: taken -> skip
        :: else ->
            old = state;
            if
            :: old == 0 -> skip
            :: old != 0 && (WAITED(old) || MUTANT(3)) -> futex_wait(me, old)
            :: else ->
                atomic {
                    if
                    :: state == old -> state = old + 1; old = old + 1
                    :: else -> old = 0
                    fi
                };
                if
                :: old != 0 -> futex_wait(me, old)
                :: else
                fi
            fi
        fi
    od
}

inline release() {
    if
    :: MUTANT(5) ->
        old = state;
        if
        :: WAITED(old) -> futex_wake()
        :: else
        fi;
        state = 0
    :: else ->
        atomic { old = state; state = 0 };
        if
        :: WAITED(old) && !MUTANT(2) -> futex_wake()
        :: else
        fi
    fi
}

proctype thread(byte me) {
    byte rounds, spins, old;
    bool taken;
    do
    :: rounds < ROUNDS ->
        rounds++;
        compare_exchange(SELF(me));
        if
        :: !taken -> wait_slow(me)
        :: else
        fi;
        inside++;
        assert(inside == 1);
        inside--;
        atomic { taken = false; spins = 0; old = 0 };
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
