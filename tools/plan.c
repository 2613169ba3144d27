/* SPDX-License-Identifier: MIT */
#include "plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "recording_order.h"
#include "table.h"

/* While it is made. */
struct maker {
    const struct recording *recording;
    FILE *out;
    struct plan plan;
    struct plan_thread *threads;
    struct table *shared; /* blocks that other threads give back: the slot, whether that has been seen */
    struct table *touched; /* pages of blocks that had memory, and when that was told */
    uint64_t *births;     /* of each thread */
    void *memory;         /* of the cursor */
    /* of the thread at hand: */
    size_t thread;
    struct table *own; /* its blocks: the slot */
    uint32_t *free_slots;
    size_t free_count, free_room;
    uint64_t time;
    size_t waiting; /* the next thread that begins by the steps of the first */
};

/* What is told last holds: before an exec that fails it is told of all. */
static void note_touched(struct maker *maker, const struct recording_event *event)
{
    struct table_entry *entry = table_add(maker->touched, event->about);

    if (event->time >= entry->second) {
        entry->first = event->argument;
        entry->second = event->time;
    }
}

/* Which blocks other threads give back, and when threads begin and end. */
static const char *look_through(struct maker *maker, size_t at)
{
    const struct recording_thread *thread = &maker->recording->threads[at];
    struct recording_cursor cursor;
    struct recording_event event = {0};

    maker->threads[at].begun = thread->frames[0].begun;
    recording_begin(&cursor, maker->recording, thread, maker->memory);
    while (recording_next(&cursor, &event)) {
        if (event.before_thread && event.before_thread != thread->number)
            table_add(maker->shared, BLOCK_OF(event.before_thread, event.before_birth));
        if (event.about)
            note_touched(maker, &event);
    }
    maker->threads[at].ended = event.time;
    maker->births[at] = cursor.births;
    return cursor.wrong;
}

/* Numbers their slots; those that were got before the recording, or are missing, leave. */
static void number_shared(struct maker *maker)
{
    for (size_t i = 0; i <= maker->shared->mask; i++) {
        struct table_entry *entry = &maker->shared->entries[i];
        size_t owner = entry->key ? recording_thread_at(maker->recording, THREAD_OF(entry->key)) : 0;
        uint64_t birth = BIRTH_OF(entry->key);

        if (!entry->key)
            continue;
        if (owner < maker->recording->count && birth < maker->births[owner])
            entry->first = maker->plan.shared++;
        else
            entry->second = true;
    }
}

static uint32_t new_slot(struct maker *maker, uint64_t birth)
{
    uint64_t key = BLOCK_OF(maker->recording->threads[maker->thread].number, birth);
    const struct table_entry *shared = table_find(maker->shared, key);
    uint32_t slot;

    if (shared->key)
        return (uint32_t)shared->first | PLAN_SHARED;
    slot = maker->free_count ? maker->free_slots[--maker->free_count] : (uint32_t)maker->threads[maker->thread].slots++;
    table_add(maker->own, key)->first = slot;
    return slot;
}

/* The slot of the block that ends, which is free then; PLAN_NONE if there is no such block. */
static uint32_t old_slot(struct maker *maker, const struct recording_event *event)
{
    uint64_t key = BLOCK_OF(event->before_thread, event->before_birth);
    struct table_entry *entry = table_find(maker->shared, key);
    uint32_t slot;

    if (entry->key) {
        bool is_seen = entry->second;

        entry->second = true;
        return is_seen ? PLAN_NONE : (uint32_t)entry->first | PLAN_SHARED;
    }
    entry = table_find(maker->own, key);
    if (!entry->key)
        return PLAN_NONE;
    slot = (uint32_t)entry->first;
    table_drop(maker->own, entry);
    maker->free_slots = memory_room(maker->free_slots, maker->free_count, &maker->free_room, sizeof *maker->free_slots);
    maker->free_slots[maker->free_count++] = slot;
    return slot;
}

static enum plan_call call_of(const struct recording_event *event)
{
    if (event->call == RECORDING_CALLOC)
        return PLAN_CALLOC;
    if (event->call == RECORDING_ALIGNED)
        return event->kind == RECORDING_POSIX_MEMALIGN ? PLAN_POSIX_MEMALIGN : PLAN_MEMALIGN;
    if (event->call == RECORDING_REALLOC)
        return PLAN_REALLOC;
    if (event->call == RECORDING_FREE || event->call == RECORDING_FREE_OTHER)
        return PLAN_FREE;
    return event->call == RECORDING_RARE ? PLAN_TRIM : PLAN_MALLOC;
}

/* Of a block of which nothing is told, all. */
static uint16_t touched_of(const struct maker *maker, const struct recording_event *event)
{
    uint64_t block = BLOCK_OF(maker->recording->threads[maker->thread].number, event->birth);
    const struct table_entry *entry = event->is_birth ? table_find(maker->touched, block) : NULL;
    uint64_t pages = event->value / RECORDING_PAGE + (event->value % RECORDING_PAGE > 0);

    if (!entry || !entry->key || entry->first >= pages)
        return PLAN_TOUCHED_ALL;
    return (uint16_t)((double)entry->first / (double)pages * PLAN_TOUCHED_ALL + 0.5);
}

/* False if there is nothing to do. */
static bool make_step(struct maker *maker, const struct recording_event *event, struct plan_step *step)
{
    bool is_trim = event->call == RECORDING_RARE && event->value == RECORDING_TRIM;
    bool is_null = event->call == RECORDING_FREE && !event->value;

    *step = (struct plan_step){.size = is_trim ? event->argument : event->value, .slot = PLAN_NONE, .before = PLAN_NONE,
                               .call = (uint8_t)call_of(event), .alignment_log = event->alignment_log,
                               .touched = touched_of(maker, event)};
    if (event->before_thread)
        step->before = old_slot(maker, event);
    if (event->is_birth)
        step->slot = new_slot(maker, event->birth);
    return event->is_birth || step->before != PLAN_NONE || is_null || is_trim;
}

/* Threads that began before this step of the first one begin after those before it. */
static void let_begin(struct maker *maker, uint64_t time)
{
    while (maker->waiting < maker->recording->count && maker->threads[maker->waiting].begun <= time)
        maker->threads[maker->waiting++].after = maker->threads[0].steps;
}

static const char *write_thread(struct maker *maker, size_t at)
{
    const struct recording_thread *thread = &maker->recording->threads[at];
    struct recording_cursor cursor;
    struct recording_event event;
    struct plan_step step;

    maker->thread = at;
    maker->own = table_new();
    maker->free_count = 0;
    maker->time = maker->threads[at].begun;
    maker->threads[at].offset = (uint64_t)ftello(maker->out);
    recording_begin(&cursor, maker->recording, thread, maker->memory);
    while (recording_next(&cursor, &event)) {
        uint64_t us = event.time > maker->time ? (event.time - maker->time) / 1000 : 0;

        if (at == 0)
            let_begin(maker, event.time);
        if (!make_step(maker, &event, &step))
            continue;
        step.pause = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
        maker->time += us * 1000;
        maker->threads[at].steps++;
        fwrite(&step, sizeof step, 1, maker->out);
    }
    if (at == 0)
        let_begin(maker, UINT64_MAX);
    maker->plan.steps += maker->threads[at].steps;
    table_free(maker->own);
    return cursor.wrong ? cursor.wrong : ferror(maker->out) ? strerror(errno) : NULL;
}

static const char *make(struct maker *maker)
{
    size_t count = maker->recording->count;
    const char *wrong = NULL;

    for (size_t i = 0; i < count && !wrong; i++)
        wrong = look_through(maker, i);
    number_shared(maker);
    if (maker->plan.shared >= PLAN_NONE)
        return "too many blocks are given back by other threads";
    fwrite(&maker->plan, sizeof maker->plan, 1, maker->out);
    fwrite(maker->threads, sizeof *maker->threads, count, maker->out);
    for (size_t i = 0; i < count && !wrong; i++)
        wrong = write_thread(maker, i);
    rewind(maker->out);
    fwrite(&maker->plan, sizeof maker->plan, 1, maker->out);
    fwrite(maker->threads, sizeof *maker->threads, count, maker->out);
    if (fflush(maker->out) && !wrong)
        wrong = strerror(errno);
    return wrong;
}

const char *plan_write(FILE *out, const struct recording *recording)
{
    struct maker maker = {.recording = recording, .out = out, .shared = table_new(), .touched = table_new(), .waiting = 1,
                          .plan = {.magic = PLAN_MAGIC, .threads = recording->count}};
    const char *wrong;

    maker.threads = memory_new((recording->count + 1) * sizeof *maker.threads);
    maker.births = memory_new((recording->count + 1) * sizeof *maker.births);
    maker.memory = memory_new(recording_cursor_bytes());
    wrong = make(&maker);
    table_free(maker.shared);
    table_free(maker.touched);
    free(maker.threads);
    free(maker.births);
    free(maker.memory);
    free(maker.free_slots);
    return wrong;
}
