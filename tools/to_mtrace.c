/* SPDX-License-Identifier: MIT */
/* Each block has addresses of its own, in the order of births, as far from the next as its size wants: no two overlap, and an
 * address stands for one block in the whole log. Blocks from before the recording have addresses below all others. In the place
 * of the caller, which a recording does not have, stand the call and the thread. */
#include "to_mtrace.h"

#include <inttypes.h>

#include "recording_order.h"
#include "table.h"

enum { GRAIN = 16, ROOM_LEAST = 4 * GRAIN }; /* beside a block's size */

static const uint64_t FOREIGN_FROM = 0x10000, FROM = UINT64_C(0x100000000000), TO = UINT64_C(1) << 63;
static const char TOO_MUCH[] = "its sizes add up to more than there are addresses";

struct state {
    FILE *out;
    struct table *blocks; /* the address of each */
    uint64_t next, next_foreign;
};

static void put_caller(const struct state *state, const struct recording_event *event, uint32_t thread)
{
    const char *name = recording_call_names[event->call < RECORDING_FREE ? event->call : RECORDING_FREE];

    fprintf(state->out, "@ %s:thread-%" PRIu32 " ", name, thread);
}

/* The address of the block that ends, which is free then; one of those before the recording, if it has no birth. */
static uint64_t take(struct state *state, uint64_t block)
{
    struct table_entry *entry = block ? table_find(state->blocks, block) : NULL;
    uint64_t address;

    if (!entry || !entry->key)
        return state->next_foreign += GRAIN;
    address = entry->first;
    table_drop(state->blocks, entry);
    return address;
}

/* False if there are no addresses any more. */
static bool put_birth(struct state *state, const struct recording_event *event, uint32_t thread, char sign)
{
    if (TO - state->next < ROOM_LEAST || event->value > TO - state->next - ROOM_LEAST)
        return false;
    put_caller(state, event, thread);
    fprintf(state->out, "%c 0x%" PRIx64 " 0x%" PRIx64 "\n", sign, state->next, event->value);
    table_add(state->blocks, BLOCK_OF(thread, event->birth))->first = state->next;
    state->next += (event->value + 2 * GRAIN - 1) / GRAIN * GRAIN; /* at least one byte between two */
    return true;
}

static bool put_event(struct state *state, const struct recording_event *event, uint32_t thread)
{
    bool is_foreign = event->call == RECORDING_RARE && event->value == RECORDING_FOREIGN;

    if (event->before_thread || is_foreign) {
        put_caller(state, event, thread);
        fprintf(state->out, "%c 0x%" PRIx64 "\n", event->is_birth ? '<' : '-',
                take(state, is_foreign ? 0 : BLOCK_OF(event->before_thread, event->before_birth)));
    }
    if (event->call == RECORDING_RARE && event->value == RECORDING_REFUSED)
        fprintf(state->out, "+ (nil) 0x%" PRIx64 "\n", event->argument);
    return !event->is_birth || put_birth(state, event, thread, event->before_thread ? '>' : '+');
}

const char *to_mtrace(FILE *out, const struct recording *recording)
{
    struct state state = {.out = out, .blocks = table_new(), .next = FROM, .next_foreign = FOREIGN_FROM};
    struct recording_order order;
    struct recording_event event;
    bool is_done = true;
    const char *wrong;
    size_t at;

    fputs("= Start\n", out);
    recording_order_begin(&order, recording);
    while (is_done && recording_order_next(&order, &event, &at))
        is_done = put_event(&state, &event, recording->threads[at].number);
    wrong = is_done ? order.wrong : TOO_MUCH;
    recording_order_end(&order);
    if (recording->is_whole)
        fputs("= End\n", out);
    table_free(state.blocks);
    return wrong;
}
