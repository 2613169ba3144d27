/* SPDX-License-Identifier: MIT */
#include "memory.h"

#include <string.h>

#include "code.h"
#include "counts.h"
#include "directory.h"
#include "locks.h"
#include "turns.h"

static enum kind kind_of(const struct line *line, uintptr_t address, bool allocator) {
    bool block = line->block >> address % LINE_BYTES / GRAIN_BYTES & 1;
    return allocator ? block ? KIND_LINKS : KIND_DATA : block ? KIND_CONTENTS : KIND_PROGRAM;
}

/* The core waits until the line is free to move, and until it has moved. */
static void pay(struct core *core, struct line *line, bool exclusive) {
    core->clock = (line->ready > core->clock ? line->ready : core->clock) + costs.transfer;
    if (exclusive)
        line->ready = core->clock;
}

/* A line that no core has comes from memory, which costs nothing here; its page may have to come first. */
static void meet_cold(struct core *core, uintptr_t address) {
    bool comes = page_comes(address);
    counts.cold += counting;
    counts.faults += counting && comes;
    core->clock += comes ? costs.fault : 0;
}

static void take(struct core *core, struct line *line, struct instruction *at, uintptr_t address, bool store) {
    bool exclusive = false;
    enum step step = line_take(line, core->number, store, &exclusive);
    if (step == STEP_NONE)
        return;
    if (step == STEP_COLD) {
        meet_cold(core, address);
        return;
    }
    pay(core, line, exclusive);
    if (!counting)
        return;
    enum kind kind = kind_of(line, address, core->calls || at->allocator);
    (step == STEP_FETCH ? counts.fetches : counts.upgrades)[kind]++;
    at->transfers[kind]++;
    line_count(line, address);
}

static uint64_t value_at(uintptr_t address, size_t size) {
    uint64_t value = 0;
    memcpy(&value, (const void *)address, size < sizeof value ? size : sizeof value);
    return value;
}

static void count_atomic(struct core *core, const struct line *line, bool allocator) {
    core->clock += costs.atomic;
    counts.atomics[allocator] += counting;
    counts.atomics_elsewhere[allocator] += counting && line->writer != 0 && line->writer != core->number + 1;
}

/* An atomic instruction that is translated while there is one thread comes here twice, as a read and as a write: the write is
 * what counts. */
static void access_line(struct core *core, struct instruction *at, uintptr_t address, size_t size, bool store) {
    struct line *line = line_of(address);
    bool atomic = at->atomic && store, allocator = core->calls || at->allocator;
    uint64_t begun = core->clock;
    if (atomic)
        count_atomic(core, line, allocator);
    take(core, line, at, address, store);
    if (atomic)
        line->lock |= lock_changed(address, value_at(address, size), core->number, begun, core->clock, allocator);
    else if (store && line->lock)
        lock_stored(address, value_at(address, size), core->number, core->clock);
}

void memory_access(struct core *core, struct instruction *at, uintptr_t address, size_t size, bool store) {
    size_t room = LINE_BYTES - address % LINE_BYTES;
    counts.accesses += counting;
    access_line(core, at, address, size < room ? size : room, store);
    if (size > room)
        access_line(core, at, address + room, size - room, store);
}
