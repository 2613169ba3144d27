/* SPDX-License-Identifier: MIT */
/* Format 1, which all versions of heaptrack since 1.0 read; from_heaptrack.c has its lines. A recording has no call stacks: in
 * their place stand the call and, as its caller, the thread, so that heaptrack tells both apart. Names are in modules of their
 * own kind, and each has one "instruction", whose number is its address. */
#include "to_heaptrack.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gzip.h"
#include "memory.h"
#include "recording_order.h"
#include "table.h"
#include "zstd.h"

enum { CALLS = RECORDING_REALLOC + 1, KIND_SIZE_BITS = 40, NS_A_MS = 1000000 };

struct state {
    FILE *out;
    uint64_t strings, stacks, kinds, ms, foreign;
    uint64_t calls[CALLS];       /* the instruction of each; 0: none yet */
    uint64_t instructions;
    uint64_t *threads;           /* by places: the stack that has only the thread */
    uint64_t (*thread_calls)[CALLS]; /* the stack of a call in it */
    struct table *known; /* by size and stack: the number of their line, and one */
    struct table *blocks; /* the number of the line that each block has */
};

static uint64_t put_string(struct state *state, const char *text)
{
    fprintf(state->out, "s %s\n", text);
    return ++state->strings;
}

static uint64_t put_instruction(struct state *state, const char *function)
{
    uint64_t name = put_string(state, function);

    state->instructions++;
    fprintf(state->out, "i %" PRIx64 " 1 %" PRIx64 "\n", state->instructions, name);
    return state->instructions;
}

static uint64_t put_stack(struct state *state, uint64_t instruction, uint64_t caller)
{
    fprintf(state->out, "t %" PRIx64 " %" PRIx64 "\n", instruction, caller);
    return ++state->stacks;
}

static uint64_t stack_of(struct state *state, size_t at, uint32_t number, enum recording_call call)
{
    if (!state->calls[call])
        state->calls[call] = put_instruction(state, recording_call_names[call]);
    if (!state->threads[at]) {
        char *name = memory_format("thread %" PRIu32, number);

        state->threads[at] = put_stack(state, put_instruction(state, name), 0);
        free(name);
    }
    if (!state->thread_calls[at][call])
        state->thread_calls[at][call] = put_stack(state, state->calls[call], state->threads[at]);
    return state->thread_calls[at][call];
}

/* The number of the line that has this size and stack. Where both do not fit into one key, each block has its own line. */
static uint64_t kind_of(struct state *state, uint64_t size, uint64_t stack)
{
    bool fits = !(size >> KIND_SIZE_BITS) && !(stack >> (64 - KIND_SIZE_BITS));
    struct table_entry *entry = fits ? table_add(state->known, stack << KIND_SIZE_BITS | size) : NULL;

    if (entry && entry->first)
        return entry->first - 1;
    fprintf(state->out, "a %" PRIx64 " %" PRIx64 "\n", size, stack);
    if (entry)
        entry->first = state->kinds + 1;
    return state->kinds++;
}

static void put_time(struct state *state, uint64_t time)
{
    if (time / NS_A_MS <= state->ms)
        return;
    state->ms = time / NS_A_MS;
    fprintf(state->out, "c %" PRIx64 "\n", state->ms);
}

static void put_death(struct state *state, const struct recording_event *event)
{
    struct table_entry *entry = table_find(state->blocks, BLOCK_OF(event->before_thread, event->before_birth));

    if (!entry->key) {
        state->foreign++;
        return;
    }
    fprintf(state->out, "- %" PRIx64 "\n", entry->first);
    table_drop(state->blocks, entry);
}

static void put_event(struct state *state, const struct recording_event *event, size_t at, uint32_t number)
{
    put_time(state, event->time);
    state->foreign += event->call == RECORDING_RARE && event->value == RECORDING_FOREIGN;
    if (event->before_thread)
        put_death(state, event);
    if (event->is_birth) {
        uint64_t kind = kind_of(state, event->value, stack_of(state, at, number, event->call));

        table_add(state->blocks, BLOCK_OF(number, event->birth))->first = kind;
        fprintf(state->out, "+ %" PRIx64 "\n", kind);
    }
}

/* Of the name of a program no line may end. */
static void put_head(struct state *state, const struct recording *recording)
{
    fputs("v 10000 1\nX ", state->out);
    for (const char *at = recording->program; *at; at++)
        putc((unsigned char)*at < ' ' ? '?' : *at, state->out);
    fprintf(state->out, "\nI %lx %lx\n", (unsigned long)sysconf(_SC_PAGESIZE), (unsigned long)sysconf(_SC_PHYS_PAGES));
    put_string(state, recording->source[0] ? recording->source : "recording");
}

static const char *put_all(FILE *out, const struct recording *recording)
{
    struct state state = {.out = out, .known = table_new(), .blocks = table_new()};
    struct recording_order order;
    struct recording_event event;
    const char *wrong;
    size_t at;

    state.threads = memory_new((recording->count + 1) * sizeof *state.threads);
    state.thread_calls = memory_new((recording->count + 1) * sizeof *state.thread_calls);
    put_head(&state, recording);
    recording_order_begin(&order, recording);
    while (recording_order_next(&order, &event, &at))
        put_event(&state, &event, at, recording->threads[at].number);
    wrong = order.wrong;
    recording_order_end(&order);
    if (state.foreign)
        fprintf(out, "# %" PRIu64 " frees of blocks from before the recording are left out\n", state.foreign);
    free(state.threads);
    free(state.thread_calls);
    table_free(state.known);
    table_free(state.blocks);
    return wrong;
}

static bool ends_in(const char *name, const char *end)
{
    return strlen(name) >= strlen(end) && !strcmp(name + strlen(name) - strlen(end), end);
}

static bool put_zstd(FILE *out, const void *bytes, size_t count)
{
    size_t room = zstd_packed_most(count), packed;
    void *to = memory_new(room);

    packed = zstd_pack(to, room, bytes, count);
    fwrite(to, 1, packed, out);
    free(to);
    return packed > 0;
}

/* heaptrack's readers take a file that is one piece. */
static const char *put_packed(FILE *out, bool is_gzip, const struct recording *recording)
{
    size_t count;
    char *bytes;
    FILE *text = open_memstream(&bytes, &count);
    const char *wrong;

    if (!text)
        memory_fail();
    wrong = put_all(text, recording);
    if (ferror(text) | fclose(text))
        memory_fail();
    if (!wrong && !(is_gzip ? gzip_write(out, bytes, count) : put_zstd(out, bytes, count)))
        wrong = "it cannot be compressed";
    free(bytes);
    return wrong;
}

const char *to_heaptrack(FILE *out, const char *name, const struct recording *recording)
{
    bool is_gzip = ends_in(name, ".gz");

    if (!is_gzip && !ends_in(name, ".zst"))
        return put_all(out, recording);
    if (is_gzip && !gzip_load())
        return "cannot load " GZIP_LIBRARY "; apt-get install " GZIP_PACKAGE;
    return put_packed(out, is_gzip, recording);
}
