/* SPDX-License-Identifier: MIT */
#include "samples.h"

#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf_file.h"
#include "frames.h"
#include "libdw.h"
#include "memory.h"
#include "message.h"

/* ---- one of each ------------------------------------------------------------------------------------------------- */

static int compare_modules(const void *one, const void *other)
{
    const struct module *a = one, *b = other;
    int order = strcmp(a->path, b->path);

    return order ? order : strcmp(a->build_id, b->build_id);
}

static int compare_functions(const void *one, const void *other)
{
    const struct function *a = one, *b = other;
    int order = strcmp(a->name, b->name);

    return order ? order : strcmp(a->file, b->file);
}

static int compare_places(const void *one, const void *other)
{
    const struct place *a = one, *b = other;

    if (a->module != b->module)
        return (uintptr_t)a->module < (uintptr_t)b->module ? -1 : 1;
    return a->address < b->address ? -1 : a->address > b->address;
}

static int compare_samples(const void *one, const void *other)
{
    const struct sample *a = one, *b = other;
    int order;

    if (a->depth != b->depth)
        return a->depth < b->depth ? -1 : 1;
    order = memcmp(a->places, b->places, a->depth * sizeof *a->places);
    if (!order)
        order = strcmp(a->call, b->call);
    if (!order)
        order = strcmp(a->tag, b->tag);
    return order ? order : a->class_bytes < b->class_bytes ? -1 : a->class_bytes > b->class_bytes;
}

/* The element of the tree that is equal to `key`, or a copy of `key`, which is then new and has been added. */
static void *find_or_add(void **tree, const void *key, size_t bytes, int (*compare)(const void *, const void *), bool *is_new)
{
    void **found = tfind(key, tree, compare);
    void *made;

    *is_new = !found;
    if (found)
        return *found;
    made = memcpy(memory_new(bytes), key, bytes);
    if (!tsearch(made, tree, compare))
        memory_fail();
    return made;
}

/* ---- modules ----------------------------------------------------------------------------------------------------- */

/* Looks at the file that now has the module's path. Its build-id says whether it is what ran. Where there is none: a file that
   is written again has a later time; one that is put in its place may bring its time along, but has another number. */
static void look_at_file(struct module *module, const struct heap_map *map, time_t written)
{
    struct stat status;
    bool is_there = !stat(module->path, &status) && S_ISREG(status.st_mode) && !access(module->path, R_OK);
    int fd = is_there && *module->build_id ? open(module->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    char build_id[ELF_BUILD_ID_ROOM] = "";

    if (fd >= 0) {
        elf_build_id(fd, build_id);
        close(fd);
    }
    module->is_other = is_there && *build_id && strncmp(build_id, module->build_id, strlen(module->build_id)) != 0;
    module->is_gone = !is_there || module->is_other || (map->is_deleted && !*build_id);
    if (!module->is_gone && !*build_id && written)
        module->is_newer = status.st_mtime > written || (status.st_ino != map->inode && status.st_ctime > written);
}

static struct module *module_of(struct samples *samples, const struct heap_map *map, time_t written)
{
    struct module key = {.path = map->path, .is_file = map->path[0] == '/',
                         .build_id = map->build_id ? map->build_id : "", .start = UINT64_MAX}, *module;
    bool is_new;

    module = find_or_add(&samples->module_tree, &key, sizeof key, compare_modules, &is_new);
    if (!is_new)
        return module;
    module->path = memory_copy(map->path, strlen(map->path));
    module->name = strrchr(module->path, '/') ? strrchr(module->path, '/') + 1 : module->path;
    module->build_id = memory_copy(key.build_id, strlen(key.build_id));
    if (module->is_file)
        look_at_file(module, map, written);
    module->number = samples->module_count;
    samples->modules = memory_room(samples->modules, samples->module_count, &samples->module_room, sizeof module);
    samples->modules[samples->module_count++] = module;
    return module;
}

/* The address as the module's symbols have it. Of a module that is not there it is the place in the file, which is mostly the
   same. */
static uint64_t address_in(struct module *module, const struct heap_map *map, uint64_t address)
{
    uint64_t offset = address - map->start + map->offset, found = offset;
    int fd = module->is_file && !module->is_gone ? open(module->path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd >= 0) {
        elf_address(fd, offset, &found);
        close(fd);
    }
    return found;
}

/* A map of the profile that is being added. */
struct mapped {
    struct module *module; /* NULL: not asked for yet */
    uint64_t bias;
};

struct adding {
    struct samples *samples;
    const struct heap_profile *profile;
    struct mapped *mapped; /* one for each of its maps */
    size_t first_new; /* modules before it are those of other profiles */
};

/* The module of a map; where it lay is taken from the first profile that has it, if that is the one that is being
   added. */
static struct module *placed_module(const struct adding *adding, const struct heap_map *map, uint64_t address)
{
    struct module *module = module_of(adding->samples, map, adding->profile->written);

    if (module->number < adding->first_new)
        return module;
    if (module->start == UINT64_MAX)
        module->bias = address - address_in(module, map, address);
    if (map->start < module->start) {
        module->start = map->start;
        module->offset = map->offset;
    }
    module->limit = map->end > module->limit ? map->end : module->limit;
    return module;
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

/* The place of a return address, or of the address 0, which stands for an unknown caller. */
static struct place *place_of(const struct adding *adding, uint64_t returned)
{
    struct samples *samples = adding->samples;
    uint64_t address = returned ? returned - 1 : 0;
    const struct heap_map *map = returned ? heap_profile_map(adding->profile, address) : NULL;
    struct place key = {.address = address}, *place;
    bool is_new;

    if (map && *map->path) {
        struct mapped *mapped = &adding->mapped[map - adding->profile->maps];

        if (!mapped->module) {
            mapped->module = placed_module(adding, map, address);
            mapped->bias = address - address_in(mapped->module, map, address);
        }
        key.module = mapped->module;
        key.address -= mapped->bias;
    }
    place = find_or_add(&samples->place_tree, &key, sizeof key, compare_places, &is_new);
    if (is_new) {
        place->number = samples->place_count;
        samples->places = memory_room(samples->places, samples->place_count, &samples->place_room, sizeof place);
        samples->places[samples->place_count++] = place;
    }
    return place;
}

static struct sample *sample_of(const struct adding *adding, const struct heap_site *site)
{
    struct samples *samples = adding->samples;
    size_t depth = site->depth ? site->depth : 1;
    struct sample key = {.places = memory_new(depth * sizeof *key.places), .depth = depth, .call = site->call,
                         .tag = site->tag, .class_bytes = site->class_bytes};
    struct sample *sample;
    bool is_new;

    key.places[0] = site->depth ? NULL : place_of(adding, 0);
    for (size_t i = 0; i < site->depth; i++)
        key.places[i] = place_of(adding, adding->profile->addresses[site->first + i]);
    sample = find_or_add(&samples->tree, &key, sizeof key, compare_samples, &is_new);
    if (!is_new) {
        free(key.places);
        return sample;
    }
    if (samples->moment_count)
        sample->moments = memory_new(samples->moment_count * sizeof *sample->moments);
    sample->call = memory_copy(site->call, strlen(site->call));
    sample->tag = memory_copy(site->tag, strlen(site->tag));
    samples->list = memory_room(samples->list, samples->count, &samples->room, sizeof sample);
    samples->list[samples->count++] = sample;
    return sample;
}

/* Adds what a site has now, with its lifetimes. False if numbers get too large. */
static bool add_now(struct samples *samples, struct sample *sample, const struct heap_site *site)
{
    bool fits = heap_amounts_add(&sample->now, &site->amounts);

    fits &= heap_amounts_add(&samples->now, &site->amounts);
    for (int life = 0; life < HEAP_LIVES; life++) {
        fits &= !__builtin_add_overflow(sample->lived[life], site->lived[life], &sample->lived[life]);
        fits &= !__builtin_add_overflow(samples->lived, site->lived[life], &samples->lived);
    }
    return fits;
}

bool samples_add(struct samples *samples, const struct heap_profile *profile, enum samples_part part, size_t moment)
{
    struct adding adding = {samples, profile, memory_new(profile->map_count * sizeof *adding.mapped), samples->module_count};
    const struct heap_map *program = heap_profile_program(profile);
    bool fits = true;

    if (program)
        placed_module(&adding, program, program->start);
    for (size_t i = 0; i < profile->site_count; i++) {
        const struct heap_site *site = &profile->sites[i];
        struct sample *sample = sample_of(&adding, site);

        if (part == SAMPLES_BEFORE) {
            fits &= heap_amounts_add(&sample->before, &site->amounts);
            fits &= heap_amounts_add(&samples->before, &site->amounts);
        }
        if (part == SAMPLES_MOMENT)
            fits &= heap_amounts_add(&sample->moments[moment], &site->amounts);
        if (part == SAMPLES_NOW || (part == SAMPLES_MOMENT && moment + 1 == samples->moment_count))
            fits &= add_now(samples, sample, site);
    }
    samples->interval = samples->interval ? samples->interval : profile->interval;
    samples->interval_most = samples->interval_most > profile->interval ? samples->interval_most : profile->interval;
    free(adding.mapped);
    return fits;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static struct function *function_of(struct samples *samples, const char *name, const char *file)
{
    struct function key = {(char *)name, (char *)file, samples->function_count}, *function;
    bool is_new;

    function = find_or_add(&samples->function_tree, &key, sizeof key, compare_functions, &is_new);
    if (is_new) {
        function->name = memory_copy(name, strlen(name));
        function->file = memory_copy(file, strlen(file));
        samples->functions = memory_room(samples->functions, samples->function_count, &samples->function_room,
                                         sizeof function);
        samples->functions[samples->function_count++] = function;
    }
    return function;
}

/* What is always known of a place. */
static char *plain_name(const struct place *place)
{
    if (place->module)
        return memory_format("%s+0x%" PRIx64, place->module->name, place->address);
    return place->address ? memory_format("0x%" PRIx64, place->address) : memory_format("[unknown]");
}

static void name_place(struct samples *samples, struct place *place, bool may_ask)
{
    static struct frame found[FRAMES_MOST];
    const struct module *module = place->module;
    bool is_known = may_ask && module && module->is_file && !module->is_gone;
    int count = is_known ? frames_find(module->path, place->address, NULL, found) : 0;
    char *plain = plain_name(place);

    place->line_count = count > 0 ? (size_t)count : 1;
    place->lines = memory_new(place->line_count * sizeof *place->lines);
    place->lines[0].function = count > 0 ? NULL : function_of(samples, plain, "");
    for (int i = 0; i < count; i++) {
        const struct frame *frame = &found[i];

        place->lines[i].function = function_of(samples, *frame->function ? frame->function : plain, frame->file);
        place->lines[i].line = frame->line;
    }
    free(plain);
}

static void tell_modules(const struct samples *samples)
{
    for (size_t i = 0; i < samples->module_count; i++) {
        const struct module *module = samples->modules[i];

        if (module->is_other)
            fail_in(0, "report", "%s has been built anew since, by its build-id; its functions are shown as %s+0x...",
                    module->path, module->name);
        else if (module->is_gone)
            fail_in(0, "report", "%s is not there any more, or has been replaced; its functions are shown as %s+0x...",
                    module->path, module->name);
        else if (module->is_newer)
            fail_in(0, "report", "%s is newer than the profile; if it has been built anew, names and lines in it are wrong",
                    module->path);
    }
}

void samples_name(struct samples *samples)
{
    bool may_ask = frames_start(true);

    if (!may_ask)
        fail_in(0, "report", "functions have no names without " LIBDW_NAME " of elfutils; install the package " LIBDW_PACKAGE);
    else
        tell_modules(samples);
    for (size_t i = 0; may_ask && i < samples->module_count; i++) {
        struct module *module = samples->modules[i];

        if (!*module->build_id && module->is_file && !module->is_gone && !module->is_newer)
            module->build_id = frames_build_id(module->path);
    }
    for (size_t i = 0; i < samples->place_count; i++)
        name_place(samples, samples->places[i], may_ask);
}
