/* SPDX-License-Identifier: MIT */
#include "told.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "code.h"
#include "counts.h"
#include "directory.h"
#include "locks.h"
#include "mappings.h"
#include "turns.h"

enum { BEST = 60 }; /* of each list as many are told */

/* The entries with the highest values, the highest first; among equal ones the lowest address first. */
struct best {
    struct entry {
        uint64_t value;
        uintptr_t address;
        const void *of;
    } entries[BEST];
    size_t count;
};

struct modules {
    FILE *out;
    bool any;
};

static bool before(const struct entry *a, const struct entry *b) {
    return a->value != b->value ? a->value > b->value : a->address < b->address;
}

static void best_add(struct best *best, struct entry new) {
    size_t at = best->count < BEST ? best->count++ : BEST - 1;
    if (at == BEST - 1 && best->entries[at].value != 0 && !before(&new, &best->entries[at]))
        return;
    for (; at > 0 && before(&new, &best->entries[at - 1]); at--)
        best->entries[at] = best->entries[at - 1];
    best->entries[at] = new;
}

static uint64_t sum(const uint64_t *values) {
    uint64_t total = 0;
    for (int i = 0; i < KINDS; i++)
        total += values[i];
    return total;
}

static void see_instruction(const struct instruction *at, void *data) {
    if (sum(at->transfers) > 0)
        best_add(data, (struct entry){sum(at->transfers), at->address, at});
}

static void see_line(uintptr_t address, const struct line *line, void *data) {
    best_add(data, (struct entry){line->transfers, address, line});
}

static void see_lock(const struct lock_word *lock, void *data) {
    if (lock->held > 0)
        best_add(data, (struct entry){lock->held, lock->address, lock});
}

static void tell_kinds(FILE *out, const char *name, const uint64_t *values) {
    fprintf(out, "\"%s\": {\"data\": %lu, \"links\": %lu, \"contents\": %lu, \"program\": %lu}", name, values[KIND_DATA],
            values[KIND_LINKS], values[KIND_CONTENTS], values[KIND_PROGRAM]);
}

static void tell_sides(FILE *out, const char *name, const uint64_t values[2]) {
    fprintf(out, "\"%s\": {\"allocator\": %lu, \"program\": %lu},\n", name, values[1], values[0]);
}

static void tell_number(FILE *out, const char *name, uint64_t value) {
    fprintf(out, "\"%s\": %lu, ", name, value);
}

static void tell_counts(FILE *out) {
    fprintf(out, "\"started\": %s, ", counts.started ? "true" : "false");
    tell_number(out, "time", counts.time);
    tell_number(out, "threads", counts.threads);
    tell_number(out, "call_time", counts.call_time);
    tell_number(out, "operations", counts.operations);
    tell_number(out, "instructions", counts.instructions);
    tell_number(out, "accesses", counts.accesses);
    tell_number(out, "turns", turns_taken);
    tell_number(out, "unsettled", turns_unsettled);
    tell_number(out, "cold", counts.cold);
    tell_number(out, "faults", counts.faults);
    tell_kinds(out, "fetches", counts.fetches);
    fputs(",\n", out);
    tell_kinds(out, "upgrades", counts.upgrades);
    fputs(",\n", out);
    tell_sides(out, "atomics", counts.atomics);
    tell_sides(out, "atomics_elsewhere", counts.atomics_elsewhere);
    tell_sides(out, "futex_waits", counts.futex_waits);
    tell_sides(out, "system_calls", counts.system_calls);
}

static void tell_locks(FILE *out) {
    static struct best best;
    locks_walk(see_lock, &best);
    fputs("\"locks\": [", out);
    for (size_t i = 0; i < best.count; i++) {
        const struct lock_word *lock = best.entries[i].of;
        fprintf(out, "%s\n{\"address\": %lu, \"held\": %lu, \"sections\": %lu, \"of\": \"%s\"}", i > 0 ? "," : "",
                lock->address, lock->held, lock->sections, lock->allocator ? "allocator" : "program");
    }
    fputs("],\n", out);
}

static void tell_instructions(FILE *out) {
    static struct best best;
    code_walk(see_instruction, &best);
    fputs("\"instructions_transferring\": [", out);
    for (size_t i = 0; i < best.count; i++) {
        fprintf(out, "%s\n{\"address\": %lu, ", i > 0 ? "," : "", best.entries[i].address);
        tell_kinds(out, "transfers", ((const struct instruction *)best.entries[i].of)->transfers);
        fputc('}', out);
    }
    fputs("],\n", out);
}

static void tell_lines(FILE *out) {
    static struct best best;
    lines_walk(see_line, &best);
    fputs("\"lines\": [", out);
    for (size_t i = 0; i < best.count; i++)
        fprintf(out, "%s\n{\"address\": %lu, \"transfers\": %lu, \"block\": %s}", i > 0 ? "," : "", best.entries[i].address,
                best.entries[i].value, ((const struct line *)best.entries[i].of)->block ? "true" : "false");
    fputs("],\n", out);
}

static void see_mapping(const struct mapping *mapping, void *data) {
    struct modules *modules = data;
    if (strpbrk(mapping->path, "\"\\") != NULL)
        return;
    fprintf(modules->out, "%s\n{\"start\": %lu, \"end\": %lu, \"offset\": %lu, \"path\": \"%s\"}",
            modules->any ? "," : "", mapping->start, mapping->end, mapping->offset, mapping->path);
    modules->any = true;
}

/* Files that lie in memory: what is needed to name functions. */
static void tell_modules(FILE *out) {
    struct modules modules = {.out = out};
    fputs("\"modules\": [", out);
    mappings_walk(see_mapping, &modules);
    fputs("]\n", out);
}

int told_write(const char *path) {
    FILE *out = fopen(path, "we");
    if (out == NULL)
        return false;
    fputs("{", out);
    tell_counts(out);
    tell_locks(out);
    tell_instructions(out);
    tell_lines(out);
    tell_modules(out);
    fputs("}\n", out);
    return fclose(out) == 0;
}
