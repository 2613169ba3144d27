/* SPDX-License-Identifier: MIT */
/*
 * Chains of blocks between threads. alloc/heap/transfer.h: transfer_try_park, transfer_park_among, transfer_take,
 * transfer_refuse_parked_twice; alloc/heap/central.c: central_take, central_give, any_parked, central_flush;
 * alloc/heap/central_walk.c: central_count (walk_transfer moves chains the same way). Chains stand for their blocks. What is at
 * home is a set guarded by the lock of the class, which is a model of its own (lock.pml);
 * stacked chains and adopted lists are reached under that lock alone and behave as what is at home. Chain c is LENGTH(c) blocks
 * long; a class may park MOST blocks.
 *
 * Holds, with every order of steps: a chain is given to one thread only, and is in one place only (none is lost, none twice);
 * who takes a chain reads its true length; a chain is parked in place i only if i + 1 of its length may be parked, so what is
 * parked is bounded (MOST and half of it for two places; 2.72 times MOST for the eight of the code, if chains of all lengths
 * come together, MOST if all are of one length); a chain that is freed again while it is parked is refused, unless it was
 * taken or moved during the look; nobody waits for ever.
 *
 * small: -DTHREADS=2 -DCHAINS=2 -DROUNDS=3
 * big: -DTHREADS=3 -DCHAINS=2 -DROUNDS=2
 * mutant 1: a pointer for a parked chain is taken by a load and a store instead of an exchange
 * mutant 2: a pointer for a parked chain is filled by a load and a store instead of a compare-and-swap
 * mutant 3: statistics put a chain back into any pointer
 * mutant 4: the length is written after the chain is parked
 * mutant 5: what is at home is taken without the lock
 * mutant 6: the look for a chain parked twice leaves out the last pointer
 */
#include "common.h"

#define PARKED_CHAINS 2
#define MOST 2
#define LENGTH(c) (c == 1 -> 2 : 1) /* the first is long */
#define NOBODY 255

byte parked_at[PARKED_CHAINS];            /* 0: empty, else a chain */
byte count[CHAINS + 1];      /* what is told beside the address */
bool home[CHAINS + 1];
bool locked;
byte holder[CHAINS + 1] = NOBODY; /* the thread that has the chain to itself, for the assertions */
bool parked[CHAINS + 1], moved;
byte finished;

inline lock_acquire() { atomic { !locked -> locked = true } }
inline lock_release() { locked = false }

inline now_mine(c) {
    assert(holder[c] == NOBODY);
    holder[c] = me;
    parked[c] = false;
    moved = moved || c == 2;
}

/* old = exchange(parked_at[i], 0) */
inline exchange(i) {
    if
    :: MUTANT(1) ->
        old = parked_at[i];
        atomic {
            parked_at[i] = 0;
            if
            :: old != 0 -> now_mine(old)
            :: else
            fi
        }
    :: else ->
        atomic {
            old = parked_at[i];
            parked_at[i] = 0;
            if
            :: old != 0 -> now_mine(old)
            :: else
            fi
        }
    fi
}

/* done = compare_exchange(parked_at[i], 0, c) */
inline put(i, c) {
    if
    :: MUTANT(2) ->
        done = (parked_at[i] == 0);
        atomic {
            if
            :: done -> parked_at[i] = c; holder[c] = NOBODY; parked[c] = true
            :: else
            fi
        }
    :: else ->
        atomic {
            done = (parked_at[i] == 0);
            if
            :: done -> parked_at[i] = c; holder[c] = NOBODY; parked[c] = true
            :: else
            fi
        }
    fi
}

/* done = transfer_park_among(c, usable) */
inline transfer_park_among(c, most) {
    atomic { done = false; usable = most; k = 0 };
    do
    :: k < PARKED_CHAINS && k < usable && !done ->
        if
        :: parked_at[k] == 0 -> put(k, c)
        :: parked_at[k] != 0
        fi;
        k++
    :: else -> break
    od
}

inline transfer_try_park(c) {
    if
    :: MUTANT(4) ->
        transfer_park_among(c, MOST / LENGTH(c));
        count[c] = LENGTH(c)
    :: else ->
        count[c] = LENGTH(c);
        transfer_park_among(c, MOST / LENGTH(c))
    fi
}

/* got = transfer_take() */
inline transfer_take() {
    got = 0;
    k = 0;
    do
    :: k < PARKED_CHAINS && got == 0 ->
        if
        :: parked_at[k] != 0 ->
            exchange(k);
            got = old
        :: parked_at[k] == 0
        fi;
        k++
    :: else -> break
    od;
    if
    :: got != 0 ->
        assert(count[got] == LENGTH(got));
        count[got] = 0 /* the program writes to its block */
    :: else
    fi
}

inline give_home(c) {
    lock_acquire();
    atomic { home[c] = true; holder[c] = NOBODY };
    lock_release()
}

/* A taken chain whose two words the program overwrites. */
inline take_home() {
    if
    :: MUTANT(5)
    :: else -> lock_acquire()
    fi;
    got = 0;
    k = 1;
    do
    :: k <= CHAINS && got == 0 ->
        if
        :: home[k] -> got = k
        :: !home[k]
        fi;
        k++
    :: else -> break
    od;
    if
    :: got != 0 -> atomic { home[got] = false; now_mine(got) }
    :: else
    fi;
    if
    :: MUTANT(5)
    :: else -> lock_release()
    fi
}

inline central_take() {
    transfer_take();
    if
    :: got == 0 -> take_home()
    :: else
    fi
}

inline central_give(c) {
    transfer_try_park(c);
    if
    :: !done -> give_home(c)
    :: else
    fi
}

/* Ends when nothing was parked at its last look. */
inline central_flush() {
    do
    :: transfer_take();
        if
        :: got == 0 -> break
        :: else -> give_home(got)
        fi
    od;
    got = 0
}

inline central_count() {
    lock_acquire();
    j = 0;
    do
    :: j < PARKED_CHAINS ->
        exchange(j);
        c = old;
        if
        :: c != 0 ->
            if
            :: MUTANT(3) -> transfer_park_among(c, PARKED_CHAINS)
            :: else -> transfer_park_among(c, j + 1)
            fi;
            if
            :: !done -> atomic { home[c] = true; holder[c] = NOBODY }
            :: else
            fi
        :: else
        fi;
        c = 0;
        old = 0;
        j++
    :: else -> break
    od;
    j = 0;
    lock_release()
}

proctype thread(byte me) {
    byte rounds, k, j, c, usable, got, old, mine;
    bool done;
    do
    :: rounds < ROUNDS ->
        rounds++;
        if
        :: mine == 0 -> central_take(); mine = got
        :: mine != 0 -> central_give(mine); mine = 0
        :: central_flush()
        :: central_count()
        fi;
        atomic { got = 0; old = 0; k = 0; usable = 0; done = false }
    :: else -> break
    od;
    if
    :: mine != 0 -> central_give(mine)
    :: else
    fi;
    finished++
}

/* Frees chain 2, one block, once more, at any time: transfer_refuse_parked_twice. Wrong if it lay there all the time and was
 * not seen. Only looks. */
proctype misuser() {
    byte k;
    bool seen, there;
    atomic { moved = false; there = parked[2] };
    do
    :: k < PARKED_CHAINS - (MUTANT(6) -> 1 : 0) ->
        seen = seen || parked_at[k] == 2;
        k++
    :: else -> break
    od;
    assert(!there || seen || moved)
}

/* At any time. */
proctype bound() {
    d_step {
        assert(parked_at[0] == 0 || LENGTH(parked_at[0]) <= MOST);
        assert(parked_at[1] == 0 || 2 * LENGTH(parked_at[1]) <= MOST)
    }
}

init {
    byte i;
    choose_mutant();
    d_step {
        i = 1;
        do
        :: i <= CHAINS -> home[i] = true; i++
        :: else -> break
        od;
        i = 0
    };
    atomic {
        do
        :: i < THREADS -> run thread(i); i++
        :: else -> break
        od;
        run misuser();
        run bound()
    };
    finished == THREADS;
    d_step {
        i = 1;
        do
        :: i <= CHAINS -> assert((parked_at[0] == i) + (parked_at[1] == i) + home[i] == 1); i++
        :: else -> break
        od
    }
}
