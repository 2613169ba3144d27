/* SPDX-License-Identifier: MIT */
#include "heap_view.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "memory.h"
#include "message.h"

/* Bounds against what another process may have overwritten. */
enum { THREADS_MOST = 1 << 17, TABLE_MOST = 1 << 28, TLS_MOST = 1 << 16, CHUNKS_MOST = 1 << 20,
       TRIES = 3, BETWEEN_TRIES_NS = 20000000 };

/* ---- memory ------------------------------------------------------------------------------------------------------ */

bool heap_view_take(struct heap_view *view, uintptr_t from, void *out, size_t bytes)
{
    int error = bytes ? target_memory(&view->target, from, out, bytes) : 0;

    if ((error == ESRCH || error == EPERM) && !view->error)
        view->error = error;
    return !error;
}

/* The structure that a tool begins with. */
static bool take_first(struct heap_view *view, size_t structure, void *out, size_t bytes)
{
    return heap_view_take(view, (uintptr_t)view->at[structure], out, bytes);
}

/* Whether the process has the same structures as this command. */
static bool is_same_layout(struct heap_view *view, const struct page *page, const struct structures *where)
{
    uint16_t layout[sizeof structures_layout / sizeof *structures_layout];

    return page->layout_bytes == sizeof layout && heap_view_take(view, (uintptr_t)where->layout, layout, sizeof layout) &&
           !memcmp(layout, structures_layout, sizeof layout);
}

/* ---- regions and classes ----------------------------------------------------------------------------------------- */

static void read_regions(struct heap_view *view)
{
    _Atomic unsigned count = 0;

    take_first(view, STRUCTURE_region_count, &count, sizeof count);
    view->region_count = count < REGIONS_MAX ? count : REGIONS_MAX;
    if (!take_first(view, STRUCTURE_regions, view->regions, view->region_count * sizeof *view->regions))
        view->region_count = 0;
    for (unsigned i = 0; i < view->region_count; i++) {
        struct region *region = &view->regions[i];

        if (region->mapped > region->max_units || region->frontier > region->mapped || !region->spans ||
            (uintptr_t)region->spans % CACHE_LINE)
            region->mapped = region->frontier = 0;
    }
}

static void read_rows(struct heap_view *view)
{
    enum { MOST = sizeof view->rows / sizeof *view->rows };
    _Atomic unsigned count = 0;

    take_first(view, STRUCTURE_class_row_count, &count, sizeof count);
    view->row_count = count < MOST ? count : MOST;
    if (!take_first(view, STRUCTURE_class_rows, view->rows, view->row_count * sizeof *view->rows))
        view->row_count = 0;
    for (unsigned i = 0; i < view->row_count; i++) { /* one that is being made has no number yet */
        if (view->rows[i].index == 0 || view->rows[i].index >= CLASS_COUNT ||
            view->rows[i].size != class_bytes(view->rows[i].index))
            view->row_count = i;
    }
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static void read_threads(struct heap_view *view)
{
    uintptr_t next = 0;

    if (!take_first(view, STRUCTURE_caches, &next, sizeof next))
        return;
    while (next && view->thread_count < THREADS_MOST) {
        struct heap_thread thread = {.address = next};

        if (!heap_view_take(view, next, &thread.cache, sizeof thread.cache) ||
            !heap_view_take(view, (uintptr_t)thread.cache.slow, &thread.slow, sizeof thread.slow))
            return;
        view->threads = memory_room(view->threads, view->thread_count, &view->thread_room, sizeof thread);
        view->threads[view->thread_count++] = thread;
        next = (uintptr_t)thread.slow.next;
    }
}

static void read_name(int process, int thread, char *out, size_t room)
{
    char path[64];
    FILE *file;

    *out = '\0';
    snprintf(path, sizeof path, "/proc/%d/task/%d/comm", process, thread);
    file = fopen(path, "re");
    if (!file)
        return;
    if (!fgets(out, (int)room, file))
        *out = '\0';
    out[strcspn(out, "\n")] = '\0';
    fclose(file);
}

/* The thread whose lists lie closest below the address, which is in libc's structure of the thread. */
static void name_thread(struct heap_view *view, int number, uintptr_t address)
{
    struct heap_thread *found = NULL;

    for (size_t i = 0; i < view->thread_count; i++) {
        struct heap_thread *thread = &view->threads[i];

        if (thread->address < address && address - thread->address < TLS_MOST && (!found || found->address < thread->address))
            found = thread;
    }
    if (!found || found->number)
        return;
    found->number = number;
    if (!view->target.core)
        read_name(view->target.number, number, found->name, sizeof found->name);
    else if (number == view->target.number) /* a core file has the name of no other one */
        snprintf(found->name, sizeof found->name, "%.*s", (int)sizeof found->name - 1, view->target.core->name);
}

/* A thread's lists lie in its static TLS, which ends at libc's structure of the thread. In that lies the head of its list of
   robust mutexes, whose address the kernel knows; a core file tells where it begins. */
static void name_threads_of_core(struct heap_view *view)
{
    const struct core_file *core = view->target.core;

    for (size_t i = 0; i < core->thread_count; i++) {
        if (core->threads[i].pointer)
            name_thread(view, core->threads[i].number, core->threads[i].pointer);
    }
}

static void name_threads(struct heap_view *view)
{
    char path[64];
    struct dirent *entry;
    DIR *folder;

    snprintf(path, sizeof path, "/proc/%d/task", view->target.number);
    folder = opendir(path);
    while (folder && (entry = readdir(folder))) {
        struct robust_list_head *head = NULL;
        size_t length = 0;
        int thread = process_number(entry->d_name);

        if (thread && !syscall(SYS_get_robust_list, thread, &head, &length) && head)
            name_thread(view, thread, (uintptr_t)head);
    }
    if (folder)
        closedir(folder);
}

size_t heap_view_listed(const struct heap_thread *thread, unsigned class)
{
    const struct bin *bin = class < FAST_CLASSES ? &thread->cache.bins[class] : &thread->slow.wide[class - FAST_CLASSES];

    return cache_listed(&thread->cache, &thread->slow, bin, class);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

/* Without the first pages of files, no library is found in it. */
static bool has_headers(const struct core_file *core)
{
    for (size_t i = 0; i < core->map_count; i++) {
        if (core->maps[i].offset == 0 && core_file_holds(core, core->maps[i].start, 1))
            return true;
    }
    return false;
}

static const char by_default[] = "with 33 in /proc/PID/coredump_filter, as by default";

/* What is wrong with a core file. */
static int refuse_core(const struct heap_view *view, enum counts_result result)
{
    const struct core_file *core = view->target.core;

    switch (result) {
    case COUNTS_READ:
        return 0;
    case COUNTS_ABSENT:
        if (!has_headers(core))
            return fail(EXIT_FAILURE, "'%s' is without ELF headers: it has them %s", core->path, by_default);
        return fail(EXIT_FAILURE, "'%s' is of a process (%s) that did not run on myalloc", core->path, core->name);
    case COUNTS_VERSION:
        return fail(EXIT_FAILURE, "'%s' is of a library of another version (numbers %u, this command reads %d): use the "
                    "command that came with it", core->path, view->counts.detail, PAGE_VERSION);
    case COUNTS_UNSOUND:
        return fail(EXIT_FAILURE, "'%s' has a page of numbers that cannot be right: it has been overwritten", core->path);
    case COUNTS_CHANGED:
        return fail(EXIT_FAILURE, "'%s' is without the memory of the process: it has that %s", core->path, by_default);
    default:
        return fail(EXIT_FAILURE, "'%s' cannot be read: %s", core->path, strerror((int)view->counts.detail));
    }
}

static int refuse(struct heap_view *view, enum counts_result result)
{
    return view->target.core ? refuse_core(view, result) : counts_say(view->target.number, &view->counts, result);
}

/* The structures are not those that this command knows; of a core file it may be that what tells so is not there. */
static int refuse_structures(struct heap_view *view, const struct structures *where)
{
    struct core_file *core = view->target.core;
    const struct core_map *map = core ? core_file_map(core, (uintptr_t)where->layout) : NULL;
    const struct core_source *source = map ? core_file_source(core, map->source) : NULL;

    if (!core)
        return fail(EXIT_FAILURE, "process %d has a library of another build, whose structures this command does not know: "
                    "use the command that came with it", view->target.number);
    if (source && source->state == SOURCE_GONE)
        return fail(EXIT_FAILURE, "'%s' needs the file that its process ran on, %s (build-id %s), which is not there: put it "
                    "back, or set MYALLOC_LIBRARY to a copy of it", core->path, source->path, source->build_id);
    if (source && source->state == SOURCE_OTHER)
        return fail(EXIT_FAILURE, "'%s' needs the file that its process ran on, %s with build-id %s; that has %s now: set "
                    "MYALLOC_LIBRARY to a copy of the one that ran", core->path, source->path, source->build_id,
                    *source->other ? source->other : "none");
    return fail(EXIT_FAILURE, "'%s' is of a library of another build, whose structures this command does not know: use the "
                "command that came with it", core->path);
}

/* Where the structures lie. `*is_known`: they are those that this command knows. */
static enum counts_result find_structures(struct heap_view *view, struct page *page, struct structures *where, bool *is_known)
{
    const struct core_file *core = view->target.core;
    enum counts_result result = counts_target_page(&view->target, &view->counts, page);

    if (result == COUNTS_ABSENT && !core && process_has_ended(&view->counts.process)) /* nobody has asked yet how */
        return COUNTS_ENDED;
    if (result != COUNTS_READ)
        return result;
    *where = (struct structures){0};
    if (core && !core_file_holds(core, (uintptr_t)page->structures, sizeof *where)) /* read from the library's file, then */
        return COUNTS_CHANGED;
    *is_known = page->structures_bytes == sizeof *where &&
                heap_view_take(view, (uintptr_t)page->structures, where, sizeof *where) && is_same_layout(view, page, where);
    return view->error ? counts_result_of(view->error, &view->counts) : COUNTS_READ;
}

int heap_view_open(const struct target *target, struct heap_view *view)
{
    struct structures where;
    struct page page;
    enum counts_result result = COUNTS_READ;
    size_t control = 1;
    bool is_known = false;

    /* Of a process that has just begun a program, addresses in the page may not be there yet: it is read again. */
    for (int i = 0; i < (target->core ? 1 : TRIES) && !is_known && result == COUNTS_READ; i++) {
        if (i > 0)
            nanosleep(&(struct timespec){.tv_nsec = BETWEEN_TRIES_NS}, NULL);
        memset(view, 0, sizeof *view); /* too large for a copy on the stack */
        view->target = *target;
        result = find_structures(view, &page, &where, &is_known);
    }
    if (result != COUNTS_READ)
        return refuse(view, result);
    if (!is_known)
        return refuse_structures(view, &where);
    memcpy(view->at, where.at, sizeof view->at);
    view->is_sealed = heap_view_take(view, (uintptr_t)page.control, &control, sizeof control) && control == 0;
    take_first(view, STRUCTURE_modes, &view->modes, sizeof view->modes);
    read_regions(view);
    read_rows(view);
    read_threads(view);
    target->core ? name_threads_of_core(view) : name_threads(view);
    return 0;
}

int heap_view_end(struct heap_view *view)
{
    enum counts_result result = COUNTS_READ;

    if (view->error)
        result = counts_result_of(view->error, &view->counts);
    else if (!view->target.core)
        result = counts_still(view->target.number, &view->counts);
    return refuse(view, result);
}

void heap_view_close(struct heap_view *view)
{
    free(view->threads);
    view->threads = NULL;
}

/* ---- spans ------------------------------------------------------------------------------------------------------- */

bool heap_view_span(struct heap_view *view, const struct region *region, size_t unit, struct span *span)
{
    uintptr_t at = (uintptr_t)(region->spans + unit), start = align_down(at, sizeof view->spans);

    /* They are read as they lie in pages: those of units inside of large spans may have no memory, which a look would give. */
    if (start != view->spans_at) {
        view->spans_at = 0;
        if (!heap_view_take(view, start, view->spans, sizeof view->spans))
            return false;
        view->spans_at = start;
    }
    *span = view->spans[(at - start) / sizeof *view->spans];
    return true;
}

bool heap_view_home(struct heap_view *view, const struct region *region, size_t unit, const struct span *span, uint64_t *home)
{
    size_t words = (span->capacity + 63u) / 64;

    if (span->capacity <= SPAN_FEW) {
        memcpy(home, span->few_bits, sizeof span->few_bits);
        return true;
    }
    return words <= HOME_WORDS * span->units &&
           heap_view_take(view, (uintptr_t)(region->home + unit * HOME_WORDS), home, words * sizeof *home);
}

/* ---- tables and chains ------------------------------------------------------------------------------------------- */

void heap_view_each_entry(struct heap_view *view, const void *table, size_t bytes, void (*see)(const void *entry, void *data),
                          void *data)
{
    struct address_map map;
    char *entries;
    size_t all;

    if (!heap_view_take(view, (uintptr_t)table, &map, sizeof map) || map.size == 0 || map.entry_bytes < bytes ||
        map.entry_bytes > 4096 || map.size > TABLE_MOST / map.entry_bytes)
        return;
    all = map.size * map.entry_bytes;
    entries = memory_new(all);
    if (heap_view_take(view, (uintptr_t)map.entries, entries, all)) {
        for (size_t i = 0; i < map.size; i++) {
            if (address_map_key(entries + i * map.entry_bytes))
                see(entries + i * map.entry_bytes, data);
        }
    }
    free(entries);
}

static void each_chunk(struct heap_view *view, void (*see)(uint64_t start, uint64_t bytes, void *data), void *data)
{
    uintptr_t next = 0;

    take_first(view, STRUCTURE_chunks, &next, sizeof next);
    for (size_t i = 0; next && i < CHUNKS_MOST; i++) {
        struct region_chunk chunk;

        if (!heap_view_take(view, next, &chunk, sizeof chunk))
            return;
        see(next, chunk.bytes, data);
        next = (uintptr_t)chunk.next;
    }
}

void heap_view_each_own(struct heap_view *view, void (*see)(uint64_t start, uint64_t bytes, void *data), void *data)
{
    struct own_range ranges[OWN_MOST];

    if (take_first(view, STRUCTURE_own_first, ranges, OWN_FIRST * sizeof *ranges) &&
        take_first(view, STRUCTURE_own_further, ranges + OWN_FIRST, (OWN_MOST - OWN_FIRST) * sizeof *ranges)) {
        for (size_t i = 0; i < OWN_MOST; i++)
            see(ranges[i].start, ranges[i].bytes, data);
    }
    each_chunk(view, see, data);
    for (unsigned i = 1; i < view->region_count; i++) { /* those of the first are ranges of above */
        const struct region *region = &view->regions[i];
        uintptr_t start = (uintptr_t)region->dirty, end = (uintptr_t)(region->home + region->max_units * HOME_WORDS);

        if (start < end)
            see(start, end - start, data);
    }
}

size_t heap_view_in_transit(struct heap_view *view, const struct class *row)
{
    struct chain_stack stack = {0};
    size_t blocks = 0;

    for (size_t i = 0; i < PARKED_CHAINS; i++)
        blocks += chain_length(row->transfer.parked[i]);
    if (row->transfer.stack && heap_view_take(view, (uintptr_t)row->transfer.stack, &stack, sizeof stack)) {
        for (size_t i = 0; i < min_size(stack.count, STACK_MOST); i++)
            blocks += chain_length(stack.chains[i]);
    }
    return blocks;
}
