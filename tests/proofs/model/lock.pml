/* SPDX-License-Identifier: MIT */
/*
 * The futex lock. alloc/kit/lock.h: lock_try, lock_acquire, lock_release; alloc/kit/lock.c: lock_wait_slow, lock_released_slow
 * (lock_set_acquire and lock_set_release do the same). The word holds who has the lock, and whether others wait. The kernel's
 * part: a wait compares the low half of the word, which is the same for some threads (LOW), and falls asleep in one step; a
 * wake wakes one sleeper. A wait never ends by itself here: if it did, a lost wake-up would not show.
 *
 * Holds: never two threads inside; no thread sleeps for ever (no state without a step but the end of all); whoever is inside
 * is named by the word.
 *
 * small: -DTHREADS=3 -DROUNDS=1 -DSPINS=1
 * big: -DTHREADS=3 -DROUNDS=2 -DSPINS=1
 * mutant 1: acquired by a load and a store instead of a compare-and-swap
 * mutant 2: released without a wake
 * mutant 3: who goes to sleep does not mark the word as waited for
 * mutant 4: the wait falls asleep without comparing the word
 * mutant 5: the wake comes before the word is set free
 * mutant 6: who was woken takes the lock as not waited for although others may still sleep
 * mutant 7: the mark is put on by a store instead of a compare-and-swap
 */
#include "common.h"

#define WAITED 1
#define SELF (2 + 2 * me)
#define LOW(value) (value % 4) /* of every second thread */

byte state; /* 0 free, else who has it, plus WAITED */
bool asleep[THREADS];
byte inside;

inline futex_wait(value) {
    atomic {
        if
        :: LOW(state) == LOW(value) || MUTANT(4) -> asleep[me] = true
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

/* done = compare_exchange(state, from, into) */
inline compare_exchange(from, into) {
    if
    :: MUTANT(1) ->
        done = (state == from);
        if
        :: done -> state = into
        :: else
        fi
    :: else ->
        atomic {
            done = (state == from);
            if
            :: done -> state = into
            :: else
            fi
        }
    fi
}

inline mark() {
    if
    :: MUTANT(3) -> done = true
    :: MUTANT(7) -> state = holder + WAITED; done = true
    :: else -> compare_exchange(holder, holder + WAITED)
    fi
}

inline wait_slow() {
    do
    :: spins < SPINS && !done ->
        spins++;
        if
        :: state == 0 -> compare_exchange(0, SELF)
        :: state != 0
        fi
    :: else -> break
    od;
    do
    :: done -> break
    :: !done ->
        if
        :: MUTANT(6) && slept -> compare_exchange(0, SELF)
        :: else -> compare_exchange(0, SELF + WAITED)
        fi;
        if
        :: done
        :: !done ->
            holder = state;
            if
            :: holder == 0
            :: holder != 0 && holder % 2 == WAITED -> futex_wait(holder); slept = true
            :: holder != 0 && holder % 2 != WAITED ->
                mark();
                if
                :: done ->
                    done = false;
                    if
                    :: MUTANT(3) -> futex_wait(holder)
                    :: else -> futex_wait(holder + WAITED)
                    fi;
                    slept = true
                :: else
                fi
            fi
        fi
    od
}

inline release() {
    if
    :: MUTANT(5) ->
        holder = state;
        if
        :: holder % 2 == WAITED -> futex_wake()
        :: else
        fi;
        state = 0
    :: else ->
        atomic { holder = state; state = 0 };
        if
        :: holder % 2 == WAITED && !MUTANT(2) -> futex_wake()
        :: else
        fi
    fi
}

proctype thread(byte me) {
    byte rounds, spins, holder;
    bool done, slept;
    do
    :: rounds < ROUNDS ->
        rounds++;
        compare_exchange(0, SELF);
        if
        :: !done -> wait_slow()
        :: else
        fi;
        inside++;
        assert(inside == 1 && state - state % 2 == SELF);
        inside--;
        atomic { done = false; slept = false; spins = 0; holder = 0 };
        release();
        holder = 0
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
