/* SPDX-License-Identifier: MIT */
#include "heap_sites.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap/cache_counted.h"
#include "callers/unwind.h"

#include "memory.h"

/* What samples say of a size class, in allocations and bytes that they stand for. */
struct estimate {
    double blocks, asked, rounded;
};

struct reading {
    struct heap_sites *sites;
    struct heap_view *view;
    uintptr_t stacks;
    struct estimate estimates[CLASS_COUNT]; /* of the large ones under 0 */
};

static unsigned class_of_record(const struct profile_record *record)
{
    unsigned class = profile_key_class(record->site);

    return class < CLASS_COUNT ? class : 0;
}

/* ---- records ----------------------------------------------------------------------------------------------------- */

/* The return addresses of a stack that the process keeps. */
static void add_stack(struct reading *reading, struct heap_site *site, uint32_t number)
{
    struct heap_profile *profile = &reading->sites->profile;
    uintptr_t at = reading->stacks + number * sizeof(uint64_t);
    uint64_t frames[UNWIND_MOST];
    struct stack stack;

    site->first = profile->address_count;
    if (number == 0 || !heap_view_take(reading->view, at, &stack, sizeof stack) || stack.count > UNWIND_MOST ||
        !heap_view_take(reading->view, at + offsetof(struct stack, frames), frames, stack.count * sizeof *frames))
        return;
    for (size_t i = 0; i < stack.count; i++) {
        profile->addresses = memory_room(profile->addresses, profile->address_count, &profile->address_room,
                                         sizeof *profile->addresses);
        profile->addresses[profile->address_count++] = frames[i];
    }
    site->depth = stack.count;
}

static void read_call(struct reading *reading, const char *from, char out[32])
{
    for (size_t i = 0; i < 31; i++) {
        if (!heap_view_take(reading->view, (uintptr_t)from + i, out + i, 1) || out[i] < ' ' || out[i] > '~') {
            out[i] = '\0';
            return;
        }
    }
    out[31] = '\0';
}

static void see_record(const void *entry, void *data)
{
    const struct profile_record *record = entry;
    struct reading *reading = data;
    struct heap_profile *profile = &reading->sites->profile;
    unsigned class = class_of_record(record);
    double blocks = (double)record->weight / COUNTED_ONE;
    struct estimate *estimate = &reading->estimates[class];
    struct heap_site site = {.class_bytes = (int64_t)class_bytes(class)};

    if (blocks > 1e15 || record->bytes > SIZE_LIMIT)
        return;
    estimate->blocks += blocks;
    estimate->asked += blocks * (double)record->bytes;
    estimate->rounded += blocks * (double)(class ? class_bytes(class) : align_up(record->bytes, OS_PAGE));
    site.amounts.of[HEAP_LIVE].objects = (int64_t)(blocks + 0.5);
    site.amounts.of[HEAP_LIVE].bytes = (int64_t)(blocks * (double)record->bytes);
    read_call(reading, record->call, site.call);
    add_stack(reading, &site, record->stack);
    profile->sites = memory_room(profile->sites, profile->site_count, &profile->site_room, sizeof site);
    profile->sites[profile->site_count++] = site;
}

/* The files with code, by which addresses get names. */
static void read_maps(struct heap_sites *sites, int number)
{
    char path[64], *line = NULL;
    size_t room = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/maps", number);
    file = fopen(path, "re");
    while (file && getline(&line, &room, file) > 0) {
        const char *rights = strchr(line, ' ');

        line[strcspn(line, "\n")] = '\0';
        if (rights && strlen(rights) > 4 && rights[3] == 'x')
            heap_profile_add_map(&sites->profile, line);
    }
    free(line);
    if (file)
        fclose(file);
}

/* The same of a core file, with their build-ids as they ran. */
static void read_maps_of_core(struct heap_sites *sites, struct core_file *core)
{
    struct heap_profile *profile = &sites->profile;

    for (size_t i = 0; i < core->segment_count; i++) {
        const struct core_segment *segment = &core->segments[i];
        const struct core_map *map = segment->is_code ? core_file_map(core, segment->start) : NULL;
        const struct core_source *source = map ? core_file_source(core, map->source) : NULL;
        char *line;

        if (!map)
            continue;
        line = memory_format("%" PRIx64 "-%" PRIx64 " r-xp %" PRIx64 " 00:00 0 %s", segment->start, segment->end,
                             map->offset + (segment->start - map->start), source->path);
        if (heap_profile_add_map(profile, line) && *source->build_id)
            profile->maps[profile->map_count - 1].build_id = memory_copy(source->build_id, strlen(source->build_id));
        free(line);
    }
}

/* ---- what they pin ----------------------------------------------------------------------------------------------- */

static int compare(const void *one, const void *other)
{
    const struct heap_site_part *a = one, *b = other;

    if (a->pinned != b->pinned)
        return a->pinned < b->pinned ? 1 : -1;
    return a->bytes < b->bytes ? 1 : a->bytes > b->bytes ? -1 : 0;
}

/* A sampled block lies apart from others, in a slab, so it does not show which page its like are on. But it stands for blocks
   of its class, of which each is as likely as any other to be the one that keeps a page. */
static void share_pages(struct reading *reading, const struct heap_parts *parts)
{
    struct heap_sites *sites = reading->sites;

    sites->count = sites->all.count;
    sites->list = memory_new(sites->count * sizeof *sites->list);
    for (size_t i = 0; i < sites->count; i++) {
        const struct sample *sample = sites->all.list[i];
        const struct heap_amount *live = &sample->now.of[HEAP_LIVE];
        unsigned class = sample->class_bytes > 0 ? class_of((size_t)sample->class_bytes) : 0;
        double all = reading->estimates[class].blocks, part = all > 0 ? (double)live->objects / all : 0;

        part = part < 1 ? part : 1;
        sites->list[i] = (struct heap_site_part){
            .sample = sample, .blocks = (uint64_t)live->objects, .bytes = (uint64_t)live->bytes,
            .pinned = (uint64_t)(part * (double)parts->classes[class].beside),
            .sparse = (uint64_t)(part * (double)parts->classes[class].sparse_free),
        };
    }
    qsort(sites->list, sites->count, sizeof *sites->list, compare);
}

/* The part of rounding in what blocks of a class have. Of one without samples nothing is known, and it counts as none. */
static double rounding_part(const struct estimate *estimate)
{
    return estimate->rounded > estimate->asked ? 1 - estimate->asked / estimate->rounded : 0;
}

static void tell_rounding(const struct reading *reading, struct heap_parts *parts)
{
    uint64_t small = 0, rounding = 0;

    for (unsigned i = 1; i < CLASS_COUNT; i++) {
        struct class_parts *class = &parts->classes[i];
        uint64_t live = class->live + class->sampled;

        class->rounding = (uint64_t)(rounding_part(&reading->estimates[i]) * (double)live);
        small += live;
        rounding += class->rounding;
    }
    if (parts->live > small)
        rounding += (uint64_t)(rounding_part(&reading->estimates[0]) * (double)(parts->live - small));
    parts->rounding = rounding < parts->live ? rounding : parts->live;
    parts->live -= parts->rounding;
    parts->rounding_known = true;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

void heap_sites_read(struct heap_sites *sites, struct heap_view *view, struct heap_parts *parts)
{
    struct reading reading = {.sites = sites, .view = view};

    *sites = (struct heap_sites){0};
    heap_view_take(view, (uintptr_t)view->at[STRUCTURE_stacks], &reading.stacks, sizeof reading.stacks);
    heap_view_each_entry(view, view->at[STRUCTURE_samples], sizeof(struct profile_record), see_record, &reading);
    sites->samples = sites->profile.site_count;
    if (!sites->samples)
        return;
    if (view->target.core)
        read_maps_of_core(sites, view->target.core);
    else
        read_maps(sites, view->target.number);
    samples_add(&sites->all, &sites->profile, SAMPLES_NOW, 0);
    share_pages(&reading, parts);
    tell_rounding(&reading, parts);
}

void heap_sites_name(struct heap_sites *sites)
{
    if (sites->samples)
        samples_name(&sites->all);
}

void heap_sites_free(struct heap_sites *sites)
{
    free(sites->list);
    heap_profile_free(&sites->profile);
}
