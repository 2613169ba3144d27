/* SPDX-License-Identifier: MIT */
/*
 * OS pages of a used span that go back to the OS while threads take and free its blocks. alloc/heap/holes.c: visit,
 * mark_locked, purge_idle, returned_locked; alloc/heap/central_shards.c: central_lock_if_has; alloc/heap/central_spans.c:
 * central_hold_locked, central_unhold_locked, run_home_locked; alloc/heap/central.c: central_take_single; alloc/heap/home.c:
 * forget_idle, touch_pages. One span of PAGES pages with a block each. Two classes want it, each with its lock; the page heap, which has it meanwhile, is one step. Threads
 * take a block of either class, write to it and free it; visitors look at the span again and again, as holes_look and
 * holes_return of two threads do.
 *
 * Holds, with every order of steps: no page goes in which a block is in use, nor one in which a block was taken since the look
 * before; of a span that is apart nobody takes blocks; a page that is in use does not count as returned; one that counts as
 * returned holds nothing; a span is in one place only, and goes back to the page heap when its last block has come home,
 * whoever holds it then; nobody waits for ever.
 *
 * small: -DTHREADS=2 -DVISITORS=2 -DROUNDS=1 -DLOOKS=2
 * big: -DTHREADS=2 -DVISITORS=2 -DROUNDS=2 -DLOOKS=2
 * mutant 1: the span stays on its class's list while its pages go
 * mutant 2: a span that is apart goes to the page heap when its last block comes home
 * mutant 3: a visitor does not look again, under the lock, whether the class still has the span
 * mutant 4: pages stay idle though a block is taken
 * mutant 5: a span that was apart goes back to the list though all its blocks have come home
 * mutant 6: a page that is taken again still counts as returned
 * mutant 7: a visitor does not ask whether the span is on the list
 */
#include "common.h"

#define PAGES 2

bool class_lock[2];
byte class_of;           /* 0: the page heap has the span; else 1 or 2 */
bool listed, apart;
byte live;
bool home[PAGES], idle[PAGES], returned[PAGES];
bool used[PAGES];        /* a thread has the block, for the assertions */
bool taken_since[PAGES]; /* since the page was last found idle */
bool dirty[PAGES];       /* what was written to it */
byte finished;

inline acquire(c) { atomic { !class_lock[c - 1] -> class_lock[c - 1] = true } }
inline release(c) { class_lock[c - 1] = false }

/* The span, if the page heap has it, becomes the class's. Caller holds the lock of the class. */
inline span_acquire(c) {
    atomic {
        assert(!listed && !apart && live == 0);
        class_of = c;
        listed = true;
        p = 0;
        do
        :: p < PAGES -> assert(!used[p]); home[p] = true; idle[p] = false; returned[p] = false; taken_since[p] = true; p++
        :: else -> break
        od
    }
}

/* All blocks are home. What counts as returned is clean from now on. */
inline leave_locked() {
    atomic {
        assert(live == 0);
        p = 0;
        do
        :: p < PAGES -> assert(home[p] && !(returned[p] && dirty[p])); p++
        :: else -> break
        od;
        listed = false;
        class_of = 0
    }
}

/* A block of class c: b, or PAGES. */
inline take(c) {
    b = PAGES;
    acquire(c);
    if
    :: class_of == 0 -> atomic { if :: class_of == 0 -> span_acquire(c) :: else fi }
    :: else
    fi;
    if
    :: class_of == c && listed ->
        atomic {
            assert(!apart || MUTANT(1) || MUTANT(7));
            if /* what has memory first */
            :: home[0] && !returned[0] -> b = 0
            :: home[1] && !returned[1] && !(home[0] && !returned[0]) -> b = 1
            :: home[0] && returned[0] && !(home[1] && !returned[1]) -> b = 0
            :: home[1] && returned[1] && !home[0] -> b = 1
            :: else
            fi;
            if
            :: b < PAGES ->
                home[b] = false;
                live++;
                listed = live < PAGES;
                used[b] = true;
                taken_since[b] = true;
                if
                :: MUTANT(6)
                :: else -> returned[b] = false
                fi;
                if
                :: MUTANT(4)
                :: else -> idle[0] = false; idle[1] = false
                fi
            :: else
            fi
        }
    :: else
    fi;
    release(c)
}

inline write(x) {
    atomic { assert(used[x] && !returned[x]); dirty[x] = true }
}

inline give(x, c) {
    acquire(c);
    atomic {
        assert(class_of == c && !home[x] && dirty[x]); /* what was written is still there */
        home[x] = true;
        used[x] = false;
        live--
    };
    if
    :: apart && !MUTANT(2)
    :: else ->
        if
        :: live == 0 -> leave_locked()
        :: else -> listed = true
        fi
    fi;
    release(c)
}

/* home_free_pages but for those that are returned; in idle, and due where they were idle before. */
inline mark_locked() {
    atomic {
        due = (idle[0] && home[0] && !returned[0]) || (idle[1] && home[1] && !returned[1]);
        p = 0;
        do
        :: p < PAGES ->
            idle[p] = home[p] && !returned[p] && (!due || idle[p]);
            if
            :: idle[p] && !due -> taken_since[p] = false
            :: else
            fi;
            p++
        :: else -> break
        od
    }
}

inline purge(x) {
    atomic {
        if
        :: idle[x] ->
            assert(!used[x]);
            assert(!taken_since[x]);
            dirty[x] = false
        :: else
        fi
    }
}

inline unhold_locked() {
    atomic {
        p = 0;
        do
        :: p < PAGES ->
            returned[p] = returned[p] || idle[p];
            idle[p] = home[p] && !returned[p];
            if
            :: idle[p] -> taken_since[p] = false
            :: else
            fi;
            p++
        :: else -> break
        od;
        apart = false
    };
    if
    :: live == 0 && !MUTANT(5) -> leave_locked()
    :: else -> listed = true
    fi
}

inline visit() {
    guess = class_of;
    if
    :: guess != 0 ->
        acquire(guess);
        if
        :: (class_of == guess || (MUTANT(3) && class_of != 0)) && (listed || MUTANT(7)) ->
            mark_locked();
            if
            :: due ->
                atomic { listed = listed && MUTANT(1); apart = true };
                release(guess);
                purge(0);
                purge(1);
                acquire(guess);
                unhold_locked()
            :: else
            fi
        :: else
        fi;
        release(guess)
    :: else
    fi;
    atomic { due = false; guess = 0; p = 0 }
}

proctype thread(byte me) {
    byte rounds, b = PAGES, p, mine;
    do
    :: rounds < ROUNDS ->
        rounds++;
        if
        :: mine = 1
        :: mine = 2
        fi;
        take(mine);
        if
        :: b < PAGES -> write(b); give(b, mine)
        :: else
        fi;
        atomic { b = PAGES; p = 0; mine = 0 }
    :: else -> break
    od;
    finished++
}

proctype visitor() {
    byte looks, p, guess;
    bool due;
    do
    :: looks < LOOKS -> looks++; visit()
    :: else -> break
    od;
    finished++
}

init {
    byte i;
    choose_mutant();
    atomic {
        do
        :: i < THREADS -> run thread(i); i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < VISITORS -> run visitor(); i++
        :: else -> break
        od
    };
    finished == THREADS + VISITORS;
    assert(class_of == 0 && live == 0 && !listed && !apart)
}
