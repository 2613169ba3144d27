/* SPDX-License-Identifier: MIT */
/*
 * What a forked child finds in the lists of threads that are gone. alloc/api/front.h: front_free_sized; alloc/base/freelist.h:
 * freelist_push; alloc/heap/bins.h: cache_pop, bin_take, bin_put, bin_take_spare; alloc/heap/cache.c: use_chain, free_foreign,
 * give_foreign, refill, overflow, pass_full, go_home, flush, cache_close, cache_try_open; alloc/heap/transfer.c: the parked
 * chains. One class;
 * every store to a word is a step, in the order that ORDERED() and atomic_signal_fence keep. A list may hold LIMIT blocks. Each
 * thread allocates, frees what it or another allocated, flushes, and ends; fork() strikes at any instant at which its locks
 * are free (alloc/kit/lock.c: lock_set_acquire).
 *
 * The child's copy is one instant: until the kernel has protected the last page a store reaches parent and child alike, and
 * a thread that meets a protected page waits until the copy is done. Only the processor may change the order of stores to
 * different words; x86 does not.
 *
 * Holds in the child: every list ends; no block is in two places, nor twice in one; no block that the program has is in any;
 * a parked chain, and a spare one, has its length in it (X1, K2); what is at home is as
 * many as the span says (C2); a thread that has gone is not on the list of caches,
 * and what it had is not lost. A block on the way from one place to another may be missing.
 *
 * small: -DTHREADS=1 -DBLOCKS=3 -DOPS=6
 * big: -DTHREADS=2 -DBLOCKS=3 -DOPS=2
 * mutant 1: a free writes the head of the list before the block's link
 * mutant 2: a spare chain is given on before it leaves its place
 * mutant 3: a full list becomes the spare chain before it is taken out of the bin
 * mutant 4: a list goes home while its head still stands
 * mutant 5: the fork does not take the lock of the class
 * mutant 6: a foreign block is published before its link is written
 * mutant 7: a thread leaves the list of caches before its lists are empty
 * mutant 8: the length is written after the chain is parked
 */
#include "common.h"

#define LIMIT 2
#define SLOTS 1
#define WANT 2
#define FOREIGN 2

byte next[BLOCKS + 1], count[BLOCKS + 1]; /* a block's two words; block 0 is NULL */
byte head[THREADS], spare[THREADS], length[THREADS], limit[THREADS];
byte slot;
bool home[BLOCKS + 1], used[BLOCKS + 1]; /* used: the program has it */
bool class_lock, caches_lock;
bool listed[THREADS], ended[THREADS];
byte at_home; /* as span->live says it */
byte finished;

inline acquire(l) { atomic { !l -> l = true } }
inline release(l) { l = false }

inline chain_home(first) {
    acquire(class_lock);
    c = first;
    do
    :: c != 0 ->
        assert(!home[c]);
        home[c] = true;
        at_home++;
        c = next[c]
    :: else -> break
    od;
    release(class_lock)
}

inline central_give(first, n) {
    g = first;
    if
    :: MUTANT(8)
    :: else -> count[g] = n
    fi;
    atomic {
        if
        :: slot == 0 -> slot = g; g = (MUTANT(8) -> g : 0)
        :: else
        fi
    };
    if
    :: MUTANT(8) && slot == g -> count[g] = n; g = 0
    :: else
    fi;
    if
    :: g != 0 -> chain_home(g)
    :: else
    fi;
    g = 0
}

/* chain, n: up to WANT blocks, or 0. */
inline central_take() {
    atomic { chain = slot; slot = 0 };
    if
    :: chain != 0 -> n = count[chain]
    :: else ->
        n = 0;
        acquire(class_lock);
        c = BLOCKS; /* backwards: each is put before the others */
        do
        :: c > 0 && n < WANT ->
            if
            :: home[c] -> home[c] = false; at_home--; next[c] = chain; chain = c; n++
            :: !home[c]
            fi;
            c--
        :: else -> break
        od;
        c = 0;
        release(class_lock)
    fi
}

inline bin_take_spare(into) {
    into = spare[me];
    spare[me] = 0
}

inline give_spare() {
    if
    :: MUTANT(2) && spare[me] != 0 ->
        central_give(spare[me], count[spare[me]]);
        spare[me] = 0
    :: else ->
        bin_take_spare(s);
        if
        :: s != 0 -> central_give(s, count[s])
        :: else
        fi;
        s = 0
    fi
}

/* b = the rest of the way of a malloc whose list is empty */
inline refill() {
    if
    :: limit[me] == 0 ->
        bin_take_spare(s);
        if
        :: s != 0 -> chain_home(s)
        :: else
        fi;
        s = 0
    :: else
    fi;
    bin_take_spare(chain);
    if
    :: chain != 0 -> n = count[chain]
    :: else -> central_take()
    fi;
    if
    :: chain != 0 ->
        b = chain;
        limit[me] = LIMIT;
        head[me] = next[chain];
        length[me] = n - 1
    :: else -> limit[me] = LIMIT
    fi;
    chain = 0;
    n = 0
}

inline malloc() {
    b = head[me];
    if
    :: b != 0 ->
        head[me] = next[b];
        length[me]--
    :: else -> refill()
    fi;
    if
    :: b != 0 -> atomic { assert(!used[b]); used[b] = true; b = 0 }
    :: else
    fi
}

inline free_foreign() {
    chain = spare[me];
    if
    :: MUTANT(6) -> spare[me] = b; next[b] = chain
    :: else -> next[b] = chain
    fi;
    n = (chain != 0 -> count[chain] + 1 : 1);
    count[b] = n;
    spare[me] = b;
    if
    :: n == FOREIGN ->
        spare[me] = 0;
        limit[me] = LIMIT;
        central_give(b, n)
    :: else
    fi
}

/* The list is full but for b, which stays. */
inline hand_on() {
    chain = head[me];
    if
    :: MUTANT(3)
    :: else -> head[me] = 0
    fi;
    count[chain] = length[me];
    s = spare[me];
    if
    :: MUTANT(3) -> spare[me] = chain
    :: else
    fi;
    next[b] = 0;
    head[me] = b;
    length[me] = 1;
    spare[me] = chain;
    if
    :: s != 0 -> central_give(s, count[s])
    :: else
    fi;
    s = 0
}

/* A class that is cold: the list and b. */
inline go_home() {
    chain = head[me];
    if
    :: MUTANT(4)
    :: else -> head[me] = 0
    fi;
    next[b] = chain;
    length[me] = 0;
    chain_home(b);
    head[me] = 0
}

inline free() {
    atomic { used[b] = false };
    if
    :: !ended[me] && limit[me] != 0 && length[me] + 1 < LIMIT ->
        if
        :: MUTANT(1) -> head[me] = b; next[b] = chain
        :: else -> next[b] = head[me]; head[me] = b
        fi;
        length[me]++
    :: else ->
        if
        :: ended[me] -> next[b] = 0; chain_home(b)
        :: !ended[me] && limit[me] == 0 -> free_foreign()
        :: !ended[me] && limit[me] != 0 && head[me] != 0 -> hand_on()
        :: !ended[me] && limit[me] != 0 && head[me] != 0 -> go_home() /* while the class is cold */
        fi
    fi;
    b = 0;
    chain = 0;
    n = 0
}

inline flush() {
    chain = head[me];
    n = length[me];
    head[me] = 0;
    length[me] = 0;
    if
    :: chain != 0 -> central_give(chain, n)
    :: else
    fi;
    chain = 0;
    n = 0;
    give_spare()
}

inline unlist() {
    acquire(caches_lock);
    listed[me] = false;
    release(caches_lock)
}

inline close() {
    if
    :: MUTANT(7) -> unlist(); flush()
    :: else -> flush(); unlist()
    fi;
    ended[me] = true;
    limit[me] = 0
}

inline pick() { /* a block of the program's */
    atomic {
        if
        :: used[1] -> b = 1
        :: used[2] -> b = 2
        :: used[BLOCKS] -> b = BLOCKS
        :: else -> b = 0
        fi;
        used[b] = false
    }
}

proctype thread(byte me) {
    byte ops, b, c, g, s, n, chain;
    acquire(caches_lock);
    listed[me] = true;
    release(caches_lock);
    do
    :: ops < OPS ->
        ops++;
        if
        :: malloc()
        :: pick();
            if
            :: b != 0 -> free()
            :: else
            fi
        :: flush()
        fi
    :: else -> break
    od;
    close();
    pick(); /* a free that comes after the end */
    if
    :: b != 0 -> free()
    :: else
    fi;
    finished++
}

inline see(b) {
    assert(!seen[b] && !used[b] && !home[b]);
    seen[b] = true
}

inline walk(first) {
    at = first;
    n = 0;
    do
    :: at != 0 -> see(at); at = next[at]; n++
    :: else -> break
    od
}

/* fork() at one instant; what the child does with what it finds: cache.c forked, and later takers. */
proctype fork() {
    byte i, at, n;
    bool seen[BLOCKS + 1];
    acquire(caches_lock);
    if
    :: MUTANT(5)
    :: else -> acquire(class_lock)
    fi;
    d_step {
        do
        :: i < THREADS ->
            if
            :: listed[i] ->
                walk(head[i]);
                walk(spare[i]);
                assert(spare[i] == 0 || count[spare[i]] == n)
            :: else -> assert(head[i] == 0 && spare[i] == 0)
            fi;
            i++
        :: else -> break
        od;
        walk(slot);
        assert(slot == 0 || count[slot] == n);
        i = 1;
        n = 0;
        do
        :: i <= BLOCKS -> n = n + home[i]; i++
        :: else -> break
        od;
        assert(at_home == n)
    };
    if
    :: MUTANT(5)
    :: else -> release(class_lock)
    fi;
    release(caches_lock)
}

init {
    byte i;
    choose_mutant();
    d_step {
        used[1] = true; /* blocks that another thread allocated, one with what once was a link in it */
        used[2] = true;
        next[1] = 2;
        i = 3;
        do
        :: i <= BLOCKS -> home[i] = true; at_home++; i++
        :: else -> break
        od;
        i = 0
    };
    atomic {
        do
        :: i < THREADS -> run thread(i); i++
        :: else -> break
        od;
        run fork()
    };
    finished == THREADS;
    d_step { /* no block is lost in the parent */
        i = 1;
        do
        :: i <= BLOCKS -> assert(home[i] || used[i] || slot == i || (slot != 0 && next[slot] == i)); i++
        :: else -> break
        od
    }
}
