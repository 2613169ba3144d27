/* SPDX-License-Identifier: MIT */
#include "observe/leaks.h"

#include <stdio.h>

#include "base/address_map.h"
#include "os/os.h"
#include "kit/budget.h"
#include "kit/finding.h"
#include "kit/lock.h"
#include "kit/modes.h"
#include "kit/report.h"
#include "kit/text.h"
#include "kit/tunables.h"
#include "heap/aside.h"
#include "callers/backtrace.h"
#include "callers/stacks.h"
#include "observe/reachable.h"
#include "observe/suppress.h"
#include "observe/suppress_frames.h"

#define GROUPS_SHOWN 100 /* a report is to be read */

extern int __cxa_atexit(void (*function)(void *), void *argument, void *dso);

static struct lock leaks_lock;
static struct address_map records = ADDRESS_MAP(struct leaks_record);
static size_t refused;
static bool told; /* of blocks that are lost */

/* ---- the table --------------------------------------------------------------------------------------------------- */

void leaks_put_back(const struct leaks_record *record) {
    if (record->block == 0)
        return;
    lock_acquire(&leaks_lock, LOCK_LEAKS);
    if (budget_grow_map(&records, 1))
        *(struct leaks_record *)address_map_insert(&records, (const void *)record->block) = *record;
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
    struct leaks_record record = {0};
    lock_acquire(&leaks_lock, LOCK_LEAKS);
    struct leaks_record *found = address_map_find(&records, p);
    if (found != NULL) {
        record = *found;
        address_map_remove(&records, found);
    }
    lock_release(&leaks_lock, LOCK_LEAKS);
    return record;
}

void leaks_each(void (*see)(const void *block, size_t asked, void *data), void *data) {
    lock_acquire(&leaks_lock, LOCK_LEAKS);
    for (size_t i = 0; i < records.size; i++) {
        const struct leaks_record *record = address_map_at(&records, i);
        if (record != NULL)
            see((const void *)record->block, record->bytes, data);
    }
    lock_release(&leaks_lock, LOCK_LEAKS);
}

/* ---- the report -------------------------------------------------------------------------------------------------- */

/* The records are copied to an array. There they are sorted, and the blocks of one kind and one call stack are summed up in the
 * first of them, which then stands for the group. */
typedef bool before(const struct reachable_block *a, const struct reachable_block *b);

static bool by_address(const struct reachable_block *a, const struct reachable_block *b) {
    return a->start < b->start;
}

static bool by_stack(const struct reachable_block *a, const struct reachable_block *b) {
    return a->kind != b->kind ? a->kind < b->kind : a->stack < b->stack;
}

static bool by_bytes(const struct reachable_block *a, const struct reachable_block *b) {
    if (a->kind != b->kind)
        return a->kind < b->kind;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes;
    return a->blocks != b->blocks ? a->blocks > b->blocks : a->stack < b->stack;
}

static void sift(struct reachable_block *blocks, size_t at, size_t size, before *order) {
    struct reachable_block moved = blocks[at];
    for (size_t child; (child = at * 2 + 1) < size; at = child) {
        if (child + 1 < size && order(&blocks[child], &blocks[child + 1]))
            child++;
        if (!order(&moved, &blocks[child]))
            break;
        blocks[at] = blocks[child];
    }
    blocks[at] = moved;
}

/* Heap sort: libc's qsort may allocate. */
static void sort(struct reachable_block *blocks, size_t size, before *order) {
    for (size_t i = size / 2; i-- > 0;)
        sift(blocks, i, size, order);
    for (size_t last = size; last-- > 1;) {
        struct reachable_block largest = blocks[0];
        blocks[0] = blocks[last];
        blocks[last] = largest;
        sift(blocks, 0, last, order);
    }
}

/* Makes one group of the blocks of each kind and call stack, at the start of the array. Returns the number of groups. */
static size_t sum_up(struct reachable_block *blocks, size_t size) {
    size_t out = 0;
    sort(blocks, size, by_stack);
    for (size_t i = 0; i < size; i++) {
        struct reachable_block *last = out > 0 ? &blocks[out - 1] : NULL;
        if (last != NULL && last->kind == blocks[i].kind && last->stack == blocks[i].stack) {
            last->bytes += blocks[i].bytes;
            last->blocks++;
        } else {
            blocks[out++] = blocks[i];
        }
    }
    sort(blocks, out, by_bytes);
    return out;
}

/* Copies the records: *size of them, into memory of *room bytes. NULL if there are none or memory is refused. */
static struct reachable_block *copy_records(size_t *size, size_t *room) {
    struct reachable_block *blocks = NULL;
    *size = 0;
    lock_acquire(&leaks_lock, LOCK_LEAKS);
    *room = align_up(records.count * sizeof *blocks, OS_PAGE);
    blocks = records.count > 0 ? budget_map(*room) : NULL;
    for (size_t i = 0; blocks != NULL && i < records.size; i++) {
        const struct leaks_record *record = address_map_at(&records, i);
        if (record != NULL)
            blocks[(*size)++] = (struct reachable_block){.start = record->block, .bytes = record->bytes, .blocks = 1,
                                                         .stack = record->stack};
    }
    lock_release(&leaks_lock, LOCK_LEAKS);
    return blocks;
}

/* Finds out which blocks are lost. False if that cannot be known; all count as held then. */
static bool judge(struct reachable_block *blocks, size_t size, size_t room, const void *stack) {
    struct reachable_range own[] = {{(uintptr_t)blocks, (uintptr_t)blocks + room},
                                {(uintptr_t)records.entries, (uintptr_t)records.entries + address_map_bytes(&records)}};
    sort(blocks, size, by_address);
    if (reachable_mark(blocks, size, own, sizeof own / sizeof *own, stack))
        return true;
    for (size_t i = 0; i < size; i++)
        blocks[i].kind = BLOCK_HELD;
    return false;
}

static const char *plural(size_t n) {
    return n == 1 ? "" : "s";
}

static void print_group(struct finding *finding, const struct reachable_block *group) {
    static const char *const fates[] = {
        [BLOCK_LOST] = "lost",
        [BLOCK_LOST_WITH] = "lost with blocks that point there",
        [BLOCK_HELD] = "still held",
    };
    unsigned frames;
    void *const *stack = stacks_frames(group->stack, &frames);
    finding_next(finding, "leaks: %z byte%s in %z block%s %s, %s", group->bytes, plural(group->bytes), group->blocks,
                  plural(group->blocks), fates[group->kind],
                  frames > 0 ? "allocated at:" : "allocated before call stacks could be recorded");
    backtrace_print(finding, stack, frames);
}

struct sum {
    size_t bytes, blocks, places;
};

static struct sum add_up(const struct reachable_block *groups, size_t size) {
    struct sum sum = {0, 0, size};
    for (size_t i = 0; i < size; i++) {
        sum.bytes += groups[i].bytes;
        sum.blocks += groups[i].blocks;
    }
    return sum;
}

static void print_sum(struct finding *finding, const char *start, const struct sum *sum, const char *end) {
    finding_next(finding, "leaks: %s%z byte%s in %z block%s from %z place%s%s", start, sum->bytes, plural(sum->bytes),
                  sum->blocks, plural(sum->blocks), sum->places, plural(sum->places), end);
}

/* Takes the lost groups that the file of suppressions names out, and sums them up. Returns how many groups are left. */
static size_t suppress(struct reachable_block *groups, size_t size, struct sum *sum) {
    size_t out = 0;
    unsigned frames;
    void *const *stack;
    for (size_t i = 0; i < size; i++)
        if (groups[i].kind != BLOCK_HELD && (stack = stacks_frames(groups[i].stack, &frames)) != NULL)
            suppress_frames_add(stack, frames);
    suppress_frames_symbolize();
    for (size_t i = 0; i < size; i++) {
        stack = stacks_frames(groups[i].stack, &frames);
        if (groups[i].kind == BLOCK_HELD || !suppress_frames_match(stack, frames)) {
            groups[out++] = groups[i];
            continue;
        }
        sum->bytes += groups[i].bytes;
        sum->blocks += groups[i].blocks;
        sum->places++;
    }
    suppress_frames_forget();
    return out;
}

static void print_end(struct finding *finding, const struct sum *gone, const struct sum *silent) {
    finding_summary(finding, "leaks: %z byte%s in %z block%s from %z place%s lost", gone->bytes, plural(gone->bytes),
                    gone->blocks, plural(gone->blocks), gone->places, plural(gone->places));
    if (silent->places > 0)
        finding_line(finding, "  suppressed by %s: %z byte%s in %z block%s", tunables.leaks_suppress, silent->bytes,
                     plural(silent->bytes), silent->blocks, plural(silent->blocks));
    if (tunables.leaks == 1)
        finding_line(finding, "  for more: MYALLOC_OPTIONS=leaks:2 lists what is still held, too");
}

/* The groups are sorted: the lost ones come first. Where none is lost, nothing is said, unless all that is held is asked
 * for. */
static void print_groups(struct reachable_block *groups, size_t size, bool judged) {
    struct sum silent = {0, 0, 0};
    size = judged ? suppress(groups, size, &silent) : size;
    size_t lost = 0, shown = 0;
    while (lost < size && groups[lost].kind != BLOCK_HELD)
        lost++;
    struct sum gone = add_up(groups, lost), held = add_up(groups + lost, size - lost);
    told |= judged && lost > 0;
    if (judged && lost == 0 && (tunables.leaks == 1 || size == 0))
        return;
    struct finding finding;
    finding_open(&finding);
    if (judged)
        print_sum(&finding, "", &gone, " lost at exit: nothing points to them");
    print_sum(&finding, "", &held,
              judged ? " still held at exit" : " still allocated at exit; what is lost cannot be told here");
    size_t listed = judged && tunables.leaks == 1 ? lost : size;
    for (; shown < listed && shown < GROUPS_SHOWN; shown++)
        print_group(&finding, &groups[shown]);
    struct sum more = add_up(groups + shown, listed - shown);
    if (more.places > 0)
        print_sum(&finding, "and ", &more, ", not listed");
    print_end(&finding, &gone, &silent);
    finding_end(&finding);
}

static NOINLINE void report_all(void) {
    /* On the stack, what the caller keeps lies above this address; this function's own variables lie below. */
    const void *stack = __builtin_frame_address(0);
    size_t size, room;
    bool empty = records.count == 0;
    struct reachable_block *blocks = copy_records(&size, &room);
    if (blocks != NULL) {
        bool judged = judge(blocks, size, room, stack);
        print_groups(blocks, sum_up(blocks, size), judged);
        budget_unmap(blocks, room);
    } else if (empty) {
        print_groups(NULL, 0, true);
    } else {
        report_line("leaks: %z blocks still allocated at exit, but no memory to list them", records.count);
    }
    if (refused > 0)
        report_line("leaks: %z blocks more were not recorded: memory for the records was refused", refused);
}

void leaks_report(void) {
    __builtin_unwind_init(); /* stores the registers that hold callers' variables in this frame, where the scan looks */
    report_all();
    __asm__ volatile(""); /* no tail call: it would take this frame away first */
}

/* ---- start ------------------------------------------------------------------------------------------------------- */

static void at_exit(void *unused) {
    (void)unused;
    if (aside_is_on())
        report_line("leaks: left out: exit was called by a signal handler that interrupted the allocator");
    else
        leaks_report();
}

/* exit would now write the program's streams out, and end with its status. */
static void end_with_status(void *unused) {
    (void)unused;
    if (!told)
        return;
    fflush(NULL);
    os_exit((int)tunables.leaks_exit);
}

AT_START void leaks_arrange_status(void) {
    if (tunables.leaks != 0 && tunables.leaks_exit != 0)
        __cxa_atexit(end_with_status, NULL, NULL);
}

AT_START void leaks_arrange(void) {
    if (!modes_has(MODE_LEAKS))
        return;
    suppress_read(tunables.leaks_suppress);
    /* Without a library to belong to, and registered before the program's own: runs after all of them and after the
     * destructors of all libraries (in a static program, before its destructors). */
    __cxa_atexit(at_exit, NULL, NULL);
}

const struct lock_set leaks_locks = {.rank = LOCK_LEAKS, .lock = &leaks_lock};
