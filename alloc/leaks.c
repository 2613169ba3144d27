/* SPDX-License-Identifier: MIT */
#include "leaks.h"

#include <unistd.h>

#include "backtrace.h"
#include "lock.h"
#include "os.h"
#include "report.h"
#include "stacks.h"
#include "watch.h"

#define TABLE_MIN 1024   /* records */
#define GROUPS_SHOWN 100 /* a report is to be read */

extern int __cxa_atexit(void (*function)(void *), void *argument, void *dso);

static struct lock leaks_lock;
static struct leaks_record *table;
static size_t table_size, count; /* a power of two; at most half full */
static size_t refused;
static struct os_file standard_error; /* as it was at the start */

/* ---- the table --------------------------------------------------------------------------------------------------- */

static size_t slot_of(uintptr_t block) {
    return (size_t)((block / BLOCK_ALIGN) * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (table_size - 1);
}

static struct leaks_record *find_locked(uintptr_t block) {
    if (table_size == 0)
        return NULL;
    for (size_t i = slot_of(block);; i = (i + 1) & (table_size - 1)) {
        if (table[i].block == 0)
            return NULL;
        if (table[i].block == block)
            return &table[i];
    }
}

static void insert_locked(const struct leaks_record *record) {
    size_t i = slot_of(record->block);
    while (table[i].block != 0 && table[i].block != record->block)
        i = (i + 1) & (table_size - 1);
    count += table[i].block == 0;
    table[i] = *record;
}

static void remove_locked(struct leaks_record *gone) {
    size_t hole = (size_t)(gone - table), mask = table_size - 1;
    count--;
    for (size_t i = (hole + 1) & mask; table[i].block != 0; i = (i + 1) & mask) {
        /* An entry may fill the hole if its own slot does not lie cyclically behind the hole. */
        if (((i - slot_of(table[i].block)) & mask) >= ((i - hole) & mask)) {
            table[hole] = table[i];
            hole = i;
        }
    }
    table[hole].block = 0;
}

static size_t table_bytes(size_t size) {
    return align_up(size * sizeof *table, OS_PAGE);
}

/* Room for one more record. */
static bool reserve_locked(void) {
    if (count * 2 < table_size)
        return true;
    size_t old_size = table_size, size = old_size ? old_size * 2 : TABLE_MIN;
    struct leaks_record *old = table, *fresh = os_map(table_bytes(size));
    if (fresh == NULL)
        return false;
    table = fresh;
    table_size = size;
    count = 0;
    for (size_t i = 0; i < old_size; i++)
        if (old[i].block != 0)
            insert_locked(&old[i]);
    if (old != NULL)
        os_unmap(old, table_bytes(old_size));
    return true;
}

void leaks_put_back(const struct leaks_record *record) {
    if (record->block == 0)
        return;
    lock_acquire(&leaks_lock, LOCK_LEAKS);
    if (reserve_locked())
        insert_locked(record);
    else
        refused++;
    lock_release(&leaks_lock, LOCK_LEAKS);
}

void leaks_allocated(const void *p, size_t bytes) {
    if (p == NULL)
        return;
    struct leaks_record record = {(uintptr_t)p, bytes, stacks_capture()};
    leaks_put_back(&record);
}

struct leaks_record leaks_freeing(const void *p) {
    struct leaks_record record = {0, 0, 0};
    lock_acquire(&leaks_lock, LOCK_LEAKS);
    struct leaks_record *found = find_locked((uintptr_t)p);
    if (found != NULL) {
        record = *found;
        remove_locked(found);
    }
    lock_release(&leaks_lock, LOCK_LEAKS);
    return record;
}

struct leaks_record leaks_find(const void *p) {
    lock_acquire(&leaks_lock, LOCK_LEAKS);
    const struct leaks_record *found = find_locked((uintptr_t)p);
    struct leaks_record record = found ? *found : (struct leaks_record){0, 0, 0};
    lock_release(&leaks_lock, LOCK_LEAKS);
    return record;
}

size_t leaks_meta_bytes(void) {
    return table_size ? table_bytes(table_size) : 0;
}

/* ---- the report -------------------------------------------------------------------------------------------------- */

/* Blocks of one stack. Before they are summed up, a group is one block. */
struct group {
    size_t bytes, blocks;
    uint32_t stack;
};

typedef bool before(const struct group *a, const struct group *b);

static bool by_stack(const struct group *a, const struct group *b) {
    return a->stack < b->stack;
}

static bool by_bytes(const struct group *a, const struct group *b) {
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes;
    return a->blocks != b->blocks ? a->blocks > b->blocks : a->stack < b->stack;
}

static void sift(struct group *groups, size_t at, size_t size, before *order) {
    struct group moved = groups[at];
    for (size_t child; (child = at * 2 + 1) < size; at = child) {
        if (child + 1 < size && order(&groups[child], &groups[child + 1]))
            child++;
        if (!order(&moved, &groups[child]))
            break;
        groups[at] = groups[child];
    }
    groups[at] = moved;
}

/* Heap sort: libc's qsort may allocate. */
static void sort(struct group *groups, size_t size, before *order) {
    for (size_t i = size / 2; i-- > 0;)
        sift(groups, i, size, order);
    for (size_t last = size; last-- > 1;) {
        struct group largest = groups[0];
        groups[0] = groups[last];
        groups[last] = largest;
        sift(groups, 0, last, order);
    }
}

/* One group for each stack; returns their number. */
static size_t sum_up(struct group *groups, size_t size) {
    size_t out = 0;
    sort(groups, size, by_stack);
    for (size_t i = 0; i < size; i++) {
        if (out > 0 && groups[out - 1].stack == groups[i].stack) {
            groups[out - 1].bytes += groups[i].bytes;
            groups[out - 1].blocks++;
        } else {
            groups[out++] = groups[i];
        }
    }
    sort(groups, out, by_bytes);
    return out;
}

/* A copy of the records, of *size entries, in *room bytes of memory; NULL if there are none or memory is refused. */
static struct group *copy_records(size_t *size, size_t *room) {
    struct group *groups = NULL;
    *size = 0;
    lock_acquire(&leaks_lock, LOCK_LEAKS);
    *room = align_up(count * sizeof *groups, OS_PAGE);
    groups = count > 0 ? os_map(*room) : NULL;
    for (size_t i = 0; groups != NULL && i < table_size; i++)
        if (table[i].block != 0)
            groups[(*size)++] = (struct group){table[i].bytes, 1, table[i].stack};
    lock_release(&leaks_lock, LOCK_LEAKS);
    return groups;
}

static const char *plural(size_t n) {
    return n == 1 ? "" : "s";
}

static void print_group(const struct group *group) {
    unsigned frames;
    void *const *stack = stacks_frames(group->stack, &frames);
    report_line("leaks: %z byte%s in %z block%s, %s", group->bytes, plural(group->bytes), group->blocks,
                plural(group->blocks), frames > 0 ? "allocated at:" : "allocated before call stacks could be recorded");
    backtrace_print(STDERR_FILENO, stack, frames);
}

static void print_groups(const struct group *groups, size_t size) {
    size_t bytes = 0, blocks = 0;
    for (size_t i = 0; i < size; i++) {
        bytes += groups[i].bytes;
        blocks += groups[i].blocks;
    }
    report_line("leaks: process %d: %z byte%s in %z block%s still allocated at exit, from %z place%s", (int)getpid(), bytes,
                plural(bytes), blocks, plural(blocks), size, plural(size));
    for (size_t i = 0; i < size && i < GROUPS_SHOWN; i++) {
        print_group(&groups[i]);
        bytes -= groups[i].bytes;
        blocks -= groups[i].blocks;
    }
    if (size > GROUPS_SHOWN)
        report_line("leaks: %z more places: %z bytes in %z blocks", size - GROUPS_SHOWN, bytes, blocks);
}

void leaks_report(void) {
    size_t size, room;
    bool empty = count == 0;
    struct group *groups = copy_records(&size, &room);
    if (groups != NULL) {
        print_groups(groups, sum_up(groups, size));
        os_unmap(groups, room);
    } else if (empty) {
        report_line("leaks: process %d: nothing is allocated at exit", (int)getpid());
    } else {
        report_line("leaks: process %d: %z blocks still allocated at exit, but no memory to list them", (int)getpid(),
                    count);
    }
    if (refused > 0)
        report_line("leaks: %z blocks more were not recorded: memory for the records was refused", refused);
}

/* ---- start ------------------------------------------------------------------------------------------------------- */

static void at_exit(void *unused) {
    (void)unused;
    /* Many programs close it as the last thing they do, to see whether all was written. */
    os_file_put_back(&standard_error, STDERR_FILENO);
    leaks_report();
}

void leaks_arrange(void) {
    if (!watch_has(WATCH_LEAKS))
        return;
    os_file_keep(&standard_error, STDERR_FILENO);
    /* Without a library to belong to, and registered before the program's own: runs after all of them and after the
     * destructors of all libraries (in a static program, before its destructors). */
    __cxa_atexit(at_exit, NULL, NULL);
}

void leaks_fork_acquire(void) {
    lock_fork_acquire(&leaks_lock);
}

void leaks_fork_release(void) {
    lock_fork_release(&leaks_lock);
}

void leaks_fork_reset(void) {
    lock_fork_reset(&leaks_lock);
}
