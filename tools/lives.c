/* SPDX-License-Identifier: MIT */
#include "lives.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "recording_order.h"
#include "table.h"

static unsigned bits_of(uint64_t value)
{
    return value ? 64 - (unsigned)__builtin_clzll(value) : 0;
}

static void add_birth(struct lives *lives, uint32_t number, struct lives_thread *thread, const struct recording_event *event)
{
    struct table_entry *entry = table_add(lives->table, BLOCK_OF(number, event->birth));
    struct lives_class *class = &lives->classes[bits_of(event->value)];

    entry->first = event->value;
    entry->second = event->time;
    class->blocks++;
    class->bytes += event->value;
    lives->blocks++;
    lives->bytes += event->value;
    thread->blocks++;
    thread->bytes += event->value;
    lives->live_blocks++;
    lives->live_bytes += event->value;
    if (lives->live_bytes > lives->peak_bytes) {
        lives->peak_bytes = lives->live_bytes;
        lives->peak_blocks = lives->live_blocks;
        lives->peak_time = event->time;
    }
}

static void add_pair(struct lives *lives, size_t by, size_t owner, uint64_t bytes)
{
    struct table_entry *entry = table_add(lives->places, (uint64_t)by << 32 | (owner + 1));

    if (!entry->first) {
        lives->pairs = memory_room(lives->pairs, lives->pair_count, &lives->pair_room, sizeof *lives->pairs);
        lives->pairs[lives->pair_count++] = (struct lives_pair){by, owner, 0, 0};
        entry->first = lives->pair_count;
    }
    lives->pairs[entry->first - 1].blocks++;
    lives->pairs[entry->first - 1].bytes += bytes;
}

static void add_death(struct lives *lives, const struct recording *recording, size_t by, const struct recording_event *event)
{
    struct table_entry *entry = table_find(lives->table, BLOCK_OF(event->before_thread, event->before_birth));
    size_t owner = recording_thread_at(recording, event->before_thread);
    uint64_t age;

    if (!entry->key || owner == recording->count) {
        lives->unknown++;
        return;
    }
    age = event->time > entry->second ? event->time - entry->second : 0;
    lives->classes[bits_of(entry->first)].ages[bits_of(age)]++;
    lives->live_blocks--;
    lives->live_bytes -= entry->first;
    if (owner == by) {
        lives->threads[by].own++;
    } else {
        lives->threads[by].others++;
        lives->threads[owner].by_others++;
        add_pair(lives, by, owner, entry->first);
    }
    table_drop(lives->table, entry);
}

/* A block is in the table until it ends. One that is told of again and again counts each time. */
static void add_touched(struct lives *lives, const struct recording_event *event)
{
    const struct table_entry *entry = event->about ? table_find(lives->table, event->about) : NULL;
    uint64_t bytes = event->argument < UINT64_MAX / RECORDING_PAGE ? event->argument * RECORDING_PAGE : UINT64_MAX;

    if (!entry || !entry->key)
        return;
    lives->touched_bytes += bytes < entry->first ? bytes : entry->first; /* its first and last page are others' as well */
    lives->touched_of += entry->first;
}

static void add_event(struct lives *lives, const struct recording *recording, size_t at, const struct recording_event *event)
{
    struct lives_thread *thread = &lives->threads[at];

    lives->events++;
    lives->calls[event->call]++;
    thread->begun = thread->events++ ? thread->begun : event->time;
    thread->ended = event->time;
    if (event->time > lives->end)
        lives->end = event->time;
    if (event->call == RECORDING_RARE && event->value < LIVES_RARE)
        lives->rare[event->value]++;
    if (event->call == RECORDING_RARE && event->value == RECORDING_TOUCHED)
        add_touched(lives, event);
    if (event->call == RECORDING_FREE && !event->value)
        lives->nulls++;
    if (event->before_thread)
        add_death(lives, recording, at, event);
    if (event->is_birth)
        add_birth(lives, recording->threads[at].number, thread, event);
    course_add(&lives->course, recording->has_times ? event->time : lives->events - 1, lives->live_bytes, lives->live_blocks);
}

static int more_blocks(const void *a, const void *b)
{
    const struct lives_pair *left = a, *right = b;

    return (left->blocks < right->blocks) - (left->blocks > right->blocks);
}

const char *lives_read(struct lives *lives, const struct recording *recording)
{
    struct recording_order order;
    struct recording_event event;
    size_t at;

    *lives = (struct lives){.table = table_new(), .places = table_new()};
    lives->threads = memory_new((recording->count + 1) * sizeof *lives->threads);
    recording_order_begin(&order, recording);
    while (recording_order_next(&order, &event, &at))
        add_event(lives, recording, at, &event);
    recording_order_end(&order);
    for (size_t i = 0; i <= lives->table->mask; i++) {
        const struct table_entry *entry = &lives->table->entries[i];

        if (entry->key) {
            lives->classes[bits_of(entry->first)].left_blocks++;
            lives->classes[bits_of(entry->first)].left_bytes += entry->first;
        }
    }
    if (lives->pair_count)
        qsort(lives->pairs, lives->pair_count, sizeof *lives->pairs, more_blocks);
    return order.wrong;
}

void lives_free(struct lives *lives)
{
    table_free(lives->table);
    table_free(lives->places);
    free(lives->threads);
    free(lives->pairs);
}
