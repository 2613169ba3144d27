/* SPDX-License-Identifier: MIT */
/* The steps of one thread. Time is taken for many of them at once, less what it waited and slept. */
#include <malloc.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../recording_format.h"
#include "replayer.h"

enum { PAGE = 4096, LOOKS_BEFORE_SLEEP = 200, NAP_NS = 20 * 1000, PATIENCE_S = 120, PACE_LEAST_NS = 50 * 1000 };

/* In the place of a block that was refused: it is given back as nothing. */
static char refused[1];

static void nap(uint64_t ns)
{
    nanosleep(&(struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)}, NULL);
}

/* What is not spent in calls, in nanoseconds. */
struct pause {
    uint64_t passed, cpu;
};

/* Waits until another thread has put something there. */
static void await_block(struct worker *worker, void **place, struct pause *pause)
{
    uint64_t from = clock_ns(), now = from, cpu = processor_ns();

    __atomic_store_n(&worker->is_waiting, true, __ATOMIC_RELEASE);
    for (unsigned looks = 0; !__atomic_load_n(place, __ATOMIC_ACQUIRE); looks++) {
        if (looks < LOOKS_BEFORE_SLEEP)
            sched_yield();
        else
            nap(NAP_NS);
        now = clock_ns();
        if (now - from > (uint64_t)PATIENCE_S * 1000000000)
            give_up("a thread waits for a block that does not come; the recording is wrong");
    }
    __atomic_store_n(&worker->is_waiting, false, __ATOMIC_RELEASE);
    pause->passed += clock_ns() - from;
    pause->cpu += processor_ns() - cpu;
}

static struct slot *slot_of(const struct worker *worker, uint32_t number)
{
    return number & PLAN_SHARED ? &replay.shared[number & ~(uint32_t)PLAN_SHARED] : &worker->slots[number];
}

/* A byte of each page: of what a realloc has kept, only what is new. */
static void touch(char *block, uint64_t from, uint64_t to)
{
    for (uint64_t at = from; at < to; at += PAGE)
        ((volatile char *)block)[at] = 1;
    if (to > from)
        ((volatile char *)block)[to - 1] = 1;
}

/* Whether the block has its zeros from the allocator, and is left as that has made it. */
static bool is_written(const struct plan_step *step)
{
    return step->call == PLAN_CALLOC && (replay.touching != TOUCH_RECORDED || step->size < RECORDING_TOUCHED_LEAST);
}

/* How far a block is written to, from its start on. */
static uint64_t wanted(const struct plan_step *step)
{
    uint64_t pages = step->size / PAGE + (step->size % PAGE > 0), some;

    if (replay.touching == TOUCH_NONE || is_written(step))
        return 0;
    if (replay.touching == TOUCH_ALL || step->touched == PLAN_TOUCHED_ALL)
        return step->size;
    some = (uint64_t)((double)pages * step->touched / PLAN_TOUCHED_ALL + 0.5) * PAGE;
    return some < step->size ? some : step->size;
}

static void *get(const struct plan_step *step, void *before)
{
    uint64_t alignment = UINT64_C(1) << step->alignment_log;
    void *block = NULL;

    switch ((enum plan_call)step->call) {
    case PLAN_CALLOC:
        return calloc(1, step->size);
    case PLAN_MEMALIGN:
        return memalign(alignment, step->size);
    case PLAN_POSIX_MEMALIGN:
        return posix_memalign(&block, alignment, step->size) ? NULL : block;
    case PLAN_REALLOC: /* one to nothing has given a block, which not all allocators do */
        return realloc(before, step->size || !before ? step->size : 1);
    default:
        return malloc(step->size);
    }
}

/* The block that ends, out of its slot, and how much of it was touched; its size is taken from what is live. */
static void *take(struct worker *worker, struct slot *slot, uint64_t *touched)
{
    void *block = slot->block;

    *touched = slot->touched;
    slot->block = NULL;
    if (block == refused)
        return NULL;
    __atomic_store_n(&worker->live, worker->live - (int64_t)slot->size, __ATOMIC_RELAXED);
    worker->blocks--;
    return block;
}

static void put(struct worker *worker, struct slot *slot, const struct plan_step *step, void *block, uint64_t touched)
{
    if (block) {
        __atomic_store_n(&worker->live, worker->live + (int64_t)step->size, __ATOMIC_RELAXED);
        worker->blocks++;
    } else {
        worker->refused++;
    }
    slot->size = step->size;
    slot->touched = touched;
    __atomic_store_n(&slot->block, block ? block : refused, __ATOMIC_RELEASE);
}

static void make_step(struct worker *worker, const struct plan_step *step, struct pause *pause)
{
    struct slot *before = step->before == PLAN_NONE ? NULL : slot_of(worker, step->before);
    uint64_t touched = 0, kept, most;
    void *old = NULL, *block;

    if (before && step->before & PLAN_SHARED && !__atomic_load_n(&before->block, __ATOMIC_ACQUIRE))
        await_block(worker, &before->block, pause);
    if (before)
        old = take(worker, before, &touched);
    if (step->call == PLAN_FREE) {
        free(old);
    } else if (step->call == PLAN_TRIM) {
        malloc_trim(step->size);
    } else {
        block = get(step, old);
        kept = step->call != PLAN_REALLOC || !old ? 0 : touched < step->size ? touched : step->size;
        most = wanted(step);
        if (block)
            touch(block, kept, most);
        put(worker, slot_of(worker, step->slot), step, block, is_written(step) ? step->size : most > kept ? most : kept);
    }
}

/* Sleeps until the step is due, as the recorded thread did. */
static void keep_pace(uint64_t due, struct pause *pause)
{
    uint64_t now = clock_ns();

    if (due < now + PACE_LEAST_NS)
        return;
    nap(due - now);
    pause->passed += clock_ns() - now;
}

static void read_steps(const struct worker *worker, uint64_t from, uint64_t count)
{
    size_t bytes = count * sizeof(struct plan_step);
    off_t at = (off_t)(worker->plan->offset + from * sizeof(struct plan_step));

    if (pread(replay.fd, worker->steps, bytes, at) != (ssize_t)bytes)
        give_up("the plan cannot be read");
}

static void run_part(struct worker *worker, uint64_t count, uint64_t *due)
{
    uint64_t from = clock_ns(), cpu = processor_ns();
    struct pause pause = {0, 0};

    for (uint64_t i = 0; i < count; i++) {
        *due += (uint64_t)worker->steps[i].pause * 1000;
        if (replay.paces && worker->steps[i].pause)
            keep_pace(*due, &pause);
        make_step(worker, &worker->steps[i], &pause);
        __atomic_store_n(&worker->done, worker->done + 1, __ATOMIC_RELAXED);
    }
    worker->cpu += processor_ns() - cpu - pause.cpu;
    worker->spent += clock_ns() - from - pause.passed;
}

void *steps_run(void *argument)
{
    struct worker *worker = argument;
    uint64_t due = replay.begun + worker->plan->begun;

    for (uint64_t at = 0, count; at < worker->plan->steps; at += count) {
        count = worker->plan->steps - at < STEPS_AT_ONCE ? worker->plan->steps - at : STEPS_AT_ONCE;
        read_steps(worker, at, count);
        run_part(worker, count, &due);
    }
    worker->whole_cpu = processor_ns();
    __atomic_store_n(&worker->is_over, true, __ATOMIC_RELEASE);
    return NULL;
}
