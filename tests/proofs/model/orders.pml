/* SPDX-License-Identifier: MIT */
/*
 * The orders of memory that the code names, in C11's terms; the other models are sequentially consistent. Every place has
 * the list of its writes; a thread has a view, the oldest write of each place that it may still read. A load reads any write
 * from there on. A release attaches the writer's view to its write, an acquire takes over the view of what it reads, and a
 * read-modify-write reads the last write and passes on the view attached to it (release sequences). A plain access must
 * see the last write of its place, else it is a data race. Writes to one place are in the order in which they are made, and
 * no load reads a write that is yet to come: what C11 allows beyond that (load buffering) is not covered.
 *
 * Patterns, one after the other:
 *   chains, alloc/heap/transfer.h: transfer_park_among, transfer_take: the blocks' words are plain, a chain is parked by a
 *     release and taken by an acquire; each new owner writes to the block
 *   lock, alloc/kit/lock.h: lock_acquire, lock_release; alloc/kit/lock.c: lock_wait_slow: a section's data are plain; acquire
 *     by compare-and-swap, by one who waits, too; release by exchange; the mark of one who waits is relaxed
 *   row, alloc/heap/central_shards.c: first_use, central_find_shard: a class is filled in, then its row is published
 *   watch, alloc/heap/mode_switch.c: mode_switch_on; alloc/kit/modes.h: modes_any; alloc/heap/span.c: register_small: a thread
 *     that saw the mode allocates; the program passes the block to another thread, whose free must find no entry and see the
 *     mode
 *
 * Holds: no data race; each taker reads what the putter wrote; no free of a block that a mode was told of misses it.
 *
 * small: -DROUNDS=2 -DTRADES=2
 * big: -DROUNDS=2 -DTRADES=3
 * mutant 1: a chain is put with relaxed order
 * mutant 2: a chain is taken with relaxed order
 * mutant 3: the lock is acquired with relaxed order
 * mutant 4: the lock is acquired after a wait with relaxed order
 * mutant 5: the lock is released with relaxed order
 * mutant 6: a class's place is published with relaxed order
 * mutant 7: a class's place is read with relaxed order
 * mutant 8: the mode is switched on with relaxed order
 * mutant 9: the mode is read with relaxed order
 */
#include "common.h"

#define THREADS 3
#define PLACES 3
#define WRITES (8 * ROUNDS)

byte last[PLACES];                         /* index of the last write */
byte value[PLACES * WRITES];
byte attached[PLACES * WRITES * PLACES];   /* the view that goes with a write */
byte view[THREADS * PLACES];
byte finished;

#define WRITE(p, i) (p * WRITES + i)
#define ATTACHED(p, i, q) (((p) * WRITES + (i)) * PLACES + (q))
#define VIEW(q) view[me * PLACES + q]
#define JOIN(q, p, i) VIEW(q) = (attached[ATTACHED(p, i, q)] > VIEW(q) -> attached[ATTACHED(p, i, q)] : VIEW(q))
#define ATTACH(p, i, q) \
    attached[ATTACHED(p, i, q)] = (VIEW(q) > attached[ATTACHED(p, i, q)] -> VIEW(q) : attached[ATTACHED(p, i, q)])

inline take_view(p, i) { JOIN(0, p, i); JOIN(1, p, i); JOIN(2, p, i) }
inline attach_view(p, i) { ATTACH(p, i, 0); ATTACH(p, i, 1); ATTACH(p, i, 2) }

/* got = load(p) */
inline load(p, acquire) {
    atomic {
        w = VIEW(p);
        do
        :: w < last[p] -> w++
        :: break
        od;
        VIEW(p) = w;
        got = value[WRITE(p, w)];
        if
        :: acquire -> take_view(p, w)
        :: else
        fi;
        w = 0
    }
}

inline append(p, v, releases) {
    assert(last[p] < WRITES - 1);
    last[p]++;
    value[WRITE(p, last[p])] = v;
    VIEW(p) = last[p];
    if
    :: releases -> attach_view(p, last[p])
    :: else
    fi
}

inline store(p, v, releases) { d_step { append(p, v, releases) } }

/* got = the last value, replaced by v if `condition` (of got) holds */
inline modify(p, v, condition, acquire, releases) {
    d_step {
        w = last[p];
        got = value[WRITE(p, w)];
        VIEW(p) = w;
        if
        :: acquire -> take_view(p, w)
        :: else
        fi;
        if
        :: condition ->
            append(p, v, releases);
            attached[ATTACHED(p, last[p], 0)] = (attached[ATTACHED(p, w, 0)] > attached[ATTACHED(p, last[p], 0)] ->
                attached[ATTACHED(p, w, 0)] : attached[ATTACHED(p, last[p], 0)]);
            attached[ATTACHED(p, last[p], 1)] = (attached[ATTACHED(p, w, 1)] > attached[ATTACHED(p, last[p], 1)] ->
                attached[ATTACHED(p, w, 1)] : attached[ATTACHED(p, last[p], 1)]);
            attached[ATTACHED(p, last[p], 2)] = (attached[ATTACHED(p, w, 2)] > attached[ATTACHED(p, last[p], 2)] ->
                attached[ATTACHED(p, w, 2)] : attached[ATTACHED(p, last[p], 2)])
        :: else
        fi;
        w = 0
    }
}

inline plain_read(p) { d_step { assert(VIEW(p) == last[p]); got = value[WRITE(p, last[p])] } }
inline plain_write(p, v) { d_step { assert(VIEW(p) == last[p]); append(p, v, false) } }

/* ---- chains: place 0 is the pointer, 1 a word of the block ---- */

proctype trader(byte me; bool mine) {
    byte got, w, rounds;
    do
    :: rounds < TRADES ->
        rounds++;
        if
        :: mine ->
            plain_write(1, 1 + me);
            modify(0, 1 + me, (got == 0), false, !MUTANT(1));
            mine = (got != 0)
        :: !mine ->
            load(0, false);
            if
            :: got != 0 ->
                modify(0, 0, true, !MUTANT(2), false);
                if
                :: got != 0 ->
                    mine = true;
                    w = got;
                    plain_read(1);
                    assert(got == w);
                    w = 0;
                    plain_write(1, 7)
                :: else
                fi
            :: else
            fi
        fi
    :: else -> break
    od;
    finished++
}

/* ---- lock: place 0 is its word, 1 the data of the section ---- */

proctype locker(byte me) {
    byte got, w, rounds;
    do
    :: rounds < ROUNDS - 1 ->
        rounds++;
        modify(0, 1, (got == 0), !MUTANT(3), false);
        do
        :: got == 0 -> break
        :: got != 0 -> /* marked, then the wait, until it may succeed */
            modify(0, 2, (got == 1), false, false);
            value[WRITE(0, last[0])] == 0;
            modify(0, 2, (got == 0), !MUTANT(4), false)
        od;
        plain_read(1);
        plain_write(1, got + 1);
        modify(0, 0, true, false, !MUTANT(5))
    :: else -> break
    od;
    finished++
}

/* ---- row: place 0 is row_of, 1 what the class says ---- */

proctype first_user(byte me) {
    byte got, w;
    plain_write(1, 5);
    store(0, 1, !MUTANT(6));
    finished++
}

proctype later_user(byte me) {
    byte got, w;
    load(0, !MUTANT(7));
    if
    :: got != 0 ->
        plain_read(1);
        assert(got == 5)
    :: else
    fi;
    finished++
}

/* ---- watch: place 0 is modes, 1 an entry of the unit map, 2 the program's own mailbox ---- */

proctype switcher(byte me) {
    byte got, w;
    store(1, 0, false);
    modify(0, 1, true, false, !MUTANT(8));
    finished++
}

proctype allocator(byte me) {
    byte got, w;
    load(0, !MUTANT(9));
    store(2, 1 + got, true); /* told or not */
    finished++
}

proctype freer(byte me) {
    byte got, w;
    load(2, true);
    if
    :: got == 2 ->
        load(1, false);
        assert(got == 0);
        load(0, !MUTANT(9));
        assert(got != 0)
    :: else
    fi;
    finished++
}

init {
    choose_mutant();
    if
    :: atomic { run trader(0, true); run trader(1, false); run trader(2, false) }
    :: atomic { run locker(0); run locker(1); run locker(2) }
    :: atomic { run first_user(0); run later_user(1); run later_user(2) }
    :: atomic { value[WRITE(1, 0)] = 9; run switcher(0); run allocator(1); run freer(2) }
    fi
}
