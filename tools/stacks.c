/* SPDX-License-Identifier: MIT */
#include "stacks.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

/* ---- names ------------------------------------------------------------------------------------------------------- */

static int compare_names(const void *one, const void *other)
{
    return strcmp(((const struct name *)one)->label, ((const struct name *)other)->label);
}

static char *label_of(const struct place_line *line, enum stacks_by by)
{
    const struct function *function = line->function;
    const char *slash = strrchr(function->file, '/');

    if (by == STACKS_BY_LINE && *function->file)
        return memory_format("%s %s:%d", function->name, slash ? slash + 1 : function->file, line->line);
    return memory_copy(function->name, strlen(function->name));
}

/* The name with the key's label, which is taken over or freed; its other values are taken where it is new. */
static struct name *named(struct stacks *stacks, struct name key)
{
    struct name **found = tfind(&key, &stacks->name_tree, compare_names), *name;

    if (found) {
        free(key.label);
        return *found;
    }
    name = memory_new(sizeof *name);
    *name = key;
    name->number = stacks->name_count;
    if (!tsearch(name, &stacks->name_tree, compare_names))
        memory_fail();
    stacks->names = memory_room(stacks->names, stacks->name_count, &stacks->name_room, sizeof name);
    return stacks->names[stacks->name_count++] = name;
}

static struct name *name_of(struct stacks *stacks, const struct place_line *line, enum stacks_by by)
{
    return named(stacks, (struct name){.label = label_of(line, by), .function = line->function->name,
                                       .file = line->function->file, .line = by == STACKS_BY_LINE ? line->line : 0});
}

static struct name *tag_of(struct stacks *stacks, const struct sample *sample)
{
    char *label = *sample->tag ? memory_format("[tag %s]", sample->tag) : memory_format("[no tag]");

    return named(stacks, (struct name){.label = label, .function = label, .file = ""});
}

/* ---- stacks ------------------------------------------------------------------------------------------------------ */

static int compare_stacks(const void *one, const void *other)
{
    const struct stack *a = one, *b = other;

    if (a->depth != b->depth)
        return a->depth < b->depth ? -1 : 1;
    return memcmp(a->names, b->names, a->depth * sizeof *a->names);
}

/* The names of a stack, the outermost first. */
static void set_names(struct stacks *stacks, struct stack *stack, const struct sample *sample, enum stacks_by by)
{
    bool has_tag = *sample->tag || by == STACKS_BY_TAG;
    size_t at;

    stack->depth = has_tag;
    for (size_t i = 0; i < sample->depth && by != STACKS_BY_TAG; i++)
        stack->depth += sample->places[i]->line_count;
    at = stack->depth;
    stack->names = memory_new(stack->depth * sizeof *stack->names);
    for (size_t i = 0; i < sample->depth && at > has_tag; i++) {
        for (size_t j = 0; j < sample->places[i]->line_count; j++)
            stack->names[--at] = name_of(stacks, &sample->places[i]->lines[j], by);
    }
    if (has_tag)
        stack->names[0] = tag_of(stacks, sample);
}

static struct stack *stack_of(struct stacks *stacks, const struct sample *sample, enum stacks_by by)
{
    struct stack *stack = memory_new(sizeof *stack), **found;

    set_names(stacks, stack, sample, by);
    found = tsearch(stack, &stacks->tree, compare_stacks);
    if (!found)
        memory_fail();
    if (*found != stack) {
        free(stack->names);
        free(stack);
        return *found;
    }
    if (stacks->samples->moment_count)
        stack->moments = memory_new(stacks->samples->moment_count * sizeof *stack->moments);
    stacks->list = memory_room(stacks->list, stacks->count, &stacks->room, sizeof stack);
    return stacks->list[stacks->count++] = stack;
}

/* It rests on the samples of both. */
static struct heap_amounts difference(const struct heap_amounts *now, const struct heap_amounts *before)
{
    struct heap_amounts change;

    for (int kind = 0; kind < HEAP_KINDS; kind++) {
        change.of[kind].objects = now->of[kind].objects - before->of[kind].objects;
        change.of[kind].bytes = now->of[kind].bytes - before->of[kind].bytes;
        change.of[kind].samples = now->of[kind].samples + before->of[kind].samples;
    }
    return change;
}

/* Gives the stack's change to its names, once to each, however often the function called itself. Their sums are no larger than
   that of all samples, which fits (samples_add). */
static void count_names(struct stack *stack)
{
    struct name *innermost = stack->names[stack->depth - 1];

    heap_amounts_add(&innermost->flat, &stack->change);
    for (int life = 0; life < HEAP_LIVES; life++)
        innermost->lived[life] += stack->lived[life];
    for (size_t i = 0; i < stack->depth; i++) {
        if (stack->names[i]->seen != stack)
            heap_amounts_add(&stack->names[i]->total, &stack->change);
        stack->names[i]->seen = stack;
    }
}

void stacks_make(struct stacks *stacks, const struct samples *samples, enum stacks_by by)
{
    *stacks = (struct stacks){.samples = samples, .change = difference(&samples->now, &samples->before)};
    for (size_t i = 0; i < samples->count; i++) {
        struct stack *stack = stack_of(stacks, samples->list[i], by);

        heap_amounts_add(&stack->before, &samples->list[i]->before);
        heap_amounts_add(&stack->now, &samples->list[i]->now);
        for (size_t moment = 0; moment < samples->moment_count; moment++)
            heap_amounts_add(&stack->moments[moment], &samples->list[i]->moments[moment]);
        for (int life = 0; life < HEAP_LIVES; life++)
            stack->lived[life] += samples->list[i]->lived[life];
    }
    for (size_t i = 0; i < stacks->count; i++) {
        struct stack *stack = stacks->list[i];

        stack->change = difference(&stack->now, &stack->before);
        count_names(stack);
    }
}

/* ---- order ------------------------------------------------------------------------------------------------------- */

static int64_t larger_first(int64_t a, int64_t b)
{
    a = a < 0 ? -a : a;
    b = b < 0 ? -b : b;
    return a < b ? 1 : a > b ? -1 : 0;
}

static int order_names(const void *one, const void *other, void *kind)
{
    const struct name *a = *(struct name *const *)one, *b = *(struct name *const *)other;
    const struct heap_amount *flat_a = &a->flat.of[*(enum heap_kind *)kind], *flat_b = &b->flat.of[*(enum heap_kind *)kind];
    const struct heap_amount *a_all = &a->total.of[*(enum heap_kind *)kind], *b_all = &b->total.of[*(enum heap_kind *)kind];
    int64_t order = larger_first(flat_a->bytes, flat_b->bytes);

    order = order ? order : larger_first(a_all->bytes, b_all->bytes);
    return order ? (int)order : strcmp(a->label, b->label);
}

void stacks_sort_names(struct stacks *stacks, enum heap_kind kind)
{
    qsort_r(stacks->names, stacks->name_count, sizeof *stacks->names, order_names, &kind);
}

static int order_stacks(const void *one, const void *other, void *kind)
{
    const struct stack *a = *(struct stack *const *)one, *b = *(struct stack *const *)other;
    int64_t order = larger_first(a->change.of[*(enum heap_kind *)kind].bytes, b->change.of[*(enum heap_kind *)kind].bytes);

    for (size_t i = 0; !order && i < a->depth && i < b->depth; i++)
        order = strcmp(a->names[i]->label, b->names[i]->label);
    return order ? (order < 0 ? -1 : 1) : a->depth < b->depth ? -1 : a->depth > b->depth;
}

void stacks_sort(struct stacks *stacks, enum heap_kind kind)
{
    qsort_r(stacks->list, stacks->count, sizeof *stacks->list, order_stacks, &kind);
}
