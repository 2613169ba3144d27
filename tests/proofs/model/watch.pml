/* SPDX-License-Identifier: MIT */
/*
 * The switch between fast and watched. alloc/heap/mode_switch.c: mode_switch_on, mode_switch_off; alloc/heap/cache.c:
 * cache_set_lists, settle_slow, flush, cache_overflow_slow; alloc/heap/span.c: span_show,
 * register_small; alloc/api/front.h: front_alloc, front_free_sized; alloc/api/front.c: front_alloc_slow,
 * front_free_slow. One class, BLOCKS blocks of one span, which is new
 * while nobody has asked (so that register_small is in the model); lists, the parked chains (as a set) and the span hold
 * blocks. A list holds one block; at the second it is parked. Threads allocate and free; one switches.
 *
 * Holds: a free that begins while the mode is on is seen by it, unless the mode is switched off before it is done (W1); a
 * block lies in one place, and a list's count is right after every call (K1); when all threads have made a call with the
 * mode on, nothing is parked or on lists, where nobody would take it; nobody waits for ever.
 *
 * small: -DTHREADS=1 -DBLOCKS=2 -DROUNDS=3
 * big: -DTHREADS=2 -DBLOCKS=2 -DROUNDS=2
 * mutant 1: the mode is on before the unit map is hidden
 * mutant 2: a span taken while hidden is put into the unit map
 * mutant 3: a thread that learns late of a mode leaves parked what its list held
 * mutant 4: the slow free looks twice whether lists are kept
 * mutant 5: the unit map is shown again before the mode is off
 * mutant 6: a free that finds lists off, and then on again, leaves the count of its list as if it were not there
 */
#include "common.h"

#define NONE 255

bool mode, unmapped, lists_off, acquired; /* acquired: there is a span */
bool shown;                             /* the unit map's entry */
bool span_lock, mode_switch_lock, class_lock;
bool home[BLOCKS], slot[BLOCKS], used[BLOCKS];
byte since;      /* how often the mode was switched off */
byte finished;

typedef cache {
    bool idle;
    byte head;  /* 0, or a block plus one */
    byte count; /* K1: the length of the list when no call is going on; here it runs from 0, not from -limit */
};
cache caches[THREADS];

inline acquire(l) { atomic { !l -> l = true } }
inline release(l) { l = false }

inline span_show(on) {
    acquire(span_lock);
    unmapped = !on;
    if
    :: acquired -> shown = on
    :: else
    fi;
    release(span_lock)
}

/* Gives one block to the program: b. */
inline central_take_single() {
    acquire(class_lock);
    if
    :: !acquired ->
        acquire(span_lock);
        shown = !unmapped || MUTANT(2);
        acquired = true;
        release(span_lock)
    :: else
    fi;
    atomic {
        if
        :: home[0] -> b = 0; home[0] = false
        :: !home[0] && home[BLOCKS - 1] -> b = BLOCKS - 1; home[BLOCKS - 1] = false
        :: else -> b = NONE
        fi
    };
    release(class_lock)
}

inline give_home(x) {
    acquire(class_lock);
    assert(!home[x]);
    home[x] = true;
    release(class_lock)
}

inline central_flush() {
    f = 0;
    do
    :: f < BLOCKS ->
        atomic {
            if
            :: slot[f] -> slot[f] = false; g = true
            :: else -> g = false
            fi
        };
        if
        :: g -> give_home(f)
        :: else
        fi;
        f++
    :: else -> break
    od;
    atomic { f = 0; g = false }
}

inline cache_flush() {
    if
    :: !caches[me].idle && caches[me].head != 0 ->
        atomic { h = caches[me].head; caches[me].head = 0; caches[me].count = 0 };
        slot[h - 1] = true;
        h = 0
    :: else
    fi
}

inline settle_slow() {
    off = lists_off;
    if
    :: off && !caches[me].idle ->
        cache_flush();
        if
        :: MUTANT(3)
        :: else -> central_flush()
        fi
    :: else
    fi;
    caches[me].idle = off;
    kept = !off;
    off = false
}

inline ensure_open() {
    kept = !caches[me].idle && !lists_off;
    if
    :: !kept -> settle_slow()
    :: else
    fi
}

inline mode_switch_on() {
    acquire(mode_switch_lock);
    if
    :: MUTANT(1) -> mode = true
    :: else
    fi;
    lists_off = true;
    span_show(false);
    central_flush();
    mode = true;
    release(mode_switch_lock)
}

inline mode_switch_off() {
    acquire(mode_switch_lock);
    if
    :: MUTANT(5) -> span_show(true); atomic { mode = false; since++ }
    :: else -> atomic { mode = false; since++ }; span_show(true)
    fi;
    lists_off = false;
    release(mode_switch_lock)
}

/* cache_refill_slow. The block is b afterwards, or NONE. */
inline refill() {
    ensure_open();
    if
    :: kept ->
        atomic {
            if
            :: slot[0] -> slot[0] = false; b = 0
            :: !slot[0] && slot[BLOCKS - 1] -> slot[BLOCKS - 1] = false; b = BLOCKS - 1
            :: else -> b = NONE
            fi
        };
        if
        :: b == NONE -> central_take_single()
        :: else
        fi
    :: else -> central_take_single()
    fi
}

inline pop() {
    atomic {
        if
        :: caches[me].head != 0 -> b = caches[me].head - 1; caches[me].head = 0; caches[me].count = 0
        :: else -> b = NONE
        fi
    }
}

inline malloc() {
    pop();
    if
    :: b == NONE ->
        watched = mode;
        if
        :: watched -> ensure_open()
        :: else
        fi;
        refill()
    :: else
    fi;
    if
    :: b != NONE -> atomic { assert(!used[b]); used[b] = true }
    :: else
    fi
}

/* The count is raised for block x already. */
inline cache_overflow_slow(x) {
    kept = !caches[me].idle && !lists_off;
    if
    :: !kept ->
        caches[me].count--;
        settle_slow();
        if
        :: kept && !MUTANT(6) -> caches[me].count++
        :: else
        fi
    :: else
    fi;
    if
    :: MUTANT(4) && kept -> kept = !lists_off
    :: else
    fi;
    if
    :: !kept -> give_home(x)
    :: kept && caches[me].head != 0 -> /* full: what was on the list goes with its length, x stays */
        assert(caches[me].count == 2);
        h = caches[me].head;
        atomic { caches[me].head = x + 1; caches[me].count = 1 };
        slot[h - 1] = true;
        h = 0
    :: kept && caches[me].head == 0 -> atomic { caches[me].head = x + 1; caches[me].count = 1 }
    fi
}

/* The block's list, whether the fast path or plain_free_small_slow puts it there. No other thread sees the list. */
inline push_or_overflow(x) {
    atomic {
        caches[me].count++;
        slow = caches[me].count > 1 || caches[me].idle;
        if
        :: !slow -> caches[me].head = x + 1
        :: else
        fi
    };
    if
    :: slow -> cache_overflow_slow(x)
    :: else
    fi
}

inline free(x) {
    atomic { began_on = mode; began_since = since; used[x] = false };
    entry = shown;
    if
    :: entry -> /* past every mode */
        assert(!began_on || since != began_since)
    :: else ->
        watched = mode;
        assert(watched || !began_on || since != began_since);
        if
        :: watched -> ensure_open()
        :: else
        fi
    fi;
    push_or_overflow(x);
    assert(caches[me].count == (caches[me].head != 0)) /* K1 */
}

proctype thread(byte me) {
    byte rounds, b = NONE, other = NONE, f, h, began_since;
    bool g, off, kept, slow, watched, entry, began_on;
    do
    :: rounds < ROUNDS ->
        rounds++;
        if
        :: other == NONE -> atomic { other = b; b = NONE }; malloc()
        :: b != NONE -> free(b); atomic { b = other; other = NONE }
        fi;
        atomic { watched = false; entry = false; slow = false; began_on = false; began_since = 0; kept = false }
    :: else -> break
    od;
    do
    :: b != NONE -> free(b); atomic { b = other; other = NONE }
    :: else ->
        if
        :: other != NONE -> atomic { b = other; other = NONE }
        :: else -> break
        fi
    od;
    finished++;
    /* One more call, when the switch is at rest. */
    finished > THREADS;
    ensure_open();
    finished++
}

proctype switcher() {
    byte f;
    bool g;
    mode_switch_on();
    mode_switch_off();
    mode_switch_on();
    finished == THREADS;
    finished++
}

init {
    byte i;
    choose_mutant();
    d_step {
        do
        :: i < BLOCKS -> home[i] = true; i++
        :: else -> break
        od;
        i = 0
    };
    atomic {
        do
        :: i < THREADS -> run thread(i); i++
        :: else -> break
        od;
        run switcher()
    };
    finished == 2 * THREADS + 1;
    d_step {
        i = 0;
        do
        :: i < BLOCKS -> assert(home[i] && !slot[i]); i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < THREADS -> assert(caches[i].head == 0 && caches[i].count == 0); i++
        :: else -> break
        od
    }
}
