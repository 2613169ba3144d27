/* SPDX-License-Identifier: MIT */
/* Cores, their clocks, and whose turn it is.
 *
 * Each thread of the program is a core. One core advances at a time: the one whose clock is the earliest, until its clock is
 * later than the second earliest by a number of instructions that is drawn by seed. So the order in which cores act is that of
 * their clocks, and it is the same in each run with the same seed: nothing that the machine does decides it.
 *
 * A core that sleeps in the kernel has no turn. Before the next one acts, the sleeper is awaited until it sleeps indeed, those
 * whom a wake-up has woken until they are back, and a thread that ends until it is gone: the kernel's part in a run is then in
 * the same order each time, too.
 *
 * Only the core whose turn it is calls these functions, unless it says otherwise. */
#ifndef TURNS_H
#define TURNS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct instruction;

enum core_state {
    CORE_UNUSED,
    CORE_READY,  /* has the turn or waits for it */
    CORE_ASLEEP, /* in a system call that may take long */
    CORE_ENDING  /* its thread has called exit */
};

struct core {
    uint64_t clock, limit; /* picoseconds; it must ask for the turn when the clock has passed the limit */
    unsigned number;
    enum core_state state;
    pid_t thread;        /* the kernel's number; 0 until it has run */
    uintptr_t sleeps_on; /* the futex, or 0 */
    bool settled;        /* is known to sleep */
    uintptr_t end_word;  /* a futex that becomes zero and is woken when the thread has ended, or 0 */
    bool gone;           /* qemu has let go of it; only the end word may still have to be written */
    uint32_t go;         /* the futex of its turn */
    bool acts;           /* it knows that it has the turn */
    uint64_t deadline;   /* asleep: when it wakes by itself; 0: never */
    bool calls;          /* is in a call of the allocator */
    uint64_t call_began;
    int64_t system_call; /* where it is, and its first arguments */
    uint64_t arguments[4];
    struct timespec timeout; /* of the program */
    unsigned sleepers; /* before a wake-up: how many slept there */
};

extern struct core *core_of_thread[];

void turns_start(uint64_t seed, uint64_t turn_picoseconds, uint64_t wake_picoseconds);

/* A thread is created, by the core that has the turn, or is the first. Ends the program if there are too many. */
struct core *core_new(unsigned thread, uintptr_t end_word);

/* The same for the thread that the preload creates before turns begin (announce.c): it runs as it likes. The last returns when
 * it has ended. */
void core_pass(unsigned thread);
bool core_is_passing(unsigned thread);
void core_await_passed(void);

/* The thread ends. Called by itself, without the turn. */
void core_gone(unsigned thread);

/* The core's clock has passed its limit, or it has no turn yet: returns when it has the turn. The caller need not have it. */
void turn_ask(struct core *core);

/* Others may have become ready: the turn is passed on sooner. */
void turn_review(struct core *core);

/* The core goes to sleep on a futex (0: in some other call), or ends. A sleeper with a deadline (0: none) is woken when nobody
 * else can act any more, at the latest at the time of its deadline. */
void turn_sleep(struct core *core, uintptr_t futex, uint64_t deadline);
void turn_end(struct core *core);

/* True if nothing would happen but that the core's deadline passes, if it went to sleep. */
bool turn_is_last(const struct core *core, uint64_t deadline);

/* It is back from sleep and waits for its turn; `woken`: by another core, no earlier than at that one's clock. Called without
 * the turn. */
void turn_return(struct core *core, bool woken);

/* How many cores sleep on the futex; and waits until that many of them are back. */
unsigned turn_sleepers(uintptr_t futex);
void turn_await(uintptr_t futex, unsigned left);

unsigned cores_living(void);
uint64_t cores_latest(void); /* the latest clock of all */
extern uint64_t turns_taken, turns_unsettled;

#endif
