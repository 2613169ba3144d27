/* SPDX-License-Identifier: MIT */
/*
 * Which pages have memory. /proc/self/pagemap knows it best: its PAGEMAP_SCAN (since Linux 6.7) goes over page tables as they
 * are, at 64 runs a call, leaves out the page of zeros that all memory shares which was only read, as the kernel's own sums do
 * (Rss), and tells huge pages. Where there is none of it, no /proc or an older kernel, mincore(2) says for each page whether it
 * is there: it counts pages of zeros as well. What is swapped out is in neither. Reading pagemap itself, 8 bytes a page, is the
 * third way, and was not taken: who may not see page numbers cannot tell pages of zeros from those that a fork shares. It alone
 * says which pages no other process has.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>

#include "os/kernel.h"
#include "os/os.h"
#include "os/os_fault.h"

/* From headers of the kernel, which need not be there, or not know it yet. */
#define SCAN 0xc0606610u /* PAGEMAP_SCAN: _IOWR('f', 16, struct scan) */
#define IS_PRESENT 8u
#define IS_ZERO_PAGE 32u
#define IS_HUGE 64u
#define ENTRY_PRESENT ((uint64_t)1 << 63) /* of pagemap's own entries */
#define ENTRY_ALONE ((uint64_t)1 << 56)   /* no other process has the page; since Linux 4.2 */

struct scan {
    uint64_t size, flags, start, end, walk_end, runs, runs_most, pages_most, inverted, all_of, any_of, told;
};
_Static_assert(sizeof(struct scan) == 96, "as the number SCAN says");

void os_pages_open(struct os_pages *pages) {
    *pages = (struct os_pages){.fd = os_fault(pages_open) ? -1 : os_open_read("/proc/self/pagemap")};
}

void os_pages_close(struct os_pages *pages) {
    if (pages->fd >= 0)
        os_close(pages->fd);
    pages->fd = -1;
}

void os_pages_over(struct os_pages *pages, const void *start, size_t bytes) {
    pages->at = align_down((uintptr_t)start, OS_PAGE);
    pages->end = align_up((uintptr_t)start + bytes, OS_PAGE);
    pages->next = pages->count = 0;
}

/* Reads the next runs. False if the kernel does not know the question. */
static bool scan(struct os_pages *pages) {
    struct scan scan = {.size = sizeof scan, .start = pages->at, .end = pages->end, .runs = (uintptr_t)pages->found,
                        .runs_most = OS_PAGES_RUNS, .inverted = IS_ZERO_PAGE, .all_of = IS_PRESENT | IS_ZERO_PAGE,
                        .told = IS_PRESENT | IS_HUGE};
    long count;
    do
        count = kernel(SYS_ioctl, pages->fd, SCAN, &scan);
    while (count == -EINTR);
    if (kernel_refused(count) || scan.walk_end <= pages->at)
        return false;
    pages->count = (size_t)count;
    pages->at = scan.walk_end;
    return true;
}

static void add_run(struct os_pages *pages, uintptr_t start, uintptr_t end) {
    struct os_pages_found *last = pages->count > 0 ? &pages->found[pages->count - 1] : NULL;
    if (last != NULL && last->end == start)
        last->end = end;
    else
        pages->found[pages->count++] = (struct os_pages_found){start, end, IS_PRESENT};
}

/* As scan. A part in which something is not mapped is asked for page by page, and what is not mapped has no memory. */
static void look(struct os_pages *pages) {
    unsigned char there[OS_PAGES_RUNS];
    size_t most = min_size((pages->end - pages->at) / OS_PAGE, OS_PAGES_RUNS);
    bool whole = !kernel_refused(kernel(SYS_mincore, pages->at, most * OS_PAGE, there));
    for (size_t i = 0; i < most; i++, pages->at += OS_PAGE) {
        bool known = whole || !kernel_refused(kernel(SYS_mincore, pages->at, OS_PAGE, &there[i]));
        if (known && (there[i] & 1) != 0)
            add_run(pages, pages->at, pages->at + OS_PAGE);
    }
}

size_t os_pages_alone(const struct os_pages *pages, const void *start, size_t bytes) {
    uint64_t entries[64];
    size_t alone = 0, first = (uintptr_t)start / OS_PAGE, end = first + bytes / OS_PAGE;
    if (os_fault(pages_alone) || pages->fd < 0)
        return 0;
    for (size_t at = first, got; at < end; at += got) {
        got = os_read_at(pages->fd, entries, min_size(end - at, 64) * sizeof *entries, at * sizeof *entries) / sizeof *entries;
        if (got == 0)
            return 0;
        for (size_t i = 0; i < got; i++)
            alone += (entries[i] & (ENTRY_PRESENT | ENTRY_ALONE)) == (ENTRY_PRESENT | ENTRY_ALONE);
    }
    return alone;
}

static void read_on(struct os_pages *pages) {
    pages->next = pages->count = 0;
    if (pages->fd >= 0 && scan(pages))
        return;
    os_pages_close(pages);
    look(pages);
}

bool os_pages_next(struct os_pages *pages, struct os_pages_run *run) {
    if (os_fault(pages_next)) {
        pages->refused = true;
        return false;
    }
    while (pages->next == pages->count && pages->at < pages->end)
        read_on(pages);
    if (pages->next == pages->count)
        return false;
    const struct os_pages_found *found = &pages->found[pages->next++];
    *run = (struct os_pages_run){found->start, found->end, (found->categories & IS_HUGE) != 0};
    return true;
}
