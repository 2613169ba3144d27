/* SPDX-License-Identifier: MIT */
/*
 * The page of numbers: where the allocator's counts lie, for tools that read them in another process (process_vm_readv). They
 * are the counts that the allocator has anyway: none is copied or updated for the page, no call has an instruction of it, and
 * it can be read while the program hangs or holds any lock.
 *
 * A tool finds the page by a note in the ELF file that the library is linked into, a shared library or a static program, as it
 * lies in the memory of the process: the file may be gone, or be in another mount namespace. The note's contents are the
 * distance from themselves to the page, 8 bytes.
 *
 * Each number is one word, read whole. Different ones may be of different moments, so what the reader adds up is approximate
 * while the program allocates, and free units of tracts (heap/span_shelf.h) and large blocks that threads keep count as in use;
 * a sequence lock would cost the slow paths that write them two stores each, and would not make the counts of different locks
 * be of one moment. Rejected: to copy them into the page, which is never as new as they are.
 */
#ifndef MYALLOC_PAGE_H
#define MYALLOC_PAGE_H

#include <stdint.h>

#define PAGE_NOTE "myalloc" /* the name in the note, with its NUL */
#define PAGE_NOTE_TYPE 1
#define PAGE_VERSION 4 /* of struct page and the rows of page.def; a reader of another one reads no further */

enum {
#define NUMBER(name, kind, address, meaning) PAGE_AT_##name,
#include "observe/page.def"
#undef NUMBER
    PAGE_NUMBERS
};

/* Addresses are those of the process that has the page. */
struct page {
    uint32_t version, bytes;     /* PAGE_VERSION; the length of this structure */
    uint32_t unit_shift;         /* a unit is 1 << unit_shift bytes */
    uint32_t row_bytes;          /* distance from one row of the size classes to the next */
    uint32_t row_most;           /* rows that there may be */
    uint32_t size_at, out_at, spans_at; /* in a row: the size of its class's blocks, 16 bits; how many of them the program or
                                           lists of threads have, and its spans, 32 bits each */
    const void *numbers[PAGE_NUMBERS]; /* each of a size_t */
    const void *rows, *row_count; /* rows of the size classes in use, in the order of first use; how many, 32 bits. A class that
                                     threads of several processors use has several, with the same size: it is their sum */
    uint32_t mailbox_version, mailbox_bytes; /* MAILBOX_VERSION; its length */
    const void *mailbox, *knock;       /* mailbox.h; the knock is of 32 bits */
    const void *control;               /* a size_t, 0 where the option control is off */
    uint32_t structures_bytes, layout_bytes; /* of struct structures and structures_layout */
    const void *structures;            /* structures.h: where the structures of the heap lie */
};

#endif
