/* SPDX-License-Identifier: MIT */
#include "observe/reachable.h"

#include <stdatomic.h>
#include <string.h>

#include "base/scan.h"
#include "os/os.h"
#include "kit/budget.h"
#include "heap/cache.h"
#include "heap/mapped.h"
#include "heap/region.h"
#include "callers/walker.h"
#include "protect/protections.h"
#include "observe/profile_table.h"

#define PIECE (64 * KIB)       /* read at a time */
#define WINDOW (2 * MIB)       /* whose page entries are read at a time */
#define LINE_MOST 512          /* of /proc/self/maps; a longer path is cut */
#define NONE UINT32_MAX        /* no block's index */
/* Bits of /proc/self/pagemap (proc(5)). */
#define PAGE_HELD (UINT64_C(3) << 62) /* present, swapped */
#define PAGE_FILE (UINT64_C(1) << 61) /* of a file or shared */

#define ENDED_MOST 1024

/* Thread-local data of threads that ended; a new thread may have it now. */
static _Atomic uintptr_t ended[ENDED_MOST] BIG_TABLE;
static _Atomic size_t ended_count;

struct scan {
    struct reachable_block *blocks;
    size_t count;
    uintptr_t lowest, highest; /* of all blocks */
    const struct reachable_range *own;
    size_t own_count;
    uintptr_t stack;   /* of this thread: what lies below is no frame */
    uint32_t todo;     /* the first of the blocks that are marked and whose contents are not yet looked at */
    uint32_t origin;   /* the lost block whose contents are being followed */
    uint8_t kind;      /* what a block becomes that a word points to */
    int pagemap;       /* /proc/self/pagemap, -1 if it cannot be read */
    bool private;      /* the mapping that is being looked at is private (proc(5): p) */
    bool works;        /* at least one piece could be read */
    uint64_t piece[PIECE / sizeof(uint64_t)], pages[WINDOW / OS_PAGE_MIN + 1];
};

/* ---- marking ----------------------------------------------------------------------------------------------------- */

/* Index of the block that the address points into, NONE if there is none. A block of no bytes counts as one of one byte. */
static uint32_t find(const struct scan *scan, uintptr_t address) {
    size_t low = 0, high = scan->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (scan->blocks[middle].start <= address)
            low = middle;
        else
            high = middle;
    }
    const struct reachable_block *block = &scan->blocks[low];
    return address - block->start < max_size(block->bytes, 1) ? (uint32_t)low : NONE;
}

static void push(struct scan *scan, uint32_t index) {
    scan->blocks[index].next = scan->todo;
    scan->todo = index;
}

static void mark(struct scan *scan, uint32_t index) {
    struct reachable_block *block = &scan->blocks[index];
    if (block->kind == BLOCK_UNSEEN) {
        block->kind = scan->kind;
        push(scan, index);
    } else if (block->kind == BLOCK_LOST && scan->kind == BLOCK_LOST_WITH && index != scan->origin) {
        block->kind = BLOCK_LOST_WITH; /* its contents have been followed already */
    }
}

static void look_at_words(struct scan *scan, const uint64_t *words, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (words[i] - scan->lowest < scan->highest - scan->lowest) {
            uint32_t index = find(scan, words[i]);
            if (index != NONE)
                mark(scan, index);
        }
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void read_pieces(struct scan *scan, uintptr_t from, uintptr_t to) {
    for (size_t bytes; from < to; from += bytes) {
        bytes = min_size(to - from, PIECE);
        if (!os_read_memory((const void *)from, scan->piece, bytes))
            continue;
        scan->works = true;
        look_at_words(scan, scan->piece, bytes / sizeof *scan->piece);
    }
}

/* All words but those of the table of regions: it holds addresses where a region starts, and a block may start there. In a
 * static program it lies among the program's own data. */
static void read_words(struct scan *scan, uintptr_t from, uintptr_t to) {
    uintptr_t ours = (uintptr_t)regions, behind = ours + sizeof regions;
    if (from >= behind || to <= ours) {
        read_pieces(scan, from, to);
        return;
    }
    read_pieces(scan, from, ours);
    read_pieces(scan, behind, to);
}

/* True if a page of a root is the allocator's own, or holds a block: blocks are looked at when a word points to them. */
static bool is_own(const struct scan *scan, uintptr_t page) {
    const void *p = (const void *)page;
    if (page - (uintptr_t)scan < sizeof *scan)
        return true;
    for (size_t i = 0; i < scan->own_count; i++)
        if (page >= scan->own[i].start && page < scan->own[i].end)
            return true;
    if (region_find(p) != NULL || region_is_meta(p) || mapped_is_table(p) || protections_is_no_root(p) || walker_covers(p) ||
        profile_table_covers(p))
        return true;
    /* The checks put canaries around a block, so that its memory starts before it. */
    return find(scan, page) != NONE || find(scan, page + OS_PAGE - 1) != NONE;
}

/* True if the page is present or swapped out. Other pages hold zeros, and to read them would make page tables for them. Of a
 * private mapping, only pages that the program has written count: a page as it is in the file holds no address of a block. */
static bool is_written(const struct scan *scan, size_t page) {
    uint64_t entry = scan->pagemap < 0 ? PAGE_HELD : scan->pages[page];
    return (entry & PAGE_HELD) != 0 && !(scan->private && (entry & PAGE_FILE) != 0);
}

/* The pages from `from` to `to`, at most WINDOW. */
static void scan_pages(struct scan *scan, uintptr_t from, uintptr_t to, bool roots) {
    uintptr_t first = align_down(from, OS_PAGE);
    size_t count = (align_up(to, OS_PAGE) - first) / OS_PAGE, wanted = count * sizeof *scan->pages;
    if (scan->pagemap >= 0 && os_read_at(scan->pagemap, scan->pages, wanted, first / OS_PAGE * sizeof *scan->pages) != wanted)
        return;
    uintptr_t start = from; /* of a run of pages to look at */
    for (size_t i = 0; i < count; i++) {
        uintptr_t page = first + i * OS_PAGE;
        if (is_written(scan, i) && !(roots && is_own(scan, page)))
            continue;
        if (page > start)
            read_words(scan, start, page);
        start = page + OS_PAGE;
    }
    if (to > start)
        read_words(scan, start, to);
}

static void scan_range(struct scan *scan, uintptr_t from, uintptr_t to, bool roots) {
    from = align_up(from, sizeof(uint64_t));
    to = align_down(to, sizeof(uint64_t));
    while (from < to) {
        uintptr_t end = min_size(align_down(from, OS_PAGE) + WINDOW, to);
        scan_pages(scan, from, end, roots);
        from = end;
    }
}

static void finish_todo(struct scan *scan) {
    while (scan->todo != NONE) {
        const struct reachable_block *block = &scan->blocks[scan->todo];
        scan->todo = block->next;
        scan->private = false;
        scan_range(scan, block->start, block->start + block->bytes, false);
    }
}

/* ---- ended threads ----------------------------------------------------------------------------------------------- */

void reachable_thread_ended(const void *local) {
    size_t known = min_size(ended_count, ENDED_MOST);
    for (size_t i = 0; i < known; i++)
        if (ended[i] == (uintptr_t)local)
            return;
    ended[ended_count++ % ENDED_MOST] = (uintptr_t)local;
}

static void forget_live(const struct cache *cache, void *unused) {
    (void)unused;
    for (size_t i = 0; i < ENDED_MOST; i++)
        if (ended[i] == (uintptr_t)cache)
            ended[i] = 0;
}

/* If the mapping is the stack of a thread that has ended, where its thread-local data start, else `start`. What lies below are
 * frames of calls that are over; through the thread-local data libc still holds blocks. */
static uintptr_t skip_dead_frames(uintptr_t start, uintptr_t end) {
    uintptr_t from = start;
    for (size_t i = 0; i < ENDED_MOST; i++)
        if (ended[i] > from && ended[i] < end)
            from = ended[i];
    return from;
}

/* ---- roots ------------------------------------------------------------------------------------------------------- */

static const char *read_hex(const char *at, uintptr_t *number) {
    return at + scan_number(at, SIZE_MAX, 16, number) + 1;
}

static bool starts_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

/* "start-end rw-p offset device inode      path" */
static void scan_mapping(struct scan *scan, const char *line) {
    uintptr_t start, end;
    const char *rights = read_hex(read_hex(line, &start), &end), *path = strpbrk(rights, "/[");
    bool device = path != NULL && starts_with(path, "/dev/") && !starts_with(path, "/dev/zero") &&
                  !starts_with(path, "/dev/shm/");
    scan->private = rights[3] == 'p';
    /* Read-only pages of a module may have been written before they became so: the loader does that (RELRO). */
    bool relro = starts_with(rights, "r--p") && path != NULL && *path == '/' && scan->pagemap >= 0;
    bool may_hold = starts_with(rights, "rw") || relro;
    if (!may_hold || device)
        return;
    if (path == NULL)
        start = skip_dead_frames(start, end);
    if (scan->stack > start && scan->stack < end)
        start = scan->stack;
    scan_range(scan, start, end, true);
}

/* Reads the list of mappings line by line. False if there is none. */
static bool scan_roots(struct scan *scan) {
    char text[LINE_MOST + 1];
    size_t held = 0, got;
    uint64_t at = 0;
    bool skipping = false; /* the rest of a line that was cut */
    int fd = os_open_read("/proc/self/maps");
    while (fd >= 0 && (got = os_read_at(fd, text + held, LINE_MOST - held, at)) > 0) {
        at += got;
        held += got;
        text[held] = '\0';
        char *line = text, *end;
        while ((end = strchr(line, '\n')) != NULL || (line == text && held == LINE_MOST)) {
            bool whole = end != NULL;
            end = whole ? end : text + held - 1;
            *end = '\0';
            if (!skipping)
                scan_mapping(scan, line);
            skipping = !whole;
            line = end + 1;
        }
        held = (size_t)(text + held - line);
        memmove(text, line, held);
    }
    if (fd >= 0)
        os_close(fd);
    return at > 0 && scan->works;
}

/* Follows the words in each block that no root leads to, so that of a lost list only the first block is told as lost and the
 * others as lost with it. */
static void sort_out_lost(struct scan *scan) {
    scan->kind = BLOCK_LOST_WITH;
    for (size_t i = 0; i < scan->count; i++) {
        if (scan->blocks[i].kind != BLOCK_UNSEEN)
            continue;
        scan->blocks[i].kind = BLOCK_LOST;
        scan->origin = (uint32_t)i;
        push(scan, (uint32_t)i);
        finish_todo(scan);
    }
}

static void begin(struct scan *scan) {
    const struct reachable_block *last = &scan->blocks[scan->count - 1];
    scan->lowest = scan->blocks[0].start;
    scan->highest = last->start + max_size(last->bytes, 1);
    scan->todo = scan->origin = NONE;
    scan->kind = BLOCK_HELD;
    for (size_t i = 0; i < scan->count; i++)
        scan->blocks[i].kind = BLOCK_UNSEEN;
    cache_each(forget_live, NULL);
    scan->pagemap = os_open_read("/proc/self/pagemap");
}

bool reachable_mark(struct reachable_block *blocks, size_t count, const struct reachable_range *own, size_t own_count,
                const void *stack) {
    size_t room = align_up(sizeof(struct scan), OS_PAGE);
    struct scan *scan = count < NONE ? budget_map(room) : NULL;
    if (scan == NULL)
        return false;
    scan->blocks = blocks;
    scan->count = count;
    scan->own = own;
    scan->own_count = own_count;
    scan->stack = (uintptr_t)stack;
    begin(scan);
    bool done = scan_roots(scan);
    finish_todo(scan);
    if (done)
        sort_out_lost(scan);
    if (scan->pagemap >= 0)
        os_close(scan->pagemap);
    budget_unmap(scan, room);
    return done;
}
