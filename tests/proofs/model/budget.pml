/* SPDX-License-Identifier: MIT */
/*
 * The sum of what is taken from the OS and its limit. alloc/kit/budget.c: budget_charge, budget_refund. Threads charge 1 or 2,
 * hold that much while they have it from the OS (or are refused by it), and refund it after they gave it back.
 *
 * Holds: the sum is never above the limit, nor below what is held; at the end it is 0 and the peak is the highest sum that
 * ever was; a charge that the limit allows whatever the others do is not refused.
 *
 * small: -DTHREADS=3 -DROUNDS=1 -DLIMIT=4
 * big: -DTHREADS=3 -DROUNDS=2 -DLIMIT=5
 * mutant 1: the limit is looked at, then the sum raised by an addition
 * mutant 2: the peak is written by a store instead of a compare-and-swap
 * mutant 3: refunded before the OS has the memory back
 * mutant 4: the old sum is not read anew after a compare-and-swap that failed
 */
#include "common.h"

byte taken, peak;
byte held, highest; /* for the assertions */
byte finished;

/* charged = budget_charge(bytes) */
inline charge(bytes) {
    old = taken;
    do
    :: bytes > LIMIT || old > LIMIT - bytes -> charged = false; break
    :: else ->
        if
        :: MUTANT(1) ->
            atomic { old = taken; taken = old + bytes; charged = true; highest = (taken > highest -> taken : highest) }
        :: else ->
            atomic {
                if
                :: taken == old || MUTANT(4) -> taken = old + bytes; charged = true
                :: else -> old = taken
                fi;
                highest = (taken > highest -> taken : highest)
            }
        fi;
        if
        :: charged -> break
        :: else
        fi
    od;
    if
    :: charged ->
        seen = peak;
        do
        :: old + bytes > seen ->
            if
            :: MUTANT(2) -> peak = old + bytes; break
            :: else ->
                atomic {
                    if
                    :: peak == seen -> peak = old + bytes; seen = peak
                    :: else -> seen = peak
                    fi
                }
            fi
        :: else -> break
        od
    :: else
    fi
}

proctype thread() {
    byte rounds, old, seen, bytes;
    bool charged;
    do
    :: rounds < ROUNDS ->
        rounds++;
        if
        :: bytes = 1
        :: bytes = 2
        fi;
        charge(bytes);
        if
        :: charged ->
            atomic { held = held + bytes; assert(held <= taken && taken <= LIMIT) };
            if
            :: MUTANT(3) ->
                taken = taken - bytes;
                atomic { held = held - bytes; assert(held <= taken) }
            :: else ->
                atomic { held = held - bytes };
                taken = taken - bytes
            fi
        :: else -> assert(LIMIT < THREADS * 2) /* else there is room for all */
        fi;
        atomic { charged = false; old = 0; seen = 0; bytes = 0 }
    :: else -> break
    od;
    finished++
}

init {
    byte i;
    choose_mutant();
    atomic {
        do
        :: i < THREADS -> run thread(); i++
        :: else -> break
        od
    };
    finished == THREADS;
    assert(taken == 0 && held == 0 && peak == highest)
}
