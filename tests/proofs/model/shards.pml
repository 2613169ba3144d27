/* SPDX-License-Identifier: MIT */
/*
 * A class that was split: spans that go from one shard to another while threads take blocks of them and send others home.
 * alloc/heap/central.c: take_other_locked, take_near_locked; alloc/heap/central_spans.c: central_move_span_locked,
 * central_chain_home_locked, central_others_home_slow; alloc/heap/central_shards.c: central_owner, central_lock_if_has. Two
 * shards, SPANS spans of two blocks; a thread is on one processor or the other, and may find itself on the other one at its next
 * call. That a lock excludes is a model of its own (lock.pml).
 *
 * Holds, with every order of steps: no block is handed out twice; a span is on the list of the shard that has it, exactly if it
 * has blocks at home; whoever has the lock of a shard finds what it counts as out to be what is out of its spans; a block comes
 * home to its span whoever has that meanwhile; nobody waits for ever.
 *
 * small: -DTHREADS=3 -DSPANS=1 -DROUNDS=1
 * big: -DTHREADS=3 -DSPANS=2 -DROUNDS=1
 * mutant 1: who sends a block home does not look again, under the lock, whether the shard still has the span
 * mutant 2: a span is moved without the lock of the shard that has it
 * mutant 3: the second lock is waited for
 * mutant 4: what is not at home of a span stays counted in the shard that had it
 * mutant 5: a full span of which a block comes home is not put on the list
 */
#include "common.h"

#define BLOCKS 2
#define SHARDS 2
#define MOST 2 /* blocks that a thread has at once */

bool locked[SHARDS];
byte out[SHARDS];            /* what a shard counts */
byte owner[SPANS];           /* span->shard */
byte listed[SPANS];          /* on how many lists */
byte live[SPANS];
bool used[SPANS * BLOCKS];   /* a block that a thread has */
byte finished;

inline acquire(s) {
    atomic { !locked[s] -> locked[s] = true }
}

inline release(s) {
    d_step {
        check(s);
        locked[s] = false
    }
}

/* What the lock of the shard guards. */
inline check(s) {
    i = 0; sum = 0;
    do
    :: i < SPANS ->
        if
        :: owner[i] == s ->
            sum = sum + live[i];
            assert(listed[i] == (live[i] < BLOCKS -> 1 : 0))
        :: else
        fi;
        i++
    :: else -> break
    od;
    assert(sum == out[s]);
    i = 0; sum = 0
}

/* A span on the list of the shard; SPANS if it is empty. */
inline find_listed(s) {
    d_step {
        span = 0;
        do
        :: span < SPANS && (owner[span] != s || listed[span] == 0) -> span++
        :: else -> break
        od
    }
}

/* Takes a block of `span`, which the shard has. */
inline take_block(s) {
    block = span * BLOCKS;
    do
    :: used[block] -> block++
    :: else -> break
    od;
    assert(block < (span + 1) * BLOCKS);
    used[block] = true;
    live[span] = live[span] + 1;
    out[s] = out[s] + 1;
    if
    :: live[span] == BLOCKS -> listed[span] = listed[span] - 1
    :: else
    fi
}

/* central_move_span_locked */
inline move(from, to) {
    listed[span] = listed[span] - 1;
    if
    :: !MUTANT(4) -> out[from] = out[from] - live[span]
    :: else
    fi;
    owner[span] = to;
    if
    :: !MUTANT(4) -> out[to] = out[to] + live[span]
    :: else
    fi;
    listed[span] = listed[span] + 1
}

/* take_other_locked */
inline take_other(here, other) {
    tried = false;
    if
    :: MUTANT(2) -> tried = true
    :: MUTANT(3) -> acquire(other); tried = true
    :: else ->
        atomic {
            if
            :: !locked[other] -> locked[other] = true; tried = true
            :: else
            fi
        }
    fi;
    if
    :: tried ->
        find_listed(other);
        if
        :: span < SPANS -> move(other, here)
        :: else
        fi;
        if
        :: !MUTANT(2) -> release(other)
        :: else
        fi
    :: else -> span = SPANS
    fi
}

/* central_take without a new span; `span` is SPANS if there was nothing near. */
inline take(here) {
    acquire(here);
    find_listed(here);
    if
    :: span == SPANS -> take_other(here, 1 - here)
    :: else
    fi;
    if
    :: span < SPANS -> take_block(here)
    :: else
    fi;
    release(here)
}

/* central_others_home_slow */
inline give() {
    span = block / BLOCKS;
    do
    :: here = owner[span];
        acquire(here);
        if
        :: owner[span] == here || MUTANT(1) -> break
        :: else -> release(here)
        fi
    od;
    assert(used[block]);
    used[block] = false;
    live[span] = live[span] - 1;
    out[here] = out[here] - 1;
    if
    :: listed[span] == 0 && !MUTANT(5) -> listed[span] = 1
    :: else
    fi;
    release(here)
}

proctype thread() {
    byte rounds, here, span, block, n, i, sum;
    byte mine[MOST];
    bool tried;
    do
    :: rounds < ROUNDS ->
        rounds++;
        n = 0;
        do
        :: n < MOST ->
            if
            :: here = 0
            :: here = 1
            fi;
            take(here);
            if
            :: span < SPANS -> mine[n] = block; n++
            :: else -> break
            fi
        :: break
        od;
        do
        :: n > 0 -> n--; block = mine[n]; mine[n] = 0; give()
        :: else -> break
        od;
        atomic { here = 0; span = 0; block = 0; tried = false }
    :: else -> break
    od;
    finished++
}

init {
    byte i, sum;
    choose_mutant();
    atomic {
        do
        :: i < SPANS -> owner[i] = i % SHARDS; listed[i] = 1; i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < THREADS -> run thread(); i++
        :: else -> break
        od
    };
    finished == THREADS;
    assert(out[0] == 0 && out[1] == 0);
    check(0);
    check(1)
}
