/* SPDX-License-Identifier: MIT */
#include "turns.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "directory.h"

enum { THREADS_MOST = 65536, PATIENCE_LOOKS = 20000 };

struct core *core_of_thread[THREADS_MOST];
uint64_t turns_taken, turns_unsettled;

static struct core cores[CORES_MOST];
static struct core passing = {.number = CORES_MOST - 1, .limit = UINT64_MAX};
static bool passed;
static unsigned cores_used, living, unsettled; /* unsettled: asleep, not known to be; or ending */
static struct core *holder;
static uint64_t last_clock; /* of the last holder */
static uint64_t random_state, turn_length, wake_latency;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void turns_start(uint64_t seed, uint64_t turn_picoseconds, uint64_t wake_picoseconds) {
    random_state = seed;
    turn_length = turn_picoseconds;
    wake_latency = wake_picoseconds;
}

static uint64_t draw(uint64_t below) {
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % below;
}

static uint64_t later(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

struct core *core_new(unsigned thread, uintptr_t end_word) {
    pthread_mutex_lock(&lock);
    unsigned number = 0;
    while (number < CORES_MOST && cores[number].state != CORE_UNUSED)
        number++;
    if (number == CORES_MOST || thread >= THREADS_MOST) {
        fprintf(stderr, "cores: the program has more than %d threads at a time\n", CORES_MOST);
        _exit(1);
    }
    struct core *core = &cores[number];
    uint64_t clock = holder != NULL ? holder->clock : last_clock;
    *core = (struct core){.number = number, .state = CORE_READY, .end_word = end_word, .clock = later(core->clock, clock) + 1};
    cores_used = number + 1 > cores_used ? number + 1 : cores_used;
    core_of_thread[thread] = core;
    living++;
    pthread_mutex_unlock(&lock);
    return core;
}

void core_pass(unsigned thread) {
    core_of_thread[thread] = &passing;
}

bool core_is_passing(unsigned thread) {
    return core_of_thread[thread] == &passing;
}

void core_await_passed(void) {
    while (!__atomic_load_n(&passed, __ATOMIC_ACQUIRE))
        sched_yield();
}

/* ---- who is next ---------------------------------------------------------------------------------------------------- */

/* The ready core other than `but` with the earliest clock, or NULL. */
static struct core *earliest(const struct core *but) {
    struct core *found = NULL;
    for (unsigned i = 0; i < cores_used; i++)
        if (cores[i].state == CORE_READY && &cores[i] != but && (found == NULL || cores[i].clock < found->clock))
            found = &cores[i];
    return found;
}

static void set_limit(struct core *core) {
    struct core *second = earliest(core);
    core->limit = second == NULL ? UINT64_MAX : later(core->clock, second->clock) + draw(2 * turn_length);
}

static void give(struct core *core) {
    holder = core;
    if (core == NULL)
        return;
    turns_taken++;
    __atomic_store_n(&core->go, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &core->go, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static struct core *earliest_deadline(void) {
    struct core *first = NULL;
    for (unsigned i = 0; i < cores_used; i++)
        if (cores[i].state == CORE_ASLEEP && cores[i].deadline != 0 && (first == NULL || cores[i].deadline < first->deadline))
            first = &cores[i];
    return first;
}

bool turn_is_last(const struct core *core, uint64_t deadline) {
    pthread_mutex_lock(&lock);
    const struct core *first = earliest_deadline();
    bool last = first == NULL || deadline <= first->deadline;
    for (unsigned i = 0; i < cores_used; i++)
        last &= &cores[i] == core || cores[i].state == CORE_UNUSED || cores[i].state == CORE_ASLEEP;
    pthread_mutex_unlock(&lock);
    return last;
}

/* Nobody is ready: the sleeper with the earliest deadline, if there is one, need not wait for it by the machine's clock. */
static void wake_first(void) {
    struct core *first = earliest_deadline();
    if (first == NULL)
        return;
    last_clock = later(last_clock, first->deadline);
    syscall(SYS_futex, first->sleeps_on, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    syscall(SYS_futex, first->sleeps_on, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* The holder gives up its turn. */
static void pass_on(struct core *core) {
    core->limit = 0;
    core->acts = false;
    last_clock = core->clock;
    give(earliest(core));
    if (holder == NULL && core->state != CORE_ENDING)
        wake_first();
}

/* ---- what the kernel has still to do -------------------------------------------------------------------------------- */

/* The thread sleeps in the kernel on its futex: /proc says so of the system call in which it is. */
static bool sleeps(const struct core *core) {
    char name[64], text[64];
    long number = -1;
    unsigned long argument = 0;
    snprintf(name, sizeof name, "/proc/self/task/%d/syscall", core->thread);
    int file = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t length = file >= 0 ? read(file, text, sizeof text - 1) : -1;
    close(file);
    text[length > 0 ? length : 0] = '\0';
    return sscanf(text, "%ld 0x%lx", &number, &argument) == 2 && number == SYS_futex && argument == core->sleeps_on;
}

static unsigned sleepers_on(uintptr_t futex) {
    unsigned count = 0;
    for (unsigned i = 0; i < cores_used; i++)
        count += cores[i].state == CORE_ASLEEP && cores[i].sleeps_on == futex;
    return count;
}

/* A thread has ended when its word is zero and those who wait for that are back. If nobody has the turn, the word is not waited
 * for: nobody would look again. */
static bool has_ended(struct core *core) {
    const uint32_t *word = (const uint32_t *)core->end_word;
    if (!core->gone)
        return false;
    if (word != NULL && ((holder != NULL && __atomic_load_n(word, __ATOMIC_RELAXED) != 0) || sleepers_on(core->end_word) > 0))
        return false;
    core->state = CORE_UNUSED;
    unsettled--;
    living--;
    return true;
}

/* True if nothing of this core is under way. */
static bool is_settled(struct core *core) {
    if (core->state == CORE_ENDING)
        return has_ended(core);
    if (core->state != CORE_ASLEEP || core->settled || core->sleeps_on == 0)
        return true;
    if (!sleeps(core))
        return false;
    core->settled = true;
    unsettled--;
    return true;
}

static bool all_settled(void) {
    bool settled = true;
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < cores_used && unsettled > 0; i++)
        settled &= is_settled(&cores[i]);
    pthread_mutex_unlock(&lock);
    return settled;
}

/* Between two looks, which take microseconds, gives way to who is awaited. After some seconds of looks the run goes on, and is
 * told not to be what it would be the next time. */
static bool has_patience(int looks) {
    turns_unsettled += looks == PATIENCE_LOOKS;
    if (looks < PATIENCE_LOOKS)
        looks < 100 ? (void)sched_yield() : (void)nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    return looks < PATIENCE_LOOKS;
}

static void settle(void) {
    for (int looks = 0; !all_settled() && has_patience(looks);)
        looks++;
}

static void wait_for_turn(struct core *core) {
    while (__atomic_exchange_n(&core->go, 0, __ATOMIC_ACQUIRE) == 0)
        syscall(SYS_futex, &core->go, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    settle();
    pthread_mutex_lock(&lock);
    core->acts = true;
    set_limit(core);
    pthread_mutex_unlock(&lock);
}

/* If nobody has the turn, and nobody is on the way to end, the earliest gets it. */
static void offer(void) {
    for (unsigned i = 0; i < cores_used; i++)
        if (cores[i].state == CORE_ENDING && !has_ended(&cores[i]))
            return;
    if (holder == NULL)
        give(earliest(NULL));
    if (holder == NULL)
        wake_first();
}

/* ---- what cores do -------------------------------------------------------------------------------------------------- */

void turn_ask(struct core *core) {
    pthread_mutex_lock(&lock);
    if (core->thread == 0)
        core->thread = (pid_t)syscall(SYS_gettid);
    if (core->acts) {
        struct core *next = earliest(core);
        if (next == NULL || core->clock <= next->clock) {
            set_limit(core);
            pthread_mutex_unlock(&lock);
            return;
        }
        pass_on(core);
    } else {
        offer();
    }
    pthread_mutex_unlock(&lock);
    wait_for_turn(core);
}

void turn_review(struct core *core) {
    core->limit = 0;
}

void turn_sleep(struct core *core, uintptr_t futex, uint64_t deadline) {
    pthread_mutex_lock(&lock);
    core->state = CORE_ASLEEP;
    core->deadline = deadline;
    core->sleeps_on = futex;
    core->settled = false;
    unsettled += futex != 0;
    pass_on(core);
    pthread_mutex_unlock(&lock);
}

void turn_end(struct core *core) {
    pthread_mutex_lock(&lock);
    core->state = CORE_ENDING;
    unsettled++;
    pass_on(core);
    pthread_mutex_unlock(&lock);
}

void turn_return(struct core *core, bool woken) {
    pthread_mutex_lock(&lock);
    core->state = CORE_READY;
    if (core->sleeps_on != 0 && !core->settled)
        unsettled--;
    if (woken)
        core->clock = later(core->clock, holder != NULL ? holder->clock : last_clock) + wake_latency;
    core->sleeps_on = 0;
    offer();
    pthread_mutex_unlock(&lock);
    wait_for_turn(core);
}

unsigned turn_sleepers(uintptr_t futex) {
    pthread_mutex_lock(&lock);
    unsigned count = sleepers_on(futex);
    pthread_mutex_unlock(&lock);
    return count;
}

void turn_await(uintptr_t futex, unsigned left) {
    for (int looks = 0; turn_sleepers(futex) > left && has_patience(looks);)
        looks++;
}

void core_gone(unsigned thread) {
    struct core *core = core_of_thread[thread];
    if (core_is_passing(thread)) {
        core_of_thread[thread] = NULL;
        return __atomic_store_n(&passed, true, __ATOMIC_RELEASE);
    }
    pthread_mutex_lock(&lock);
    core->gone = true;
    core_of_thread[thread] = NULL;
    offer();
    pthread_mutex_unlock(&lock);
}

unsigned cores_living(void) {
    return living;
}

uint64_t cores_latest(void) {
    uint64_t found = 0;
    for (unsigned i = 0; i < cores_used; i++)
        found = later(found, cores[i].clock);
    return found;
}
