/* SPDX-License-Identifier: MIT */
/*
 * From an address of code to its entry in the module's unwind tables: by the binary search table of .eh_frame_hdr, or where
 * there is none, by reading .eh_frame from its start. Entries are as the DWARF standard has them, with the differences of the
 * Linux Standard Base (augmentation, encoded pointers). Damaged tables lead to no entry.
 */
#ifndef MYALLOC_EH_TABLE_H
#define MYALLOC_EH_TABLE_H

#include "callers/code.h"
#include "callers/eh_reader.h"

/* What tells how the frames of one function look: its own entry (FDE) and the one it shares with others (CIE). */
struct eh_entry {
    uintptr_t from, bytes;      /* the function's code */
    uint64_t code_align;        /* by which advances of the address are multiplied */
    int64_t data_align;         /* by which offsets from the frame's address are multiplied */
    const uint8_t *base, *limit; /* what can be read of the module's tables */
    struct eh_reader initial;   /* instructions of the CIE */
    struct eh_reader own;       /* instructions of the FDE */
    uint8_t encoding;           /* of addresses in instructions */
    uint8_t return_column;      /* the register whose value in the caller is where that goes on */
    bool augmented;             /* the FDE has data for exceptions, behind their length */
    bool signal;                /* a frame that the kernel made for a signal */
};

/* False if there is none for this address. */
bool eh_table_find(const struct code *code, uintptr_t address, struct eh_entry *entry);

#endif
