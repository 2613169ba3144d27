/* SPDX-License-Identifier: MIT */
#include "other_parts.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

static bool has_thread(const struct heap_view *view, const struct area *area)
{
    for (size_t i = 0; i < view->thread_count; i++) {
        const struct heap_thread *thread = &view->threads[i];

        if (thread->number != view->target.number && thread->address >= area->start && thread->address < area->end)
            return true;
    }
    return false;
}

enum { VARIABLES_MOST = 256 << 10 };

/* Variables of a program or a library that begin as zeros lie behind those that its file has, in an area without a name. A
   larger one is taken for a mapping that came to lie there. */
static bool has_variables(const struct area *before, const struct area *area)
{
    return before->is_file && before->is_private && area->is_private && before->end == area->start &&
           area->end - area->start <= VARIABLES_MOST;
}

static const char *name_of(const struct heap_view *view, const struct areas *areas, size_t n)
{
    const struct area *area = &areas->list[n], *before = n ? area - 1 : NULL;

    if (!strcmp(area->name, "[heap]"))
        return "[heap], what others take by sbrk";
    if (*area->name)
        return area->name;
    if (has_thread(view, area))
        return "stacks of threads";
    if (before && has_variables(before, area))
        return before->name;
    return "mappings without a name";
}

static void add(struct other_parts *parts, const char *name, uint64_t bytes)
{
    parts->bytes += bytes;
    for (size_t i = 0; i < parts->count; i++) {
        if (!strcmp(parts->list[i].name, name)) {
            parts->list[i].bytes += bytes;
            return;
        }
    }
    parts->list = memory_room(parts->list, parts->count, &parts->room, sizeof *parts->list);
    parts->list[parts->count++] = (struct other_part){memory_copy(name, strlen(name)), bytes};
}

static int compare(const void *one, const void *other)
{
    const struct other_part *a = one, *b = other;

    return a->bytes != b->bytes ? (a->bytes < b->bytes) - (a->bytes > b->bytes) : strcmp(a->name, b->name);
}

/* What of an area is the allocator's. *at is the first run that is not behind. */
static uint64_t ours_in(const struct area *area, const struct runs *ours, size_t *at)
{
    uint64_t bytes = 0;

    for (; *at < ours->count && ours->list[*at].start < area->end; ++*at) {
        const struct run *run = &ours->list[*at];
        uint64_t from = run->start > area->start ? run->start : area->start, to = run->end < area->end ? run->end : area->end;

        bytes += from < to ? to - from : 0;
        if (run->end > area->end)
            break;
    }
    return bytes;
}

void other_parts_count(struct other_parts *parts, const struct heap_view *view, const struct areas *areas, struct runs *ours)
{
    size_t at = 0;

    *parts = (struct other_parts){0};
    runs_sort(ours);
    for (size_t i = 0; i < areas->count; i++) {
        const struct area *area = &areas->list[i];
        uint64_t bytes = ours_in(area, ours, &at);

        parts->resident += area->resident;
        parts->swapped += area->swapped;
        parts->lazy += area->lazy;
        if (area->resident > bytes)
            add(parts, name_of(view, areas, i), area->resident - bytes);
    }
    if (parts->count)
        qsort(parts->list, parts->count, sizeof *parts->list, compare);
}

void other_parts_free(struct other_parts *parts)
{
    for (size_t i = 0; i < parts->count; i++)
        free(parts->list[i].name);
    free(parts->list);
}
